import numpy as np
import pytest

from kadanoff.estimate import Estimate
from kadanoff.learning.coarse import correlation_ratio
from kadanoff.learning.metrics import correlation_summary, magnetization_rmse, root, site_errors, spatial_correlation


@pytest.fixture
def target():
    return np.random.Generator(np.random.Philox(1)).choice([-1.0, 1.0], (50, 8, 8))


def test_errors_of_a_constant_shift_are_known(target):
    found = site_errors(target + 0.25, target)
    assert found["mse"].mean == pytest.approx(0.0625)
    assert found["mae"].mean == pytest.approx(0.25)
    assert found["rmse"].mean == pytest.approx(0.25)
    assert found["mse_sum"].mean == pytest.approx(64 * 0.0625)
    assert found["mae_sum"].mean == pytest.approx(64 * 0.25)
    assert found["rmse_sum"].mean == pytest.approx(2.0)
    assert magnetization_rmse(target + 0.25, target).mean == pytest.approx(0.25)


def test_the_error_bar_is_that_of_independent_configurations():
    noise = np.random.Generator(np.random.Philox(2)).normal(size=(400, 4, 4))
    found = site_errors(noise, np.zeros_like(noise))["mse"]
    # 6,400 squares of unit normals: mean 1, variance 2
    assert found.mean == pytest.approx(1, abs=4 * np.sqrt(2 / 6400))
    assert found.error == pytest.approx(np.sqrt(2 / 6400), rel=0.2)


def test_the_error_of_a_root_is_that_of_the_square_over_twice_the_root():
    assert root(Estimate(4.0, 0.4, 9)) == Estimate(2.0, 0.1, 9)
    assert root(Estimate(0.0, 0.1)) == Estimate(0.0, 0.0)
    noise = np.random.Generator(np.random.Philox(3)).normal(size=(400, 4, 4))
    found = site_errors(noise, np.zeros_like(noise))["rmse"]
    assert found.error == pytest.approx(np.sqrt(2 / 6400) / 2, rel=0.2)


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
