"""Densities of states from residues: a polynomial modulo primes, interpolated, and put together.

A polynomial in z = exp(-2K) is evaluated modulo primes at roots of unity, where cos(pi j / n) is an integer too,
interpolated by a Fourier transform modulo the prime, and its integers follow from the Chinese remainder theorem:
nothing is rounded. Primes are below 2^31, so that the sum of two products of residues fits in int64.
"""

import math
import operator
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

MOST_SITES = 128 * 128


def numbers_of_states(sites: int, modulo: Callable[[int], NDArray[np.int64]]) -> list[int]:
    """Integers from 0 to 2^sites, by `modulo`, which gives their residues for a prime that is 1 modulo 2 sites."""
    candidates, primes, residues = _primes(2 * sites), list[int](), list[NDArray[np.int64]]()
    while math.prod(primes) <= 2**sites:
        primes.append(next(candidates))
        residues.append(modulo(primes[-1]))
    return _combine(np.array(residues).T, primes)


def remainder(prime: int) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    """The function that takes numbers modulo a prime."""

    def reduce(x: NDArray[np.int64]) -> NDArray[np.int64]:
        return x - x // prime * prime  # NumPy vectorizes // by a number but not %: half the time

    return reduce


def roots_of_unity(order: int, prime: int) -> NDArray[np.int64]:
    """1, z, .. z^(order - 1) of a primitive root of unity z of that order (it divides prime - 1)."""
    return _powers(_root_of_unity(order, prime), order, prime)


def coefficients(values: NDArray[np.int64], z: NDArray[np.int64], prime: int) -> NDArray[np.int64]:
    """The N coefficients of a polynomial in z^2; `values` are twice it at the first N of the 2N roots of unity `z`."""
    reduce, places = remainder(prime), np.arange(len(values))
    return reduce(_fourier(values[:, None], z[-2 * places], reduce)[:, 0] * pow(len(z), -1, prime))


def _combine(columns: NDArray[np.int64], primes: list[int]) -> list[int]:
    """The integers with these residues (one row each), by the Chinese remainder theorem."""
    product = math.prod(primes)
    basis = [product // prime * pow(product // prime, -1, prime) for prime in primes]
    found: dict[bytes, int] = {}  # half of the rows occur twice
    for column in columns:
        if column.tobytes() not in found:
            found[column.tobytes()] = sum(map(operator.mul, basis, column.tolist())) % product
    return [found[column.tobytes()] for column in columns]


def _primes(step: int) -> Iterator[int]:
    """Odd primes below 2^31 that are 1 modulo `step`, from the greatest down; then products fit in int64."""
    for candidate in range((2**31 - 2) // step * step + 1, 2, -step):
        if all(candidate % divisor for divisor in range(3, math.isqrt(candidate) + 1, 2)):
            yield candidate


def _root_of_unity(order: int, prime: int) -> int:
    """A primitive root of unity of that order (it divides prime - 1)."""
    proper = [order // factor for factor in range(2, order + 1) if order % factor == 0]
    roots = (pow(base, (prime - 1) // order, prime) for base in range(2, prime))
    return next(root for root in roots if all(pow(root, power, prime) != 1 for power in proper))


def _powers(base: int, count: int, prime: int) -> NDArray[np.int64]:
    """1, base, base^2, ..: so many of them."""
    powers = np.ones(1, np.int64)
    while len(powers) < count:
        powers = np.concatenate([powers, powers * pow(base, len(powers), prime) % prime])
    return powers[:count]


def _fourier(values: NDArray[np.int64], powers: NDArray[np.int64], reduce: Callable) -> NDArray[np.int64]:
    """sum_j values[j, b] powers[jk] for each k and b: Cooley and Tukey, by the least factor of the length."""
    size, batch = values.shape
    if size == 1:
        return values
    factor = next(factor for factor in range(2, size + 1) if size % factor == 0)
    parts = _fourier(values.reshape(size // factor, factor * batch), powers[::factor], reduce)
    parts = parts.reshape(size // factor, factor, batch)
    total = np.zeros((factor, size // factor, batch), np.int64)
    for i in range(factor):
        total += reduce(parts[:, i] * powers[i * np.arange(size) % size].reshape(factor, -1, 1))
    return reduce(total).reshape(size, batch)
