"""The exact density of states of a torus, in integers, and with it P(E) at any temperature.

Beale, Phys. Rev. Lett. 76, 78 (1996), expands Kaufman's four sectors symbolically. Here the polynomial is
evaluated modulo primes at roots of unity, where cos(pi j / n) is an integer too, interpolated by a Fourier
transform modulo the prime, and put together by the Chinese remainder theorem: nothing is rounded.
"""

import math
import operator
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.spins.exact.kaufman import signed_sum, torus
from kadanoff.spins.exact.thermal import EnergyDistribution, inverse_temperature

MOST_SITES = 128 * 128


def kaufman_energy_distribution(
    height: int, width: int, temperature: float, boundary: str = "periodic", coupling: int = 1
) -> EnergyDistribution:
    """Exact P(E) over the total energies of a torus.

    The first temperature takes as long as `torus_density_of_states`, every other one a millisecond.

    Raises
    ------
    KadanoffError
        If the temperature is not positive, or the torus is none or has more than 16,384 spins.
    """
    beta = inverse_temperature(temperature)
    bonds = 2 * torus(height, width, boundary, coupling).sites
    unsatisfied, logarithms = _logarithms(height, width, boundary)
    if coupling == -1:  # reversing every bond turns k unsatisfied bonds into bonds - k
        unsatisfied, logarithms = bonds - unsatisfied[::-1], logarithms[::-1]
    energies = 2.0 * unsatisfied - bonds
    exponents = logarithms - beta * (energies - energies[0])
    weights = np.exp(exponents - exponents.max())
    return EnergyDistribution(energies, weights / weights.sum())


@lru_cache(maxsize=32)
def _logarithms(height: int, width: int, boundary: str) -> tuple[NDArray, NDArray]:
    """The numbers of unsatisfied bonds that occur, rising, and the logarithms of their numbers of states."""
    counts = torus_density_of_states(height, width, boundary)
    occurring = [k for k, count in enumerate(counts) if count]
    return np.array(occurring), np.array([math.log(counts[k]) for k in occurring])


@lru_cache(maxsize=32)
def torus_density_of_states(height: int, width: int, boundary: str = "periodic") -> tuple[int, ...]:
    """Number of states with k = 0..2N unsatisfied bonds (total energy 2k - 2N) of a ferromagnet of N spins.

    Takes 1 s for 64 x 64, 10 s for 100 x 100, 25 s for 128 x 128, up to 3 times that with an odd side; then cached.

    Raises
    ------
    KadanoffError
        If the boundary is not periodic or antiperiodic, or there are more than 16,384 spins.
    """
    sites = torus(height, width, boundary).sites
    if sites > MOST_SITES:
        raise KadanoffError(
            f"{height} x {width} has {sites} spins; the density of states is limited to {MOST_SITES}. "
            "`kaufman` gives the energy and specific heat at any size."
        )
    # Every spin has four bonds, so k is even, or odd where an odd number of bonds is reversed.
    odd = (height + width) % 2 if boundary == "antiperiodic" else 0
    candidates, primes, residues = _primes(2 * sites), list[int](), list[NDArray[np.int64]]()
    while math.prod(primes) <= 2**sites:
        primes.append(next(candidates))
        residues.append(_modulo(primes[-1], height, width, boundary, odd))
    cyclic = _combine(np.array(residues).T, primes)
    counts = [0] * (2 * sites + 1)
    if odd:
        counts[1::2] = cyclic
    else:  # with N roots of unity k = 2N is counted as k = 0, where no bond is unsatisfied
        ground = 2 if boundary == "periodic" else 0
        counts[::2] = [ground, *cyclic[1:], cyclic[0] - ground]
    return tuple(counts)


def _modulo(prime: int, height: int, width: int, boundary: str, odd: int) -> NDArray[np.int64]:
    """Numbers of states with odd, odd + 2, .. odd + 2N - 2 unsatisfied bonds (2N with 0), modulo a prime below 2^31.

    They are the coefficients of a polynomial in z^2: its values at all N-th roots of unity, transformed back.
    """

    def reduce(x: NDArray[np.int64]) -> NDArray[np.int64]:
        return x - x // prime * prime  # NumPy vectorizes // by a number but not %: half the time

    n, m = sorted((height, width))
    sites = n * m
    z = _powers(_root_of_unity(2 * sites, prime), 2 * sites, prime)
    cosines = [int(z[m * j] + z[-m * j]) % prime for j in range(n + 1)]
    # On even sides two sublattices can be told apart: k and 2N - k have as many states, z and 1/z the same value.
    symmetric = height % 2 == width % 2 == 0
    values = signed_sum(z[: sites // 2 + 1 if symmetric else sites], cosines, m, boundary, reduce)
    if symmetric:
        values = np.concatenate([values, values[-2:0:-1]])
    places = np.arange(sites)
    values = reduce(values * z[-odd * places])
    return reduce(_fourier(values[:, None], z[-2 * places], reduce)[:, 0] * pow(2 * sites, -1, prime))


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
