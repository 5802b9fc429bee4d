"""The exact density of states of a torus, in integers, and P(E) at any temperature, of skewed cylinders too.

Beale, Phys. Rev. Lett. 76, 78 (1996), expands Kaufman's four sectors symbolically. Here they are evaluated modulo
primes (`residues`).
"""

import math
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact.cylinder import skewed_density_of_states
from kadanoff.spins.exact.kaufman import SIGNS, signed_sum, torus
from kadanoff.spins.exact.residues import MOST_SITES, coefficients, numbers_of_states, remainder, roots_of_unity
from kadanoff.spins.exact.thermal import EnergyDistribution, inverse_temperature


def exact_energy_distribution(lattice: Lattice, temperature: float) -> EnergyDistribution:
    """Exact P(E) over the total energies, fixed rows included, of a periodic, antiperiodic or skewed lattice.

    The first temperature takes as long as the density of states, every other one milliseconds. KadanoffError if the
    temperature is not positive, or the lattice is free, a chain or has more than 16,384 spins.

    >>> import kadanoff
    >>> from kadanoff.spins.boundary import Lattice
    >>> exact = kadanoff.exact_energy_distribution(Lattice(16, 16), 3.0)
    >>> round(exact.thermal(sites=256, temperature=3.0).energy, 3)
    -0.818
    """
    beta = inverse_temperature(temperature)
    if lattice.dimension == 1 or lattice.boundary not in (*SIGNS, "skewed"):
        kind = "chain" if lattice.dimension == 1 else "lattice"
        raise KadanoffError(
            f"the {kind} is {lattice.boundary}; the exact P(E) of a large lattice is known for two dimensions and the "
            f"boundaries {', '.join(SIGNS)} and skewed. Take `transfer_energy_distribution` if it is narrow."
        )
    unsatisfied, logarithms, bonds = _logarithms(lattice.height, lattice.width, lattice.boundary)
    if lattice.coupling == -1:  # reversing every bond turns k unsatisfied bonds into bonds - k
        unsatisfied, logarithms = bonds - unsatisfied[::-1], logarithms[::-1]
    energies = 2.0 * unsatisfied - bonds
    exponents = logarithms - beta * (energies - energies[0])
    weights = np.exp(exponents - exponents.max())
    return EnergyDistribution(energies, weights / weights.sum())


@lru_cache(maxsize=32)
def _logarithms(height: int, width: int, boundary: str) -> tuple[NDArray, NDArray, int]:
    """The numbers of unsatisfied bonds that occur, rising, the logarithms of their numbers of states, and all bonds."""
    skewed = boundary == "skewed"
    counts = skewed_density_of_states(height, width) if skewed else torus_density_of_states(height, width, boundary)
    occurring = [k for k, count in enumerate(counts) if count]
    return np.array(occurring), np.array([math.log(counts[k]) for k in occurring]), len(counts) - 1


@lru_cache(maxsize=32)
def torus_density_of_states(height: int, width: int, boundary: str = "periodic") -> tuple[int, ...]:
    """Number of states with k = 0..2N unsatisfied bonds (total energy 2k - 2N) of a ferromagnet of N spins.

    Takes 1 s for 64 x 64, 10 s for 100 x 100, 25 s for 128 x 128, up to 3 times that with an odd side; then cached.
    KadanoffError if the boundary is not periodic or antiperiodic, or there are more than 16,384 spins.
    """
    sites = torus(height, width, boundary).sites
    if sites > MOST_SITES:
        raise KadanoffError(
            f"{height} x {width} has {sites} spins; the density of states is limited to {MOST_SITES}. "
            "`kaufman` gives the energy and specific heat at any size."
        )
    # Every spin has four bonds, so k is even, or odd where an odd number of bonds is reversed.
    odd = (height + width) % 2 if boundary == "antiperiodic" else 0
    cyclic = numbers_of_states(sites, partial(_modulo, height, width, boundary, odd))
    counts = [0] * (2 * sites + 1)
    if odd:
        counts[1::2] = cyclic
    else:  # with N roots of unity k = 2N is counted as k = 0, where no bond is unsatisfied
        ground = 2 if boundary == "periodic" else 0
        counts[::2] = [ground, *cyclic[1:], cyclic[0] - ground]
    return tuple(counts)


def _modulo(height: int, width: int, boundary: str, odd: int, prime: int) -> NDArray[np.int64]:
    """Numbers of states with odd, odd + 2, .. odd + 2N - 2 unsatisfied bonds (2N with 0), modulo a prime below 2^31.

    They are the coefficients of a polynomial in z^2: its values at all N-th roots of unity, transformed back.
    """
    n, m = sorted((height, width))
    sites, reduce = n * m, remainder(prime)
    z = roots_of_unity(2 * sites, prime)
    cosines = [int(z[m * j] + z[-m * j]) % prime for j in range(n + 1)]
    # On even sides two sublattices can be told apart: k and 2N - k have as many states, z and 1/z the same value.
    symmetric = height % 2 == width % 2 == 0
    values = signed_sum(z[: sites // 2 + 1 if symmetric else sites], cosines, m, boundary, reduce)
    if symmetric:
        values = np.concatenate([values, values[-2:0:-1]])
    return coefficients(reduce(values * z[-odd * np.arange(sites)]), z, prime)
