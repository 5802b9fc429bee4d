"""All states of small lattices with their exact weights, and the chi-squared test that samples must pass.

The threshold is set here, once, for every sampler of this folder.
"""

import mpmath
import numpy as np

from kadanoff.spins.boundary import Lattice
from kadanoff.spins.observables import energy

SMALLEST_P = 1e-4
EXPECTED_AT_LEAST = 10  # of each group of states in a chi-squared


def every_state(shape):
    """All fine configurations int8 (2^sites, *shape): 4 x 4, or a chain of 8."""
    sites = int(np.prod(shape))
    bits = np.arange(2**sites)[:, None] >> np.arange(sites) & 1
    return (2 * bits - 1).astype(np.int8).reshape(-1, *shape)


def weights(configurations, temperature):
    """exp(-E/T) of periodic configurations."""
    dimension = configurations.ndim - 1
    lattice = Lattice.of(configurations.shape[1:] if dimension == 2 else configurations.shape[1], dimension=dimension)
    energies = energy(configurations, lattice) * lattice.sites
    return np.exp(-(energies - energies.min()) / temperature)


def numbers(configurations):
    """The place of each configuration in `every_state`."""
    flat = configurations.reshape(len(configurations), -1)
    return (flat > 0) @ (1 << np.arange(flat.shape[1]))


def chi_squared_p(observed, probabilities):
    """p of counts; states are pooled in the order of their probability until 10 are expected."""
    order = np.argsort(-probabilities, kind="stable")
    observed, expected = observed[order], probabilities[order] / probabilities.sum() * observed.sum()
    assert not observed[expected == 0].any(), "a state that is not allowed"
    group = (np.cumsum(expected) / EXPECTED_AT_LEAST).astype(int)
    start = np.flatnonzero(np.diff(group, prepend=-1))
    observed, expected = np.add.reduceat(observed, start), np.add.reduceat(expected, start)
    # a probable state fills several steps of ten; groups of less than five join the one before
    kept = np.flatnonzero(expected >= EXPECTED_AT_LEAST / 2)
    kept[0] = 0
    observed, expected = np.add.reduceat(observed, kept), np.add.reduceat(expected, kept)
    chi_squared = ((observed - expected) ** 2 / expected).sum()
    return float(mpmath.gammainc((len(kept) - 1) / 2, chi_squared / 2, regularized=True))


def block_probabilities(coarse, fine, table):
    """P(state) of every block given what it sees, by rolled arrays instead of loops: (n, y, x, states)."""
    coarse, fine = (spins.reshape(len(spins), -1, spins.shape[-1]) for spins in (coarse, fine))
    height, width = fine.shape[1] // coarse.shape[1], fine.shape[2] // coarse.shape[2]
    rolled = [np.roll(coarse, (-y, -x), (1, 2)) for y, x in table.part.coarse]
    rolled += [np.roll(fine, (-y, -x), (1, 2))[:, ::height, ::width] for y, x in table.part.fine]
    return table.probabilities[sum((spins > 0) << bit for bit, spins in enumerate(rolled))]
