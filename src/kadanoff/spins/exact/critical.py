"""The critical energy of large square tori, whose exact sums would take too long.

Source: Ferdinand and Fisher, Phys. Rev. 185, 832 (1969).
"""

import mpmath


def critical_energy(side: int) -> float:
    """Energy a site of a periodic square of side L at T_c: -sqrt 2 - (2/L) t2 t3 t4 / (t2 + t3 + t4).

    The t are Jacobi's theta constants at the nome exp(-pi). What is left out is near 0.207/L^3, 1.2e-8 at L = 256 (from
    Kaufman's sums at L = 16 to 128).
    """
    second, third, fourth = (mpmath.jtheta(number, 0, mpmath.exp(-mpmath.pi)) for number in (2, 3, 4))
    return float(-mpmath.sqrt(2) - 2 * second * third * fourth / ((second + third + fourth) * side))
