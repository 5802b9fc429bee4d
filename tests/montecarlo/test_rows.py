"""Bands of rows that turn leave the distribution of skewed lattices as it is, and move its wall."""

import itertools

import numpy as np
import pytest
from oracle import agrees

from kadanoff.montecarlo import hybrid, rows
from kadanoff.montecarlo.rng import stream_key
from kadanoff.montecarlo.samplers import ground_states
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.observables import energy

KEY = stream_key(5, "rows")
LATTICE = Lattice(5, 3, "skewed")
STATES = np.array(list(itertools.product((1, -1), repeat=LATTICE.sites)), np.int8).reshape(-1, *LATTICE.shape)


def equilibrium(temperature, chains=20_000):
    """Independent states of the Boltzmann distribution."""
    weights = np.exp(-(energy(STATES, LATTICE) + 2) * LATTICE.sites / temperature)
    return STATES[np.random.default_rng(3).choice(len(STATES), chains, p=weights / weights.sum())]


@pytest.mark.parametrize("temperature", [0.8, 2.0, 6.0])
def test_equilibrium_stays_equilibrium(temperature, monkeypatch):
    start = equilibrium(temperature)
    assert agrees(start, LATTICE, temperature)
    spins = start.copy()
    rows.advance(spins, temperature, KEY, 0, 0, 3)
    assert np.mean((spins != start).any((1, 2))) > 0.5
    assert agrees(spins, LATTICE, temperature)
    always = np.full(1000, 1 << 32, np.uint64)
    monkeypatch.setattr(rows, "_thresholds", lambda *_: always)  # the negative control: every turn is accepted
    spins = start.copy()
    rows.advance(spins, temperature, KEY, 0, 0, 3)
    assert not agrees(spins, LATTICE, temperature)


def test_a_flat_wall_goes_to_every_place():
    lattice = Lattice(7, 5, "skewed")
    spins = ground_states(lattice, KEY, 0, 1).repeat(8000, axis=0)
    rows.advance(spins, 0.01, KEY, 0, 0, 2)
    assert np.all(spins == spins[:, :, :1])  # flat
    places = np.bincount((spins[:, :, 0] == 1).sum(1), minlength=8)
    assert len(places) == 8
    assert ((places - 1000) ** 2 / 1000).sum() < 7 + 4 * np.sqrt(14)


def test_calls_can_be_split():
    lattice = Lattice(9, 70, "skewed")
    whole = ground_states(lattice, KEY, 0, 6)
    parts = whole.copy()
    rows.advance(whole, 2.0, KEY, 3, 1, 5)
    for first_sweep, sweeps in ((1, 2), (3, 3)):
        rows.advance(parts[:4], 2.0, KEY, 3, first_sweep, sweeps)
        rows.advance(parts[4:], 2.0, KEY, 7, first_sweep, sweeps)
    assert np.array_equal(whole, parts)
    assert len({chain.tobytes() for chain in whole}) > 1


def test_hybrid_sweeps_turn_rows_where_a_wall_is_forced_and_nowhere_else(monkeypatch):
    asked = []
    monkeypatch.setattr(rows, "advance", lambda *given: asked.append(given[1:]))
    for boundary, coupling in itertools.product(("periodic", "skewed", "antiperiodic", "free"), (1, -1)):
        hybrid.advance(np.ones((1, 4, 4), np.int8), Lattice(4, 4, boundary, coupling), 2.0, 0.0, KEY, 64, 3, 2)
    key = KEY ^ hybrid.ROWS_STREAM
    assert asked == [(2.0, key, 64, 3, 1), (2.0, key, 64, 4, 1)]
