import numpy as np
import pytest

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.learning.coarse import coarse_task
from kadanoff.spins.blocking import threshold


@pytest.fixture
def ensemble():
    spins = np.random.Generator(np.random.Philox(6)).choice(np.array([-1, 1], np.int8), (2, 20, 6, 6))
    return Ensemble(spins, np.array([1.0, 2.0]), *np.zeros((2, 2, 20)), np.ones(2), {})


def test_targets_follow_the_rule_and_pairs_the_rows(ensemble):
    task = coarse_task(ensemble, "threshold", 2, seed=0)
    assert np.array_equal(task.target, threshold(ensemble.spins.reshape(40, 6, 6), 2))
    inputs, targets = task.pair(np.array([3, 25]))
    assert inputs.shape == (2, 1, 6, 6)
    assert np.array_equal(inputs[1, 0].numpy(), ensemble.spins[1, 5])
    assert np.array_equal(targets[1, 0].numpy(), task.target[25])


@pytest.mark.parametrize(("rule", "block", "words"), [("mean", 2, "rule is 'mean'"), ("average", 4, "block is 4")])
def test_what_does_not_fit_is_refused(ensemble, rule, block, words):
    with pytest.raises(KadanoffError, match=words):
        coarse_task(ensemble, rule, block, seed=0)


def test_chains_are_refused(ensemble):
    ensemble.spins = ensemble.spins[:, :, 0]
    with pytest.raises(KadanoffError, match="holds chains"):
        coarse_task(ensemble, "average", 2, seed=0)
