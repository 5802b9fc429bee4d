"""The chain. Ising, Z. Phys. 31, 253 (1925); Baxter, Exactly Solved Models (1982), sections 2.1 and 2.2.

With t = tanh(1/T), a ring of N spins has Z = (2 cosh 1/T)^N (1 + f t^N), where f is the product of the signs
of its N bonds; an open chain has Z = 2^N cosh(1/T)^(N-1).
"""

import math

import mpmath
import numpy as np
from numpy.typing import ArrayLike, NDArray

from kadanoff.errors import KadanoffError, numbers, shown
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact.thermal import Thermal, inverse_temperature


def chain(sites: int, temperature: float, boundary: str = "periodic", coupling: int = 1) -> Thermal:
    """Mean energy and specific heat per site of a chain of N = `sites` spins.

    Open: -(1 - 1/N) t and (1 - 1/N) (1 - t^2) / T^2. Ring: -(t + f t^(N-1)) / (1 + f t^N) and
    (1 - t^2) (1 - t^(2N-2) + f (N-1) t^(N-2) (1 - t^2)) / (1 + f t^N)^2 / T^2, the derivatives of ln Z.
    KadanoffError if the temperature is not positive or `Lattice` refuses the chain.
    """
    flux = _flux(sites, boundary, coupling)
    with mpmath.workdps(_digits(temperature)):
        beta = mpmath.mpf(inverse_temperature(temperature))
        t = mpmath.tanh(beta)
        if flux == 0:
            energy, heat = -t * (sites - 1) / sites, (1 - t**2) * (sites - 1) / sites
        else:
            norm = 1 + flux * t**sites
            energy = -(t + flux * t ** (sites - 1)) / norm
            finite = flux * (sites - 1) * t ** (sites - 2) * (1 - t**2)
            heat = (1 - t**2) * (1 - t ** (2 * sites - 2) + finite) / norm**2
        return Thermal(float(energy), float(beta**2 * heat))


def chain_correlation(
    distance: ArrayLike, sites: int, temperature: float, boundary: str = "periodic", coupling: int = 1
) -> NDArray[np.float64]:
    """<s_0 s_r> for each r = `distance`, of 0 to N - 1 bonds, none of them across the edge.

    Open: (J t)^r. Ring: J^r (t^r + f t^(N-r)) / (1 + f t^N). On an antiperiodic ring, a pair across the edge has the
    opposite sign. KadanoffError as of `chain`, and for a distance outside of the chain.
    """
    flux = _flux(sites, boundary, coupling)
    distances = numbers(distance, "distance")
    if distances.dtype.kind == "f" or ((distances < 0) | (distances >= sites)).any():
        raise KadanoffError(
            f"distance is {shown(distances.tolist())}; on a chain of {sites} spins it lies in 0..{sites - 1}."
        )
    with mpmath.workdps(_digits(temperature)):
        t = mpmath.tanh(mpmath.mpf(inverse_temperature(temperature)))
        values = [
            float(coupling**r * (t**r + flux * t ** (sites - r)) / (1 + flux * t**sites))
            for r in distances.ravel().tolist()
        ]
    return np.array(values).reshape(distances.shape)


def ring_order(sites: int, temperature: float) -> float:
    """<|m|> of a ring of N = `sites` spins.

    A sum over the number n of + spins and k of their clusters: (N/k) C(n-1, k-1) C(N-n-1, k-1) states of 2k
    unsatisfied bonds.
    """
    weight = math.exp(-4 * inverse_temperature(temperature))
    total, norm = 2.0, 2.0  # all spins equal
    for up in range(1, sites):
        most = min(up, sites - up)
        states = sum(
            sites / k * math.comb(up - 1, k - 1) * math.comb(sites - up - 1, k - 1) * weight**k
            for k in range(1, most + 1)
        )
        norm += states
        total += states * abs(2 * up - sites) / sites
    return total / norm


def _flux(sites: int, boundary: str, coupling: int) -> int:
    """Product of the signs of the ring's bonds; 0 for an open chain."""
    return int(np.prod(Lattice.of(sites, boundary, coupling, dimension=1).right.astype(int)))


def _digits(temperature: float) -> int:
    # 1 - t is 2 exp(-2/T), and a frustrated ring divides by its square.
    return 40 + int(4 * inverse_temperature(temperature))
