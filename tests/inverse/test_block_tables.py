"""The exact conditional of a block, against enumeration and against energies."""

import numpy as np
import pytest
from tori import block_probabilities, every_state, weights

from kadanoff.inverse.controls import decode, encode
from kadanoff.inverse.tables import as_thresholds, known
from kadanoff.spins.blocking import RULES
from kadanoff.spins.surroundings import coarse_spins

SPIN_RULES = ("majority", "threshold", "decimation")
SIZES = [(2, 1), (3, 1), (4, 1), (2, 2), (3, 2)]


@pytest.mark.parametrize("rule", SPIN_RULES)
@pytest.mark.parametrize("shape", [(4, 4), (8,)])
def test_enumeration_of_a_whole_small_lattice_gives_the_same_conditional(rule, shape):
    fine, dimension, temperature = every_state(shape), len(shape), 2.269
    coarse, weight = RULES[rule](fine, 2, dimension), weights(fine, temperature)
    inside = encode(fine, coarse.shape[1:], 2)
    states = inside.reshape(len(fine), -1)
    # block 0 given its own coarse spin and all other blocks
    others = states[:, 1:] @ 16 ** np.arange(states.shape[1] - 1)
    key = 2 * others + (coarse.reshape(len(fine), -1)[:, 0] > 0)
    joint = np.zeros((key.max() + 1, 2 ** (2**dimension)))
    np.add.at(joint, (key, states[:, 0]), weight)
    expected = joint[key] / joint[key].sum(1, keepdims=True)
    found = block_probabilities(coarse, fine, known(rule, 2, dimension, temperature))[:, 0, 0]
    assert np.abs(found - expected).max() < 1e-12
    other = block_probabilities(coarse, fine, known(rule, 2, dimension, temperature * 1.02))[:, 0, 0]
    assert np.abs(other - expected).max() > 1e-3


@pytest.mark.parametrize("rule", SPIN_RULES)
@pytest.mark.parametrize(("block", "dimension"), SIZES)
def test_ratios_of_probabilities_are_those_of_boltzmann_weights(rule, block, dimension):
    random = np.random.default_rng(1)
    fine = random.choice(np.array([-1, 1], np.int8), (1, *(4 * block,) * dimension))
    inside = encode(fine, (4,) * dimension, block)
    wanted = np.flatnonzero(coarse_spins(rule, block, dimension) == RULES[rule](fine, block, dimension).flat[0])
    every = np.repeat(inside, len(wanted), 0)
    every[:, 0, 0] = wanted
    weight = weights(decode(every, block, dimension), 2.0)
    found = block_probabilities(RULES[rule](fine, block, dimension), fine, known(rule, block, dimension, 2.0))[0, 0, 0]
    assert found[wanted] == pytest.approx(weight / weight.sum(), rel=1e-9)
    assert found.sum() == pytest.approx(1)
    assert np.count_nonzero(found) == len(wanted)


@pytest.mark.parametrize("temperature", [0.01, 1e6])
def test_extreme_temperatures_neither_overflow_nor_vanish(temperature):
    table = known("majority", 2, 2, temperature)
    assert np.isfinite(table.probabilities).all()
    assert np.allclose(table.probabilities.sum(1), 1)
    assert (table.thresholds[:, -1] == 2**32 - 1).all()


def test_thresholds_rise_and_end_full_from_the_last_possible_state_on():
    probabilities = np.random.default_rng(2).random((300, 16)) * (np.random.default_rng(3).random((300, 16)) < 0.5)
    probabilities[:, 3] += 0.1
    found = as_thresholds(probabilities).astype(np.int64)
    assert (np.diff(found, axis=1) >= 0).all()
    for row, limits in zip(probabilities, found, strict=True):
        assert (limits[np.flatnonzero(row)[-1] :] == 2**32 - 1).all()
        assert (np.diff(limits, prepend=0)[row == 0] == 0).all()
