"""Both samplers on tori of L = 8 to 32 against Kaufman: mean energy, specific heat, and the whole P(E)."""

import numpy as np
import pytest
from oracle import SIGMAS, energies_agree, sigmas

from kadanoff.montecarlo.rng import stream_key
from kadanoff.montecarlo.samplers import SAMPLERS
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, kaufman, kaufman_energy_distribution
from kadanoff.spins.observables import energy

CHAINS = 1024
# from a cold start (or its staggered image): at least 20 autocorrelation times at T_c and L = 32
SWEEPS = {"metropolis": 2500, "swendsen_wang": 150, "hybrid": 50}


def total_energies(sampler, lattice, temperature):
    stagger = 1 - 2 * (np.indices(lattice.shape).sum(0) % 2) if lattice.coupling == -1 else 1
    spins = (np.ones((CHAINS, *lattice.shape), np.int8) * stagger).astype(np.int8)
    key = stream_key(9, sampler, temperature, *lattice.shape, lattice.boundary, lattice.coupling)
    SAMPLERS[sampler](spins, lattice, temperature, 0.0, key, 0, 0, SWEEPS[sampler])
    return np.rint(energy(spins, lattice) * lattice.sites)


@pytest.mark.parametrize("size", [8, 16, 32])
@pytest.mark.parametrize("coupling", [1, -1])
@pytest.mark.parametrize("boundary", ["periodic", "antiperiodic"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_torus(sampler, boundary, coupling, size):
    lattice = Lattice(size, size, boundary, coupling)
    for temperature in (2.0, T_C, 3.0):
        values = total_energies(sampler, lattice, temperature)
        exact = kaufman_energy_distribution(size, size, temperature, boundary, coupling)
        assert energies_agree(values, exact)
        # and by the other way to the same numbers, the derivatives of ln Z
        mean, heat = kaufman(size, size, temperature, boundary, coupling)
        square = heat * temperature**2 / lattice.sites + mean**2
        assert sigmas(values / lattice.sites, mean, square) < SIGMAS
        wrong = kaufman_energy_distribution(size, size, 1.04 * temperature, boundary, coupling)
        assert not energies_agree(values, wrong)
