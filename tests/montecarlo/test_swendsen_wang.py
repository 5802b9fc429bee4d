"""Swendsen-Wang against enumeration, against Kaufman, and bit by bit against a plain version of itself."""

import hashlib
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from oracle import SIGMAS, energies_agree, sigmas

from kadanoff.errors import KadanoffError
from kadanoff.montecarlo.rng import philox, stream_key, threshold
from kadanoff.montecarlo.swendsen_wang import COIN, DOWN, OUT, RIGHT, advance
from kadanoff.spins.boundary import BOUNDARIES, Lattice
from kadanoff.spins.exact import T_C, enumerate_states, kaufman
from kadanoff.spins.observables import energy

KEY = stream_key(5, "swendsen_wang")
CHAINS, SWEEPS = 2000, 40
COLD_SWEEPS = 150  # where edges force a domain wall, clusters move it slowly: 40 suffice from T = 1.7 on
ALL = list(itertools.product(BOUNDARIES, (1, -1)))


def hot(chains, lattice, seed=1):
    signs = np.random.default_rng(seed).integers(0, 2, (chains, *lattice.shape), np.int8)
    return 2 * signs - 1


def sample(lattice, temperature, chains=CHAINS, sweeps=SWEEPS):
    spins = hot(chains, lattice)
    advance(spins, lattice, temperature, 0.0, KEY, 0, 0, sweeps)
    return spins


def agrees(spins, lattice, temperature):
    exact = enumerate_states(lattice)
    energies = np.rint(energy(spins.reshape(-1, *lattice.array_shape), lattice) * lattice.sites)
    m = spins.mean((1, 2))
    moments = [exact.magnetization(temperature, power=n) for n in (2, 4)]
    worst = max(
        sigmas(abs(m), exact.absolute_magnetization(temperature), moments[0]),
        sigmas(m**2, *moments),
    )
    return worst < SIGMAS and energies_agree(energies, exact.energy_distribution(temperature))


@pytest.mark.parametrize(("temperature", "sweeps"), [(1.4, COLD_SWEEPS), (T_C, SWEEPS), (4.0, SWEEPS)])
@pytest.mark.parametrize(("boundary", "coupling"), ALL)
def test_4_by_4(boundary, coupling, temperature, sweeps):
    lattice = Lattice(4, 4, boundary, coupling)
    assert agrees(sample(lattice, temperature, sweeps=sweeps), lattice, temperature)


@pytest.mark.parametrize("shape", [(3, 3), (3, 4), (5, 2), (2, 5), (2, 2)])
@pytest.mark.parametrize(("boundary", "coupling"), ALL)
def test_odd_rectangular_and_doubled_bonds(boundary, coupling, shape):
    lattice = Lattice(*shape, boundary, coupling)
    assert agrees(sample(lattice, 1.7), lattice, 1.7)


@pytest.mark.parametrize("width", [2, 7, 12])
@pytest.mark.parametrize(("boundary", "coupling"), [case for case in ALL if case[0] != "skewed"])
def test_chain(boundary, coupling, width):
    lattice = Lattice(1, width, boundary, coupling, dimension=1)
    assert agrees(sample(lattice, 1.1), lattice, 1.1)


@pytest.mark.parametrize(("boundary", "coupling"), ALL)
def test_the_oracle_rejects_the_neighbouring_temperature(boundary, coupling):
    lattice = Lattice(4, 4, boundary, coupling)
    spins = sample(lattice, T_C)
    assert not agrees(spins, lattice, 1.1 * T_C)
    assert not agrees(spins, lattice, T_C / 1.1)


@pytest.mark.parametrize(("boundary", "coupling"), [case for case in ALL if "periodic" in case[0]])
def test_more_than_one_word_a_row_at_t_c(boundary, coupling):
    lattice = Lattice(12, 70, boundary, coupling)
    exact = kaufman(12, 70, T_C, boundary, coupling)
    energies = energy(sample(lattice, T_C, chains=400), lattice)
    error = T_C * np.sqrt(exact.specific_heat / lattice.sites / len(energies))
    assert abs(energies.mean() - exact.energy) < SIGMAS * error
    wrong = kaufman(12, 70, 1.02 * T_C, boundary, coupling)
    assert abs(energies.mean() - wrong.energy) > SIGMAS * error


# --- fixed spins -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("coupling", [1, -1])
def test_rows_between_fixed_rows_have_the_exact_profile(coupling):
    lattice = Lattice(4, 3, "skewed", coupling)
    states = np.array(list(itertools.product((1, -1), repeat=lattice.sites)), np.int8)
    states = states.reshape(-1, *lattice.shape)
    weights = np.exp(-energy(states, lattice) * lattice.sites / 1.5)
    exact = weights @ states.mean(2) / weights.sum()
    rows = sample(lattice, 1.5).mean(2)
    assert np.all(abs(rows.mean(0) - exact) < SIGMAS * rows.std(0) / np.sqrt(CHAINS))
    assert coupling * exact[0] > 0.2


def test_a_cluster_that_holds_fixed_spins_stays():
    spins = np.ones((50, 6, 70), np.int8)
    spins[25:] = -1
    before = spins.copy()
    advance(spins, Lattice(6, 70, "skewed"), 0.05, 0.0, KEY, 0, 0, 20)
    assert np.array_equal(spins, before)
    advance(spins, Lattice(6, 70, "periodic"), 0.05, 0.0, KEY, 0, 0, 20)
    assert 0 < (spins[:, 0, 0] != before[:, 0, 0]).sum() < 50


# --- percolation -----------------------------------------------------------------------------------------


def test_every_site_is_a_cluster_when_it_is_hot():
    lattice = Lattice(64, 100)
    before = hot(10, lattice)
    after = before.copy()
    advance(after, lattice, 1e9, 0.0, KEY, 0, 0, 1)
    turned = (before * after).astype(float)
    for value in (turned, turned * np.roll(turned, 1, 2), turned * np.roll(turned, 1, 1)):
        assert abs(value.mean()) < SIGMAS / np.sqrt(turned.size)


@pytest.mark.parametrize(("boundary", "coupling"), ALL)
def test_every_satisfied_bond_is_active_when_it_is_cold(boundary, coupling):
    lattice = Lattice(20, 70, boundary, coupling)
    before = hot(10, lattice)
    after = before.copy()
    advance(after, lattice, 0.01, 0.0, KEY, 0, 0, 1)
    assert np.any(before != after)
    for bonds, axis in ((lattice.right, 2), (lattice.down, 1)):
        satisfied = bonds * before * np.roll(before, -1, axis) > 0
        assert np.all((bonds * after * np.roll(after, -1, axis) > 0)[satisfied])
    fixed = lattice.ghost * before > 0
    assert np.all((lattice.ghost * after > 0)[fixed])


# --- the same, site by site ------------------------------------------------------------------------------


def plain_numbers(lattice, purpose, sweep, chain, pairs=16):
    """32-bit random number of each site: bit l of the words of planes 0 to 31, the highest first."""
    words = -(-lattice.width // 64)
    values = np.zeros((lattice.height * words, 64), np.uint64)
    for w, pair in itertools.product(range(len(values)), range(pairs)):
        counter = (np.uint64(c) for c in (w, sweep, int(purpose) + pair, chain))
        for plane in philox(KEY, *counter):
            values[w] = (values[w] << 1) | ((np.uint64(plane) >> np.arange(64, dtype=np.uint64)) & 1)
    return values.reshape(lattice.height, -1)[:, : lattice.width]


def plain_sweep(spins, lattice, temperature, sweep, chain):
    """One sweep of one chain: the definition, one bond after another."""
    inactive = threshold(2.0, temperature)
    sites = np.arange(lattice.sites).reshape(lattice.shape)
    pairs = []
    for bonds, axis, purpose in ((lattice.right, 1, RIGHT), (lattice.down, 0, DOWN)):
        satisfied = bonds * spins * np.roll(spins, -1, axis) > 0
        active = satisfied & (plain_numbers(lattice, purpose, sweep, chain) >= inactive)
        pairs += zip(sites[active], np.roll(sites, -1, axis)[active], strict=True)
    frozen = (lattice.ghost * spins > 0) & (plain_numbers(lattice, OUT, sweep, chain) >= inactive)
    labels = sites.ravel().copy()
    for a, b in pairs:
        labels[labels == max(labels[a], labels[b])] = min(labels[a], labels[b])
    coins = plain_numbers(lattice, COIN, sweep, chain, pairs=1) >> 1  # the first word of the block
    turned = coins.ravel()[labels].astype(bool) & ~np.isin(labels, labels[frozen.ravel()])
    return np.where(turned.reshape(lattice.shape), -spins, spins)


@pytest.mark.parametrize("temperature", [0.01, T_C, 1e9])
@pytest.mark.parametrize(("boundary", "coupling"), ALL)
@pytest.mark.parametrize("shape", [(2, 2), (4, 64), (3, 130)])
def test_the_same_as_the_plain_version(shape, boundary, coupling, temperature):
    lattice = Lattice(*shape, boundary, coupling)
    spins = sample(lattice, T_C, chains=1, sweeps=10)
    expected = plain_sweep(spins[0], lattice, temperature, sweep=10, chain=3)
    advance(spins, lattice, temperature, 0.0, KEY, 3, 10, 1)
    assert np.array_equal(spins[0], expected)


# --- reproducible ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 4), (6, 100)])
def test_calls_can_be_split(shape):
    lattice = Lattice(*shape, "skewed")
    whole = hot(7, lattice)
    parts = whole.copy()
    advance(whole, lattice, T_C, 0.0, KEY, 20, 5, 9)
    advance(parts[4:], lattice, T_C, 0.0, KEY, 24, 5, 9)
    for first_sweep, sweeps in ((5, 2), (7, 0), (7, 7)):
        advance(parts[:4], lattice, T_C, 0.0, KEY, 20, first_sweep, sweeps)
    assert np.array_equal(whole, parts)


def test_threads_do_not_change_a_byte():
    lattice = Lattice(32, 32)
    one = sample(lattice, T_C, chains=40)
    many = hot(40, lattice)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda c: advance(many[c : c + 1], lattice, T_C, 0.0, KEY, c, 0, SWEEPS), range(40)))
    assert np.array_equal(one, many)


@pytest.mark.parametrize("changed", [{"key": KEY + np.uint64(1)}, {"first_chain": 1}, {"first_sweep": 1}])
def test_another_place_gives_other_bits(changed):
    lattice = Lattice(8, 8)
    place = {"key": KEY, "first_chain": 0, "first_sweep": 0}
    results = []
    for where in (place, place | changed):
        spins = np.ones((1, 8, 8), np.int8)
        advance(spins, lattice, 3.0, 0.0, **where, sweeps=1)
        results.append(spins)
    assert not np.array_equal(*results)


def test_golden_bytes():
    spins = np.ones((3, 5, 67), np.int8)
    advance(spins, Lattice(5, 67, "antiperiodic"), 2.0, 0.0, np.uint64(2024), 1, 2, 30)
    assert hashlib.md5(spins.tobytes()).hexdigest() == "7c9173f40adeb61ed001598a05987b4b"


def test_a_field_is_refused():
    spins = np.ones((1, 4, 4), np.int8)
    with pytest.raises(KadanoffError, match=r"field is 0\.1.*sampler: metropolis"):
        advance(spins, Lattice(4, 4), 2.0, 0.1, KEY, 0, 0, 1)
