"""What a sampler must agree with: exact mean energy and specific heat, and the whole P(E), by chi-squared.

The thresholds are set here, once, for every sampler.
"""

import itertools

import mpmath
import numpy as np

from kadanoff.spins.boundary import BOUNDARIES, Lattice
from kadanoff.spins.exact import enumerate_states
from kadanoff.spins.observables import energy

SIGMAS, SMALLEST_P = 4, 1e-4
EXPECTED_AT_LEAST = 10  # of each group of levels in a chi-squared


def lattices(*shapes):
    """Every boundary and sign of the coupling; a height of 1 makes a chain, which has no skewed boundary."""
    return [
        Lattice(*shape, boundary, coupling, dimension=min(shape[0], 2))
        for shape, boundary, coupling in itertools.product(shapes, BOUNDARIES, (1, -1))
        if shape[0] > 1 or boundary != "skewed"
    ]


def hot(lattice, chains, seed=1):
    return 2 * np.random.default_rng(seed).integers(0, 2, (chains, *lattice.shape), np.int8) - 1


def total_energies(spins, lattice, field=0.0):
    return np.rint(energy(spins.reshape(-1, *lattice.array_shape), lattice) * lattice.sites) - field * spins.sum((1, 2))


def sigmas(values, mean, square):
    """How far the mean of independent values lies from the exact one, in exact standard errors."""
    error = np.sqrt(max(square - mean**2, 0) / len(values))
    return abs(values.mean() - mean) / max(error, 1e-9)


def energy_sigmas(values, exact):
    """The same for the energy and, by the second central moment, for the specific heat; the worse of the two."""
    levels, probabilities = exact
    mean = probabilities @ levels
    mu2, mu4 = (probabilities @ (levels - mean) ** n for n in (2, 4))
    return max(sigmas(values - mean, 0, mu2), sigmas((values - mean) ** 2, mu2, mu4))


def chi_squared_p(values, exact):
    """p of the histogram of total energies; neighbouring levels are pooled."""
    levels, probabilities = exact
    index = np.clip(np.searchsorted(levels, values - 1e-6), 0, len(levels) - 1)
    assert np.allclose(levels[index], values, atol=1e-6), "an energy that the lattice does not have"
    observed, expected = np.bincount(index, minlength=len(levels)), probabilities * len(values)
    starts, pooled = [0], 0.0
    for i, share in enumerate(expected):
        pooled += share
        if pooled >= EXPECTED_AT_LEAST:
            starts, pooled = [*starts, i + 1], 0.0
    starts = starts[:-1] or [0]  # what is left over joins the last full group
    if len(starts) == 1:
        return 1.0
    expected, observed = np.add.reduceat(expected, starts), np.add.reduceat(observed, starts)
    chi_squared = ((observed - expected) ** 2 / expected).sum()
    return float(mpmath.gammainc((len(starts) - 1) / 2, chi_squared / 2, regularized=True))


def energies_agree(values, exact):
    """Whether total energies of independent configurations follow an exact `EnergyDistribution`."""
    return energy_sigmas(values, exact) < SIGMAS and chi_squared_p(values, exact) > SMALLEST_P


def agrees(spins, lattice, temperature, field=0.0):
    """Whether independent configurations have the exact energies and moments of m, by enumeration."""
    exact = enumerate_states(lattice)
    m = spins.mean((1, 2))
    m1, m2, m4 = (exact.magnetization(temperature, field, power=n) for n in (1, 2, 4))
    worst = [sigmas(m, m1, m2), sigmas(m**2, m2, m4)]
    worst.append(sigmas(abs(m), exact.absolute_magnetization(temperature, field), m2))
    energies = total_energies(spins, lattice, field)
    return max(worst) < SIGMAS and energies_agree(energies, exact.energy_distribution(temperature, field))
