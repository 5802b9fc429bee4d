"""Kaufman's solution of the Ising model on a torus, as polynomials.

B. Kaufman, Phys. Rev. 76, 1232 (1949): with m rows and n columns, Z is half the sum of four sectors,

    (2 sinh 2K)^(mn/2) prod_j [e^(m gamma_j / 2) +- e^(-m gamma_j / 2)],
    cosh gamma_j = cosh^2 2K / sinh 2K - cos(pi j / n),   gamma_0 = 2K + ln tanh K,

with j = 1, 3, .. 2n-1 in two of them and 0, 2, .. 2n-2 in the others. Since gamma_j = gamma_(2n-j), the roots
pair up, and every sector is a polynomial in z = exp(-2K) once exp(2 mn K) is taken out. So one formula serves
either sign of K, to any number of digits (`kaufman`), and residues modulo a prime (`density`).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import mpmath

from kadanoff.errors import KadanoffError, shown
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact.thermal import Thermal, inverse_temperature

SIGNS = {"periodic": (1, 1, 1, 1), "antiperiodic": (-1, 1, 1, -1)}
"""Sign of each sector: odd j with + and -, even j with + and -."""


def kaufman(height: int, width: int, temperature: float, boundary: str = "periodic", coupling: int = 1) -> Thermal:
    """Mean energy and specific heat per site of a torus of any size, correct to the last digit.

    Odd and rectangular tori and either sign of the coupling are exact, frustrated antiferromagnets included.
    Takes 0.1 s for 100 x 100 at T_c; the number of digits, and so the time, grows as (height + width) / T.
    KadanoffError if the temperature is not positive, the boundary is no torus, or `Lattice` refuses another value.
    """
    return _thermal(torus(height, width, boundary, coupling), inverse_temperature(temperature))


def log_partition(height: int, width: int, temperature: float, boundary: str = "periodic", coupling: int = 1) -> float:
    """Logarithm of Z of such a torus, correct to the last digit. KadanoffError as in `kaufman`.

    >>> round(log_partition(2, 2, 1e9), 6)  # 16 states
    2.772589
    """
    lattice, beta = torus(height, width, boundary, coupling), inverse_temperature(temperature)
    with mpmath.workdps(_digits(lattice, beta)):
        return float(_log_partition(lattice, mpmath.mpf(beta)))


@lru_cache(maxsize=1024)
def _thermal(lattice: Lattice, beta: float) -> Thermal:
    with mpmath.workdps(_digits(lattice, beta)):
        exact = mpmath.mpf(beta)
        _, first, second = mpmath.diffs(lambda beta: _log_partition(lattice, beta), exact, 2)
        return Thermal(float(-first / lattice.sites), float(exact**2 * second / lattice.sites))


def _digits(lattice: Lattice, beta: float) -> int:
    """The sectors cancel to as little as exp(-2 (m + n) / T), and C falls to exp(-8 / T)."""
    return int(40 + (2 * sum(lattice.shape) + 8) * beta / mpmath.ln(10))


def _log_partition(lattice: Lattice, beta: Any) -> Any:
    (short, long), coupling = sorted(lattice.shape), lattice.coupling
    cosines = _cosines(short, mpmath.mp.prec)
    total = signed_sum(mpmath.exp(-2 * coupling * beta), cosines, long, lattice.boundary, lambda number: number)
    return mpmath.log(total / 2) + 2 * coupling * beta * lattice.sites


@lru_cache(maxsize=16)
def _cosines(n: int, bits: int) -> list[Any]:
    """2 cos(pi j / n) for j = 0..n, with this working precision: a third of the work of one temperature."""
    with mpmath.workprec(bits):
        return [2 * mpmath.cos(mpmath.pi * j / n) for j in range(n + 1)]


def torus(height: int, width: int, boundary: str, coupling: int = 1) -> Lattice:
    """The lattice; KadanoffError if it is no torus, periodic or antiperiodic."""
    if boundary not in tuple(SIGNS):
        raise KadanoffError(
            f"boundary is {shown(boundary)}; Kaufman's solution holds for {' and '.join(SIGNS)}. "
            "For others use `transfer_energy_distribution`."
        )
    return Lattice(height, width, boundary, coupling)


def signed_sum(z: Any, cosines: Sequence, m: int, boundary: str, reduce: Callable[[Any], Any]) -> Any:
    """Z exp(-2 mn K), times 2, at z = exp(-2K): sum_k 2 g_k z^k over the states' unsatisfied bonds k.

    Here z is a number or an array of any ring, `cosines` are 2 cos(pi j / n) for j = 0..n in it, and m is the number
    of sites in the other direction. `reduce` brings a number back into its ring after an operation: the identity, or
    the remainder.
    """
    sectors = _sectors(z, cosines, m, reduce)
    return reduce(sum(sign * sector for sign, sector in zip(SIGNS[boundary], sectors, strict=True)))


def _sectors(z: Any, cosines: Sequence, m: int, reduce: Callable) -> list[Any]:
    """The four products over j, times z^(mn), in the order of `SIGNS`; residues below 2^31 stay within int64."""
    n = len(cosines) - 1
    square = reduce(z * z)
    cosh = reduce((1 + square) * (1 + square))  # 4 z^2 cosh^2 2K
    sinh = {1: reduce(z * (1 - square))}  # 2 z^2 sinh 2K, and its powers
    twice_power = reduce(2 * _power(sinh, m, reduce))
    products: list[Any] = [1, 1, 1, 1]
    for j, cosine in enumerate(cosines):
        if j == 0:
            growing, decaying = _power({1: 1 - z}, m, reduce), _power({1: reduce(z + square)}, m, reduce)
        elif j == n:
            growing, decaying = _power({1: reduce(1 + z)}, m, reduce), _power({1: z - square}, m, reduce)
        else:  # j and 2n - j together: 2 cosh(m gamma_j) +- 2, times (2 z^2 sinh 2K)^m
            growing = _lucas(reduce(cosh - sinh[1] * cosine), sinh, m, reduce)
            decaying = twice_power
        plus = 0 if j % 2 else 2
        products[plus] = reduce(products[plus] * (growing + decaying))
        products[plus + 1] = reduce(products[plus + 1] * (growing - decaying))
    return products


def _power(powers: dict[int, Any], exponent: int, reduce: Callable) -> Any:
    """x^exponent; `powers` is {1: x} at first, and keeps the powers on the way."""
    if exponent not in powers:
        low, high = exponent // 2, exponent - exponent // 2
        powers[exponent] = reduce(_power(powers, low, reduce) * _power(powers, high, reduce))
    return powers[exponent]


def _lucas(p: Any, root: dict[int, Any], m: int, reduce: Callable) -> Any:
    """V_m, where V_0 = 2, V_1 = p, V_(k+1) = p V_k - q V_(k-1): q^(m/2) 2 cosh(m gamma). `root` has powers of q^(1/2).

    While m is even one number is enough: V_2k = V_k^2 - 2 q^k.
    """
    if m % 2:
        return _lucas_pair(p, root, m, reduce)[0]
    half = _lucas(p, root, m // 2, reduce)
    return reduce(half * half - 2 * _power(root, m, reduce))


def _lucas_pair(p: Any, root: dict[int, Any], m: int, reduce: Callable) -> tuple[Any, Any]:
    """V_m and V_(m+1)."""
    if m == 1:
        return p, reduce(p * p - 2 * _power(root, 2, reduce))
    k = m // 2
    low, high = _lucas_pair(p, root, k, reduce)
    middle = reduce(low * high - p * _power(root, 2 * k, reduce))
    if m % 2:
        return middle, reduce(high * high - 2 * _power(root, 2 * k + 2, reduce))
    return reduce(low * low - 2 * _power(root, 2 * k, reduce)), middle
