"""Random ground states against enumeration: their energy, that all of them occur, and how often."""

import itertools
from collections import Counter

import mpmath
import numpy as np
import pytest
from oracle import SMALLEST_P

import kadanoff
from kadanoff.montecarlo.rng import stream_key
from kadanoff.montecarlo.samplers import ground_states
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import enumerate_states
from kadanoff.spins.observables import energy

KEY = stream_key(8, "ground")
SHAPES = [(2, 3), (3, 3), (4, 3), (4, 4)]
WALLED = ("skewed", "antiperiodic")
CHAINS = 10_000


def draw(lattice, chains=CHAINS, first_chain=0, key=KEY):
    spins = ground_states(lattice, key, first_chain, chains)
    assert spins.dtype == np.int8
    assert spins.shape == (chains, *lattice.shape)
    assert np.all(abs(spins) == 1)
    return spins


def counted(spins):
    return Counter(rows.tobytes() for rows in np.ascontiguousarray(spins))


def p_value(counts, weights):
    """Of the counts of each state, where their probabilities are proportional to `weights`."""
    total, weight = sum(counts.values()), sum(weights.values())
    assert counts.keys() <= weights.keys(), "a state that is none of these"
    expected = {state: total * share / weight for state, share in weights.items()}
    chi_squared = sum((counts[state] - value) ** 2 / value for state, value in expected.items())
    return float(mpmath.gammainc((len(weights) - 1) / 2, chi_squared / 2, regularized=True))


def all_ground_states(lattice):
    """All of them, from the definition of H."""
    states = np.array(list(itertools.product((1, -1), repeat=lattice.sites)), np.int8).reshape(-1, *lattice.shape)
    energies = np.rint(energy(states, lattice) * lattice.sites)
    return states[energies == energies.min()]


def crossed(spins):
    """Whether the walls are a straight horizontal and a straight vertical one: all rows are alike but for a sign."""
    return all(np.array_equal(row, spins[0]) or np.array_equal(row, -spins[0]) for row in spins)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("boundary", WALLED)
def test_every_state_of_lowest_energy_occurs_and_no_other(boundary, shape):
    lattice = Lattice(*shape, boundary)
    spins = draw(lattice)
    lowest = enumerate_states(lattice)
    assert np.all(np.rint(energy(spins, lattice) * lattice.sites) == lowest.energies[0])
    assert len(counted(spins)) == lowest.degeneracies[0].sum()
    wrong = Lattice(*shape, "periodic")  # the negative control: the walls cost nothing but here
    assert np.any(np.rint(energy(spins, wrong) * lattice.sites) != lowest.energies[0])


@pytest.mark.parametrize("shape", [(20, 30), (31, 31)])
@pytest.mark.parametrize("boundary", WALLED)
def test_the_energy_of_large_lattices_is_that_of_one_wall(boundary, shape):
    lattice = Lattice(*shape, boundary)
    height, width = shape
    # of 2 N bonds (with the fixed rows: and another row), one in each column and, antiperiodic, in each row is broken
    expected = -2 * lattice.sites + (width if boundary == "skewed" else 2 * (height + width))
    assert np.all(np.rint(energy(draw(lattice, 50), lattice) * lattice.sites) == expected)


@pytest.mark.parametrize("height", [2, 3, 7])
def test_the_flat_wall_is_at_each_place_equally_often(height):
    lattice = Lattice(height, 5, "skewed")
    above = (draw(lattice) == 1).all(2).sum(1)
    places = Counter(above.tolist())
    assert places.keys() == set(range(height + 1))
    assert p_value(places, dict.fromkeys(range(height + 1), 1)) > SMALLEST_P
    assert p_value(places, dict.fromkeys(range(height + 1), 1) | {0: 1.25}) < SMALLEST_P


@pytest.mark.parametrize("shape", [(3, 3), (3, 4), (4, 3)])
def test_staircases_are_equally_likely_but_crosses_twice_as_likely(shape):
    lattice = Lattice(*shape, "antiperiodic")
    states = all_ground_states(lattice)
    weights = {state.tobytes(): 1 + crossed(state) for state in states}
    # a cross for each place of its two walls, and both signs
    assert sum(weight == 2 for weight in weights.values()) == 2 * lattice.sites
    counts = counted(draw(lattice))
    assert p_value(counts, weights) > SMALLEST_P
    assert p_value(counts, dict.fromkeys(weights, 1)) < SMALLEST_P


@pytest.mark.parametrize("boundary", WALLED)
def test_chains_can_be_drawn_in_any_parts(boundary):
    lattice = Lattice(6, 9, boundary)
    whole = draw(lattice, 12, first_chain=5)
    parts = np.concatenate([draw(lattice, 4, 5), draw(lattice, 1, 9), draw(lattice, 7, 10)])
    assert np.array_equal(whole, parts)
    assert not np.array_equal(whole, draw(lattice, 12, first_chain=6))
    assert not np.array_equal(whole, draw(lattice, 12, 5, KEY + np.uint64(1)))


def test_simulate_starts_there():
    arguments = {"boundary": "skewed", "start": "ground", "sampler": "hybrid", "sweeps": 1, "seed": 3}
    cold = kadanoff.simulate(8, 0.05, 40, allow_unequilibrated=True, **arguments)
    assert np.all(cold.energy * 64 == -2 * 64 + 8)
    assert len(np.unique(cold.magnetization)) > 5  # of 9 places
    hot = kadanoff.simulate(8, 0.05, 40, allow_unequilibrated=True, **arguments | {"start": "hot"})
    assert np.any(hot.energy * 64 > -2 * 64 + 8)
