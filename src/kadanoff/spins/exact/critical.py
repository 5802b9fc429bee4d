"""The infinite square lattice; and large square tori at its critical point, whose exact sums would take too long."""

import math
from functools import lru_cache

import mpmath
import numpy as np
from numpy.typing import ArrayLike, NDArray

from kadanoff.errors import KadanoffError, numbers, real, shown, whole
from kadanoff.spins.boundary import LARGEST
from kadanoff.spins.exact.thermal import Thermal, inverse_temperature

T_C = float(2 / np.log(1 + np.sqrt(2)))
"""Critical temperature of the square lattice, 2 / ln(1 + sqrt 2), in units of |J|/k_B."""


def onsager(temperature: float) -> Thermal:
    """Mean energy and specific heat per site of the infinite lattice; either sign of J.

    Onsager, Phys. Rev. 65, 117 (1944): with K = 1/T, t = tanh 2K and the complete elliptic integrals F and E
    of modulus 2 sinh 2K / cosh^2 2K, the energy is -coth 2K [1 + (2/pi) (2 t^2 - 1) F], and the specific heat
    (4/pi) (K coth 2K)^2 {F - E - (1 - t^2) [pi/2 + (2 t^2 - 1) F]}. It diverges as ln|T - T_c|: at `T_C`, the
    float nearest to T_c, it is finite (17.9). KadanoffError if the temperature is not positive.
    """
    beta = inverse_temperature(temperature)
    # 1 - k^2 is about (1 - T/T_c)^2, which must not round to 0; and C is about exp(-8/T) when T is small.
    with mpmath.workdps(50 + int(8 * beta)):
        k = mpmath.mpf(beta)
        square = (2 * mpmath.sinh(2 * k) / mpmath.cosh(2 * k) ** 2) ** 2
        tanh2 = mpmath.tanh(2 * k) ** 2
        first, second = mpmath.ellipk(square), mpmath.ellipe(square)
        energy = -mpmath.coth(2 * k) * (1 + 2 / mpmath.pi * (2 * tanh2 - 1) * first)
        bracket = first - second - (1 - tanh2) * (mpmath.pi / 2 + (2 * tanh2 - 1) * first)
        return Thermal(float(energy), float(4 / mpmath.pi * (k * mpmath.coth(2 * k)) ** 2 * bracket))


def spontaneous_magnetization(temperature: ArrayLike) -> NDArray[np.float64]:
    """(1 - sinh(2/T)^-4)^(1/8) below T_c, else 0, for each temperature. C. N. Yang, Phys. Rev. 85, 808 (1952).

    KadanoffError if a temperature is not positive.
    """
    temperatures = numbers(temperature, "temperature").astype(float)
    inverse_temperature(temperatures.min(initial=T_C))
    ordered = np.minimum(temperatures, T_C)
    # 1/sinh(x) as 2 e^-x / (1 - e^-2x), so that low temperatures do not overflow.
    inverse_sinh = 2 * np.exp(-2 / ordered) / -np.expm1(-4 / ordered)
    return np.where(temperatures < T_C, np.maximum(1 - inverse_sinh**4, 0) ** 0.125, 0.0)


def critical_energy(side: int) -> float:
    """Energy per site of a periodic square of side L at T_c: -sqrt 2 - (2/L) t2 t3 t4 / (t2 + t3 + t4).

    Ferdinand and Fisher, Phys. Rev. 185, 832 (1969). The t are Jacobi's theta constants at the nome exp(-pi). What is
    left out is near 0.207/L^3, 1.2e-8 at L = 256 (from Kaufman's sums at L = 16 to 128).
    """
    side = whole(side, "side", 1, LARGEST)
    second, third, fourth = (mpmath.jtheta(number, 0, mpmath.exp(-mpmath.pi)) for number in (2, 3, 4))
    return float(-mpmath.sqrt(2) - 2 * second * third * fourth / ((second + third + fourth) * side))


AMPLITUDE = 0.703380157
"""G(r) = A r^(-1/4) at T_c for 1 << r << L; Wu, McCoy, Tracy and Barouch, Phys. Rev. B 13, 316 (1976)."""
STRUCTURE = AMPLITUDE * 2**1.75 * math.pi * math.gamma(7 / 8) / math.gamma(1 / 8)
"""S(k) = B k^(-7/4) at T_c for 1/L << k << 1: the Fourier transform of that G(r)."""
ROW = 32  # up to here G along a row is computed as it is


def critical_correlation(y: float, x: float, side: int) -> float:
    """G of two spins (y, x) apart on a periodic square of side L at T_c, in the limit of large distances.

    A |theta1'(0) / theta1(z)|^(1/4) sum |theta_n(z/2)| / sum |theta_n(0)| L^(-1/4), z = (x + i y) / L, at the nome
    exp(-pi); Di Francesco, Saleur and Zuber, Nucl. Phys. B 290, 527 (1987). Corrections fall as 1/r^2.
    """
    side = whole(side, "side", 1, LARGEST)
    if not (real(y, "y", -LARGEST, LARGEST) % side or real(x, "x", -LARGEST, LARGEST) % side):
        raise KadanoffError(f"the spins are ({shown(y)}, {shown(x)}) apart, at one place of the torus; take two spins.")
    nome = mpmath.exp(-mpmath.pi)
    place = mpmath.pi * mpmath.mpc(x, y) / side
    here = sum(abs(mpmath.jtheta(number, place / 2, nome)) for number in (1, 2, 3, 4))
    start = sum(mpmath.jtheta(number, 0, nome) for number in (2, 3, 4))
    near = abs(mpmath.pi * mpmath.jtheta(1, 0, nome, 1) / mpmath.jtheta(1, place, nome))
    return float(AMPLITUDE * (near**0.25) * here / start * mpmath.mpf(side) ** -0.25)


def critical_row(distance: int, side: int) -> float:
    """G of two spins so far apart in a row of a periodic square of side L at T_c, at any distance.

    `critical_correlation`, times how far G of the infinite lattice is above A r^(-1/4): 0.53% at r = 1, 0.55% at r = 2,
    and 1 / (64 r^2) from r = 32 on. What is left out is of order 1/L^2.
    """
    distance = whole(distance, "distance", 1, whole(side, "side", 2, LARGEST) - 1)
    return critical_correlation(0, distance, side) * _above_limit(distance)


@lru_cache
def _above_limit(distance: int) -> float:
    if distance > ROW:
        return 1 + 1 / (64 * distance**2)
    return _plane_row(distance) / (AMPLITUDE * distance**-0.25)


def _plane_row(distance: int) -> float:
    """G along a row of the infinite lattice at T_c, a Toeplitz determinant.

    McCoy and Wu, The Two-Dimensional Ising Model (1973), chapter VIII; alpha_1 = 3 - 2 sqrt 2 and alpha_2 = 1 at T_c.
    """
    places, weights = np.polynomial.legendre.leggauss(256)
    angle, alpha = np.pi * (places + 1), 3 - 2 * math.sqrt(2)
    ratio = (1 - alpha * np.exp(1j * angle)) / (1 - alpha * np.exp(-1j * angle))
    symbol = np.exp(0.5j * (np.pi - angle)) * np.sqrt(ratio)
    orders = np.arange(-distance + 1, distance)
    found = (np.exp(-1j * np.outer(orders, angle)) @ (symbol * weights / 2)).real
    step = np.arange(distance)
    return float(np.linalg.det(found[distance - 1 + step[:, None] - step]))


BINDER = 0.61069
"""U4 of the periodic square at T_c for L -> infinity; Kamieniarz and Bloete, J. Phys. A 26, 201 (1993)."""
SQUARE = 1.09195
"""<m^2> L^(1/4) of the periodic square at T_c for L -> infinity: the average of `critical_correlation`."""
BACKGROUND = -0.104133
"""Regular part of the susceptibility at T_c; Orrick, Nickel, Guttmann and Perk, J. Stat. Phys. 102, 795 (2001)."""
SMALL = 8  # up to here <m^2> comes from the transfer matrix


def critical_square(side: int) -> float:
    """<m^2> per site of a periodic square of side L at T_c: exact up to L = 8, then from the scaling limit.

    That is SQUARE L^(-1/4), the regular part, and -0.077 L^(-9/4) (from transfer matrices, L = 4 to 10). What is left
    out is 0.002% at L = 10, and falls.
    """
    side = whole(side, "side", 1, LARGEST)
    if side <= SMALL:
        return _small_square(side)
    return SQUARE * side**-0.25 + BACKGROUND / side**2 - 0.077 * side**-2.25


@lru_cache
def _small_square(side: int) -> float:
    """<m^2> at T_c: L sum_y Tr(V^(L - y) M V^y M) / (L^4 Tr V^L), with the transfer matrix V and M of a row's spins."""
    rows = 1 - 2 * (np.arange(2**side)[:, None] >> np.arange(side) & 1)
    coupling = math.log(1 + math.sqrt(2)) / 2
    within = np.exp(coupling / 2 * (rows * np.roll(rows, 1, 1)).sum(1))
    values, vectors = np.linalg.eigh(within[:, None] * np.exp(coupling * (rows @ rows.T)) * within)
    values /= values[-1]
    moments = (vectors.T @ (rows.sum(1)[:, None] * vectors)) ** 2
    total = sum(values ** (side - y) @ moments @ values**y for y in range(side))
    return float(total / (side**3 * (values**side).sum()))


def critical_diagonal(side: int) -> float:
    """c11, the mean product of two spins on a diagonal of a square, on a periodic square of side L at T_c.

    2 / pi, and sqrt 2 times what `critical_energy` adds to c10 = 1 / sqrt 2: so much faster c11 changes with the
    temperature there (McCoy and Wu, The Two-Dimensional Ising Model (1973), chapter VIII). What is left out is near
    -0.2/L^3 (from transfer matrices, L = 6 to 10).
    """
    return 2 / math.pi - math.sqrt(2) * critical_energy(side) / 2 - 1
