"""Block rules against their definitions."""

import numpy as np
import pytest

from kadanoff.spins.blocking import RULES, average, decimation, majority, threshold
from kadanoff.spins.observables import block_sums

SPINS = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (2, 3, 12, 24))


def blocks_of(spins, block):
    """[..., y, x, spin of the block in reading order]."""
    *leading, height, width = spins.shape
    split = spins.reshape(*leading, height // block, block, width // block, block)
    return np.moveaxis(split, -3, -2).reshape(*leading, height // block, width // block, block**2)


@pytest.mark.parametrize("block", [1, 2, 3, 4, 12])
def test_rules_follow_their_definitions(block):
    blocks = blocks_of(SPINS, block).astype(int)
    sums, corner = blocks.sum(-1), blocks[..., 0]
    assert (block_sums(SPINS, block) == sums).all()
    assert np.abs(average(SPINS, block) - sums / block**2).max() < 1e-7
    assert (majority(SPINS, block) == np.sign(2 * sums + corner)).all()
    assert (threshold(SPINS, block) == np.where(sums > 0, 1, -1)).all()
    assert (decimation(SPINS, block) == corner).all()
    assert [rule(SPINS, block).dtype for rule in RULES.values()] == [np.float32] + [np.int8] * 3


def test_tie_goes_to_the_upper_left_spin():
    tie = np.array([[-1, 1], [1, -1]], np.int8)
    assert majority(tie, 2).tolist() == [[-1]]
    assert majority(-tie, 2).tolist() == [[1]]
    assert majority(np.array([[1, -1], [-1, -1]], np.int8), 2).tolist() == [[-1]]


@pytest.mark.parametrize("rule", RULES)
def test_chains(rule):
    chains = np.array([[1, 1, -1, -1, 1, -1], [-1, 1, 1, 1, 1, 1]], np.int8)
    expected = {
        "average": [[1, -1, 0], [0, 1, 1]],
        "majority": [[1, -1, 1], [-1, 1, 1]],
        "threshold": [[1, -1, -1], [-1, 1, 1]],
        "decimation": [[1, -1, 1], [-1, 1, 1]],
    }
    assert RULES[rule](chains, 2, dimension=1).tolist() == expected[rule]


def test_real_spins_are_averaged_as_they_are():
    assert average(average(SPINS, 2), 3) == pytest.approx(average(SPINS, 6), abs=1e-6)
    assert block_sums(average(SPINS, 2), 2).dtype == np.float64
    weak = np.full((2, 2), 0.1)
    for rule in (majority, threshold):
        assert rule(weak, 2) == 1
        assert rule(-weak, 2) == -1
