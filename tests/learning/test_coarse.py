import numpy as np
import pytest

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.learning.coarse import (
    coarse_task,
    correlation_ratio,
    correlation_summary,
    magnetization_rmse,
    root,
    site_errors,
    spatial_correlation,
    stratified_split,
)
from kadanoff.spins.blocking import threshold

# --- split -----------------------------------------------------------------------------------------------


def test_every_part_has_its_share_of_each_temperature_in_another_order() -> None:
    split = stratified_split(temperatures=8, samples=200, seed=0)
    for part, each in (("train", 140), ("validation", 20), ("test", 40)):
        assert np.bincount(getattr(split, part) // 200).tolist() == [each] * 8
    together = np.concatenate([split.train, split.validation, split.test])
    assert np.array_equal(np.sort(together), np.arange(8 * 200))
    assert np.bincount(split.train[:104] // 200).tolist() == [13] * 8  # a beginning is stratified, too
    assert len({tuple(column) for column in split.train.reshape(-1, 8).T % 200}) == 8
    assert not np.array_equal(split.test, stratified_split(temperatures=8, samples=200, seed=1).test)


def test_same_arguments_same_split_for_ever() -> None:
    split = stratified_split(temperatures=2, samples=10, seed=7)
    assert split.validation.tolist() == [8, 17]
    assert split.test.tolist() == [4, 19, 3, 16]
    assert split.train.tolist() == [6, 11, 2, 14, 1, 18, 0, 13, 5, 12, 9, 15, 7, 10]


def test_three_samples_are_the_fewest() -> None:
    split = stratified_split(temperatures=3, samples=3, seed=0)
    assert [len(split.train), len(split.validation), len(split.test)] == [3, 3, 3]
    with pytest.raises(KadanoffError, match=r"samples is 2; .* at least 3"):
        stratified_split(temperatures=3, samples=2, seed=0)


# --- task ------------------------------------------------------------------------------------------------


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


# --- errors ----------------------------------------------------------------------------------------------


@pytest.fixture
def target():
    return np.random.Generator(np.random.Philox(1)).choice([-1.0, 1.0], (50, 8, 8))


def test_errors_of_a_constant_shift_are_known(target):
    found = {name: value.mean for name, value in site_errors(target + 0.25, target).items()}
    expected = {"mse": 0.0625, "mae": 0.25, "rmse": 0.25, "mse_sum": 4.0, "mae_sum": 16.0, "rmse_sum": 2.0}
    assert found == pytest.approx(expected)
    assert magnetization_rmse(target + 0.25, target).mean == pytest.approx(0.25)


def test_the_error_bar_is_that_of_independent_configurations():
    noise = np.random.Generator(np.random.Philox(2)).normal(size=(400, 4, 4))
    found, error = site_errors(noise, np.zeros_like(noise)), np.sqrt(2 / 6400)
    # 6,400 squares of unit normals: mean 1, variance 2
    assert found["mse"].mean == pytest.approx(1, abs=4 * error)
    assert found["mse"].error == pytest.approx(error, rel=0.2)
    assert found["rmse"].error == pytest.approx(error / 2, rel=0.2)
    assert root(Estimate(4.0, 0.4, 9)) == Estimate(2.0, 0.1, 9)
    assert root(Estimate(0.0, 0.1)) == Estimate(0.0, 0.0)


def test_spatial_correlation_is_one_for_a_line_and_missing_for_uniform_configurations(target):
    target[3] = 1.0
    found = spatial_correlation(0.5 * target + 0.1, target)
    assert np.isnan(found[3])
    assert np.allclose(np.delete(found, 3), 1.0)
    assert np.allclose(np.delete(spatial_correlation(-target, target), 3), -1.0)
    summary = correlation_summary(found)
    assert (summary["defined"], summary["undefined"]) == (49, 1)
    assert summary["mean"] == pytest.approx(1.0)
    assert correlation_summary(np.full(4, np.nan)) == {"defined": 0, "undefined": 4}
    few = correlation_summary(np.array([0.1, 0.4, 0.7, np.nan]))
    assert few["sd"] == pytest.approx(0.3)
    assert few["error"] == pytest.approx(0.3 / np.sqrt(3))
    assert (few["minimum"], few["maximum"]) == (0.1, 0.7)


def test_correlation_ratio_of_a_rescaled_configuration_are_its_square(target):
    ratios = correlation_ratio(0.9 * target, target)
    assert len(ratios) == 5
    assert ratios[0].mean == pytest.approx(0.81)
    noise = np.random.Generator(np.random.Philox(4)).choice([-1.0, 1.0], target.shape)
    assert correlation_ratio(noise, target)[0].mean == pytest.approx(1.0)
    assert abs(correlation_ratio(noise, target)[1].mean - 1.0) > 0.1
