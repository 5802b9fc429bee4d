"""Swendsen-Wang: rows of several words, fixed spins, clusters; and bit by bit against a plain version of itself."""

import itertools

import numpy as np
import pytest
from oracle import SIGMAS, hot, lattices

from kadanoff.montecarlo.rng import philox, stream_key, threshold
from kadanoff.montecarlo.swendsen_wang import COIN, DOWN, OUT, RIGHT, advance
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, kaufman
from kadanoff.spins.observables import energy

KEY = stream_key(5, "swendsen_wang")
CHAINS = 2000


def sample(lattice, temperature, chains=CHAINS, sweeps=40):
    spins = hot(lattice, chains)
    advance(spins, lattice, temperature, 0.0, KEY, 0, 0, sweeps)
    return spins


@pytest.mark.parametrize(("boundary", "coupling"), [("periodic", 1), ("antiperiodic", -1)])
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
    before = hot(lattice, 10)
    after = before.copy()
    advance(after, lattice, 1e9, 0.0, KEY, 0, 0, 1)
    turned = (before * after).astype(float)
    for value in (turned, turned * np.roll(turned, 1, 2), turned * np.roll(turned, 1, 1)):
        assert abs(value.mean()) < SIGMAS / np.sqrt(turned.size)


@pytest.mark.parametrize("lattice", lattices((20, 70)), ids=str)
def test_every_satisfied_bond_is_active_when_it_is_cold(lattice):
    before = hot(lattice, 10)
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
@pytest.mark.parametrize("lattice", lattices((2, 2), (4, 64), (3, 130)), ids=str)
def test_the_same_as_the_plain_version(lattice, temperature):
    spins = sample(lattice, T_C, chains=1, sweeps=10)
    expected = plain_sweep(spins[0], lattice, temperature, sweep=10, chain=3)
    advance(spins, lattice, temperature, 0.0, KEY, 3, 10, 1)
    assert np.array_equal(spins[0], expected)
