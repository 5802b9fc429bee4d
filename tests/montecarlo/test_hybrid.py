"""The hybrid sampler against enumeration, and where a wall is forced, cold and large, against the exact P(E)."""

import hashlib
import itertools

import numpy as np
import pytest
from oracle import SIGMAS, energies_agree, sigmas

from kadanoff.errors import KadanoffError
from kadanoff.montecarlo import hybrid, metropolis, swendsen_wang
from kadanoff.montecarlo.ground import ground_states
from kadanoff.montecarlo.hybrid import advance
from kadanoff.montecarlo.rng import stream_key
from kadanoff.spins.boundary import BOUNDARIES, Lattice
from kadanoff.spins.exact import T_C, enumerate_states, exact_energy_distribution
from kadanoff.spins.observables import energy

KEY = stream_key(6, "hybrid")
CHAINS, SWEEPS = 2000, 25  # from hot starts; the slowest is 4 x 4 with fixed rows at T = 1.4
COLD_CHAINS, COLD_SWEEPS = 1024, 50
ALL = list(itertools.product(BOUNDARIES, (1, -1)))
WALLED = [Lattice(24, 24, "skewed"), Lattice(24, 24, "antiperiodic"), Lattice(20, 32, "skewed")]


def hot(chains, lattice, seed=1):
    signs = np.random.default_rng(seed).integers(0, 2, (chains, *lattice.shape), np.int8)
    return 2 * signs - 1


def sample(lattice, temperature, chains=CHAINS, sweeps=SWEEPS):
    spins = hot(chains, lattice)
    advance(spins, lattice, temperature, 0.0, KEY, 0, 0, sweeps)
    return spins


def total_energies(spins, lattice):
    return np.rint(energy(spins.reshape(-1, *lattice.array_shape), lattice) * lattice.sites)


def agrees(spins, lattice, temperature):
    exact = enumerate_states(lattice)
    m = spins.mean((1, 2))
    moments = [exact.magnetization(temperature, power=n) for n in (2, 4)]
    worst = max(sigmas(abs(m), exact.absolute_magnetization(temperature), moments[0]), sigmas(m**2, *moments))
    return worst < SIGMAS and energies_agree(total_energies(spins, lattice), exact.energy_distribution(temperature))


@pytest.mark.parametrize("temperature", [1.4, T_C, 4.0])
@pytest.mark.parametrize(("boundary", "coupling"), ALL)
def test_4_by_4(boundary, coupling, temperature):
    lattice = Lattice(4, 4, boundary, coupling)
    spins = sample(lattice, temperature)
    assert agrees(spins, lattice, temperature)
    assert not agrees(spins, lattice, 1.15 * temperature)
    assert not agrees(spins, lattice, temperature / 1.15)


@pytest.mark.parametrize("shape", [(3, 3), (5, 2), (2, 5), (2, 2)])
@pytest.mark.parametrize(("boundary", "coupling"), ALL)
def test_odd_rectangular_and_doubled_bonds(boundary, coupling, shape):
    lattice = Lattice(*shape, boundary, coupling)
    assert agrees(sample(lattice, 1.7), lattice, 1.7)


@pytest.mark.parametrize(("boundary", "coupling"), [case for case in ALL if case[0] != "skewed"])
def test_chain(boundary, coupling):
    lattice = Lattice(1, 12, boundary, coupling, dimension=1)
    assert agrees(sample(lattice, 1.1), lattice, 1.1)


# --- where a wall is forced ------------------------------------------------------------------------------


def cold_energies(sampler, lattice, temperature, spins, sweeps=COLD_SWEEPS):
    key = stream_key(7, temperature, *lattice.shape, lattice.boundary)
    sampler(spins, lattice, temperature, 0.0, key, 0, 0, sweeps)
    return total_energies(spins, lattice)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("lattice", WALLED, ids=str)
def test_from_ground_states_the_wall_has_the_exact_energies_and_clusters_alone_do_not(lattice, temperature):
    exact = exact_energy_distribution(lattice, temperature)
    found = cold_energies(advance, lattice, temperature, ground_states(lattice, KEY, 0, COLD_CHAINS))
    assert energies_agree(found, exact)
    assert not energies_agree(found, exact_energy_distribution(lattice, 1.25 * temperature))
    clusters = cold_energies(swendsen_wang.advance, lattice, temperature, hot(COLD_CHAINS, lattice))
    assert not energies_agree(clusters, exact)


def test_the_start_alone_is_not_in_equilibrium():
    lattice = WALLED[0]
    ground = total_energies(ground_states(lattice, KEY, 0, COLD_CHAINS), lattice)
    assert len(set(ground)) == 1
    assert not energies_agree(ground, exact_energy_distribution(lattice, 0.5))


def test_steps_of_a_wall_that_always_move_would_never_meet(monkeypatch):
    def accepting(*arguments):
        metropolis_advance(*arguments[:8])

    lattice, metropolis_advance = WALLED[0], metropolis.advance
    monkeypatch.setattr(metropolis, "advance", accepting)
    for sweeps in (COLD_SWEEPS, 4 * COLD_SWEEPS):
        ground = ground_states(lattice, KEY, 0, COLD_CHAINS)
        found = cold_energies(advance, lattice, 0.5, ground, sweeps)
        assert not energies_agree(found, exact_energy_distribution(lattice, 0.5))


# --- reproducible ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lattice", [Lattice(4, 4, "skewed"), Lattice(6, 100, "skewed"), Lattice(40, 64)], ids=str)
def test_calls_can_be_split(lattice):
    whole = hot(70, lattice)  # a group of 64 lanes, and a part of the next
    parts = whole.copy()
    advance(whole, lattice, T_C, 0.0, KEY, 128, 5, 9)
    advance(parts[64:], lattice, T_C, 0.0, KEY, 192, 5, 9)
    for first_sweep, sweeps in ((5, 2), (7, 0), (7, 7)):
        advance(parts[:64], lattice, T_C, 0.0, KEY, 128, first_sweep, sweeps)
    assert np.array_equal(whole, parts)


def test_chains_go_one_by_one_where_lanes_are_strips():
    lattice = Lattice(256, 256)
    assert metropolis.layout(lattice) == "strips"
    whole = hot(3, lattice)
    parts = whole.copy()
    advance(whole, lattice, T_C, 0.0, KEY, 5, 0, 2)
    for chain in range(3):
        advance(parts[chain : chain + 1], lattice, T_C, 0.0, KEY, 5 + chain, 0, 2)
    assert np.array_equal(whole, parts)


@pytest.mark.parametrize("changed", [{"key": KEY + np.uint64(1)}, {"first_chain": 64}, {"first_sweep": 1}])
def test_another_place_gives_other_bits(changed):
    lattice = Lattice(8, 8)
    place = {"key": KEY, "first_chain": 0, "first_sweep": 0}
    results = []
    for where in (place, place | changed):
        spins = np.ones((1, 8, 8), np.int8)
        advance(spins, lattice, 3.0, 0.0, **where, sweeps=1)
        results.append(spins)
    assert not np.array_equal(*results)


def test_a_sweep_is_one_of_clusters_four_of_metropolis_and_four_of_the_heat_bath(monkeypatch):
    calls = []
    monkeypatch.setattr(swendsen_wang, "advance", lambda *given: calls.append(("clusters", *given[4:])))
    monkeypatch.setattr(metropolis, "advance", lambda *given: calls.append(("spins", *given[4:])))
    advance(hot(1, Lattice(4, 4)), Lattice(4, 4), 2.0, 0.0, KEY, 64, 3, 2)
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


def test_golden_bytes():
    spins = np.ones((3, 5, 67), np.int8)
    advance(spins, Lattice(5, 67, "antiperiodic"), 2.0, 0.0, np.uint64(2024), 64, 2, 10)
    assert hashlib.md5(spins.tobytes(), usedforsecurity=False).hexdigest() == "e47bfcba64728219e5e7fa0586be6e4d"


def test_a_field_is_refused():
    spins = np.ones((1, 4, 4), np.int8)
    with pytest.raises(KadanoffError, match=r"field is 0\.1.*sampler: metropolis"):
        advance(spins, Lattice(4, 4), 2.0, 0.1, KEY, 0, 0, 1)
    assert np.all(spins == 1)
