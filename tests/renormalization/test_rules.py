"""Block rules that draw: their probabilities, and where their random bits come from."""

import numpy as np
import pytest

from kadanoff.errors import KadanoffError
from kadanoff.renormalization.rules import Rule, corner, majority, weighted
from kadanoff.spins.blocking import decimation
from kadanoff.spins.observables import block_sums

SPINS = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (6, 12, 24))
KEY = np.uint64(7)


@pytest.mark.parametrize("block", [2, 3])
def test_majority_decides_but_for_ties(block):
    drawn, summed = majority(block).draw(SPINS, KEY), block_sums(SPINS, block)
    assert (drawn[summed != 0] == np.sign(summed[summed != 0])).all()
    assert drawn.shape == (6, 12 // block, 24 // block)


def test_decimation_takes_the_corner():
    assert (corner(3).draw(SPINS, KEY) == decimation(SPINS, 3)).all()


@pytest.mark.parametrize("weight", [0.0, 0.4])
def test_probabilities_are_those_of_the_rule(weight):
    block = np.array([[1, 1], [1, -1]], np.int8)
    drawn = weighted(2, weight).draw(np.tile(block, (1, 200, 200)), KEY)
    up, error = 1 / (1 + np.exp(-4 * weight)), 0.5 / 200
    assert abs((drawn == 1).mean() - up) < 4 * error
    assert abs((drawn == 1).mean() - up - 0.05) > 4 * error  # a shift of five percent shows


def test_random_bits_belong_to_a_lattice_and_its_number():
    rule = weighted(2, 0.1)
    whole = rule.draw(SPINS, KEY)
    assert (rule.draw(SPINS[2:], KEY, first=2) == whole[2:]).all()
    assert (rule.draw(SPINS, KEY, number=1) != whole).any()
    assert (rule.draw(SPINS, np.uint64(8)) != whole).any()


@pytest.mark.parametrize(
    "means", [np.full((6, 6, 12), np.nan), np.full((6, 6, 12), 1.5), np.ones((6, 3, 12)), np.ones(3)]
)
def test_a_rule_of_ones_own_must_have_means(means):
    with pytest.raises(KadanoffError, match="there is one for each block"):
        Rule(2, lambda _: means).draw(SPINS, KEY)


@pytest.mark.parametrize("weight", [np.nan, "0.4", None])
def test_a_weight_is_a_number(weight):
    with pytest.raises(KadanoffError, match="weight is"):
        weighted(2, weight)
