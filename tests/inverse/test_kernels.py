"""The compiled loops over blocks, against their definitions in plain Python."""

import numpy as np
import pytest

from kadanoff.inverse import kernels
from kadanoff.inverse.superresolve import count, draw_blocks, independent_spins, random_blocks, sweep_blocks
from kadanoff.inverse.tables import Table, as_thresholds, known
from kadanoff.spins.blocking import majority
from kadanoff.spins.surroundings import Part, coarse_spins, parts

KEY = np.uint64(12345)
RANDOM = np.random.default_rng(0)


def spins(*shape):
    return RANDOM.choice(np.array([-1, 1], np.int8), shape)


def allowed(rule, block, dimension):
    coarse = coarse_spins(rule, block, dimension)
    return np.stack([coarse == -1, coarse == 1])


def row_of(part, coarse, fine, y, x, shape):
    """Row of a table by its definition: bit j is set where the j-th spin that a part sees is up."""
    sites = [coarse[(y + dy) % coarse.shape[0], (x + dx) % coarse.shape[1]] for dy, dx in part.coarse]
    top, left = y * shape[0], x * shape[1]
    sites += [fine[(top + dy) % fine.shape[0], (left + dx) % fine.shape[1]] for dy, dx in part.fine]
    return sum(1 << j for j, spin in enumerate(sites) if spin > 0)


@pytest.mark.parametrize(("block", "dimension"), [(2, 2), (3, 2), (2, 1), (3, 1)])
def test_counts_are_those_of_the_definition_and_sum_to_the_number_of_blocks(block, dimension):
    coarse, fine = (spins(3, *(side,) * dimension) for side in (4, 4 * block))
    shape = (block if dimension == 2 else 1, block)
    for part in parts(block, dimension):
        expected = np.zeros((2**part.inputs, 2 ** (shape[0] * shape[1])), int)
        for given, inside in zip(coarse.reshape(3, -1, 4), fine.reshape(3, -1, 4 * block), strict=True):
            for y, x in np.ndindex(given.shape):
                own = inside[y * shape[0] : (y + 1) * shape[0], x * shape[1] : (x + 1) * shape[1]]
                state = sum(1 << site for site, spin in enumerate(own.ravel()) if spin > 0)
                expected[row_of(part, given, inside, y, x, shape), state] += 1
        found = count(coarse, fine, part)
        assert (found == expected).all()
        assert found.sum() == coarse.size


def test_states_of_probability_0_are_never_drawn_even_by_the_extreme_random_numbers():
    cases = np.array([[0, 0, 0.3, 0, 0.7, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0, 0], [1e-30] * 8])
    cases = np.concatenate([cases, RANDOM.random((2000, 8)) * (RANDOM.random((2000, 8)) < 0.4) + 1e-300 * cases[0]])
    for probabilities, thresholds in zip(cases, as_thresholds(cases), strict=True):
        first, last = np.flatnonzero(probabilities > probabilities.max() * 1e-9)[[0, -1]]
        assert kernels._find(thresholds, np.uint64(0)) == first
        assert kernels._find(thresholds, kernels.LARGEST) == last


def test_frequencies_of_states_are_those_of_the_table():
    probabilities = np.array([[0.05, 0.15, 0.3, 0.5], [0.7, 0.0, 0.2, 0.1]])
    part = Part(((0, 0), (0, 1)), ((0, 0),), ())
    coarse = spins(500, 40)
    fine = draw_blocks(coarse, [Table(part, probabilities)], 2, (KEY, 0))
    for row, own in enumerate((-1, 1)):
        found = count(coarse, fine, part)[row]
        total = (coarse == own).sum()
        deviation = (found - total * probabilities[row]) / np.sqrt(total * probabilities[row] + 1e-9)
        assert np.abs(deviation).max() < 4


@pytest.mark.parametrize("side", [2, 10])
def test_every_block_has_random_numbers_of_its_own(side):
    coarse = np.ones((4000, side, side), np.int8)
    fine = random_blocks(coarse, allowed("decimation", 2, 2), 2, (KEY, 0))
    free = fine[:, 1::2, 1::2].reshape(4000, -1).astype(float)  # +1 and -1 evenly, one of each block
    correlation = free.T @ free / 4000 - np.eye(side**2)
    assert np.abs(correlation).max() < 5.5 / np.sqrt(4000)  # of up to 4,950 pairs; the same numbers would give 1


def test_results_do_not_depend_on_how_lattices_are_cut_into_calls():
    coarse, table = majority(spins(7, 12, 12), 2), known("majority", 2, 2, 2.0)

    def drawn(part, first):
        start = random_blocks(part, allowed("majority", 2, 2), 2, (KEY, first))
        return sweep_blocks(part, start, table, (KEY, first), 2)

    whole = drawn(coarse, 0)
    assert (np.concatenate([drawn(coarse[:3], 0), drawn(coarse[3:], 3)]) == whole).all()
    assert (drawn(coarse[3:], 0) != whole[3:]).any()


def test_sweeps_may_be_cut_too():
    coarse, table = majority(spins(3, 8, 8), 2), known("majority", 2, 2, 2.0)
    start = random_blocks(coarse, allowed("majority", 2, 2), 2, (KEY, 0))
    once = sweep_blocks(coarse, start, table, (KEY, 0), 5)
    half = sweep_blocks(coarse, start, table, (KEY, 0), 2)
    assert (sweep_blocks(coarse, half, table, (KEY, 0), 3, done=2) == once).all()
    assert (sweep_blocks(coarse, half, table, (KEY, 0), 3) != once).any()


def test_tossed_spins_have_their_probabilities():
    chances = np.tile(np.array([0.0, 1.0, 0.25, 0.5, 0.9]), (40000, 1))
    found = independent_spins(chances, (KEY, 0))
    assert (found[:, 0] == -1).all()
    assert (found[:, 1] == 1).all()
    up = (found > 0).mean(0)[2:]
    assert np.abs((up - chances[0, 2:]) / np.sqrt(chances[0, 2:] * (1 - chances[0, 2:]) / 40000)).max() < 4
    assert (
        np.concatenate([independent_spins(chances[:11], (KEY, 0)), independent_spins(chances[11:30], (KEY, 11))])
        == found[:30]
    ).all()
