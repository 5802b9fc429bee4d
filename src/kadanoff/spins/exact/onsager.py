"""The infinite square lattice: Onsager's energy and specific heat, Yang's magnetization."""

import mpmath
import numpy as np
from numpy.typing import ArrayLike, NDArray

from kadanoff.errors import numbers
from kadanoff.spins.exact.thermal import Thermal, inverse_temperature

T_C = float(2 / np.log(1 + np.sqrt(2)))
"""Critical temperature of the square lattice, 2 / ln(1 + sqrt 2), in units of |J|/k_B."""


def onsager(temperature: float) -> Thermal:
    """Mean energy and specific heat per site of the infinite lattice; either sign of J.

    Onsager, Phys. Rev. 65, 117 (1944): with K = 1/T, t = tanh 2K and the complete elliptic integrals F and E
    of modulus 2 sinh 2K / cosh^2 2K, the energy is -coth 2K [1 + (2/pi) (2 t^2 - 1) F], and the specific heat
    (4/pi) (K coth 2K)^2 {F - E - (1 - t^2) [pi/2 + (2 t^2 - 1) F]}. It diverges as ln|T - T_c|: at `T_C`, the
    float nearest to T_c, it is finite (17.9).

    Raises
    ------
    KadanoffError
        If the temperature is not positive.
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
    """(1 - sinh(2/T)^-4)^(1/8) below T_c, else 0, for each temperature.

    C. N. Yang, Phys. Rev. 85, 808 (1952).

    Raises
    ------
    KadanoffError
        If a temperature is not positive.
    """
    temperatures = numbers(temperature, "temperature").astype(float)
    inverse_temperature(temperatures.min(initial=T_C))
    ordered = np.minimum(temperatures, T_C)
    # 1/sinh(x) as 2 e^-x / (1 - e^-2x), so that low temperatures do not overflow.
    inverse_sinh = 2 * np.exp(-2 / ordered) / -np.expm1(-4 / ordered)
    return np.where(temperatures < T_C, np.maximum(1 - inverse_sinh**4, 0) ** 0.125, 0.0)
