"""The hybrid sampler where a wall is forced, cold and large, against the exact P(E); and what its sweeps are."""

import numpy as np
import pytest
from oracle import energies_agree, hot, total_energies

from kadanoff.montecarlo import hybrid, metropolis, swendsen_wang
from kadanoff.montecarlo.hybrid import advance
from kadanoff.montecarlo.rng import stream_key
from kadanoff.montecarlo.samplers import ground_states
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import exact_energy_distribution

KEY = stream_key(6, "hybrid")
CHAINS, SWEEPS = 1024, 50
WALLED = [Lattice(24, 24, "skewed"), Lattice(24, 24, "antiperiodic"), Lattice(20, 32, "skewed")]


def cold_energies(sampler, lattice, temperature, spins):
    key = stream_key(7, temperature, *lattice.shape, lattice.boundary)
    sampler(spins, lattice, temperature, 0.0, key, 0, 0, SWEEPS)
    return total_energies(spins, lattice)


@pytest.mark.parametrize("temperature", [0.5, 1.5])
@pytest.mark.parametrize("lattice", WALLED, ids=str)
def test_from_ground_states_the_wall_has_the_exact_energies_and_clusters_alone_do_not(lattice, temperature):
    exact = exact_energy_distribution(lattice, temperature)
    found = cold_energies(advance, lattice, temperature, ground_states(lattice, KEY, 0, CHAINS))
    assert energies_agree(found, exact)
    assert not energies_agree(found, exact_energy_distribution(lattice, 1.25 * temperature))
    clusters = cold_energies(swendsen_wang.advance, lattice, temperature, hot(lattice, CHAINS))
    assert not energies_agree(clusters, exact)


def test_the_start_alone_is_not_in_equilibrium():
    lattice = WALLED[0]
    ground = total_energies(ground_states(lattice, KEY, 0, CHAINS), lattice)
    assert len(set(ground)) == 1
    assert not energies_agree(ground, exact_energy_distribution(lattice, 0.5))


def test_steps_of_a_wall_that_always_move_would_never_meet(monkeypatch):
    def accepting(*arguments):
        metropolis_advance(*arguments[:8])

    lattice, metropolis_advance = WALLED[0], metropolis.advance
    monkeypatch.setattr(metropolis, "advance", accepting)
    found = cold_energies(advance, lattice, 0.5, ground_states(lattice, KEY, 0, CHAINS))
    assert not energies_agree(found, exact_energy_distribution(lattice, 0.5))


def test_chains_go_one_by_one_where_lanes_are_strips():
    lattice = Lattice(256, 256)
    assert metropolis.layout(lattice) == "strips"
    whole = hot(lattice, 3)
    parts = whole.copy()
    advance(whole, lattice, 2.269, 0.0, KEY, 5, 0, 2)
    for chain in range(3):
        advance(parts[chain : chain + 1], lattice, 2.269, 0.0, KEY, 5 + chain, 0, 2)
    assert np.array_equal(whole, parts)


def test_a_sweep_is_one_of_clusters_four_of_metropolis_and_four_of_the_heat_bath(monkeypatch):
    calls = []
    monkeypatch.setattr(swendsen_wang, "advance", lambda *given: calls.append(("clusters", *given[4:])))
    monkeypatch.setattr(metropolis, "advance", lambda *given: calls.append(("spins", *given[4:])))
    advance(hot(Lattice(4, 4), 1), Lattice(4, 4), 2.0, 0.0, KEY, 64, 3, 2)
    other = KEY ^ hybrid.OTHER_STREAM
    assert other != KEY
    assert calls == [
        ("clusters", KEY, 64, 3, 1),
        ("spins", other, 64, 24, 4, False),
        ("spins", other, 64, 28, 4, True),
        ("clusters", KEY, 64, 4, 1),
        ("spins", other, 64, 32, 4, False),
        ("spins", other, 64, 36, 4, True),
    ]
