"""Error bars on series whose answers are known."""

import math

import numpy as np
import pytest

from kadanoff.errors import KadanoffError
from kadanoff.spins.statistics import Estimate, autocorrelation_time, jackknife, mean_estimate


def autoregressive(memory, chains, length, seed=0):
    """AR(1) in its stationary state, [chain, time]: variance 1, rho(t) = memory^t."""
    noise = np.random.default_rng(seed).normal(size=(length, chains))
    series = np.empty((length, chains))
    series[0] = noise[0]
    for time in range(1, length):
        series[time] = memory * series[time - 1] + math.sqrt(1 - memory**2) * noise[time]
    return series.T


def exact_time(memory):
    return 0.5 * (1 + memory) / (1 - memory)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("chains", [1, 8])
def test_autocorrelation_time_of_autoregressive_series(memory, chains):
    tau, error, reliable = autocorrelation_time(autoregressive(memory, chains, 160_000 // chains))
    assert reliable
    assert abs(tau - exact_time(memory)) < 4 * error + 0.01 * exact_time(memory)  # exp(-5) is cut off
    assert error < 0.15 * tau
    assert abs(tau - 1.8 * exact_time(memory)) > 4 * error  # negative control


def test_error_of_the_autocorrelation_time_is_its_scatter():
    found = [autocorrelation_time(autoregressive(0.8, 1, 5000, seed)) for seed in range(100)]
    taus, errors, _ = np.array(found).T
    assert taus.std() == pytest.approx(errors.mean(), rel=0.35)


def test_short_series_is_not_reliable():
    assert not autocorrelation_time(autoregressive(0.98, 8, 1000)).reliable


@pytest.mark.parametrize("gap", [0.5, 10.0])
def test_chains_stuck_in_different_states_show_up(gap):
    chains = autoregressive(0.5, 16, 4000) + gap * (np.arange(16)[:, None] % 2)
    tau, _, reliable = autocorrelation_time(chains)
    assert tau > 50
    assert not reliable
    assert autocorrelation_time(chains[::2]).reliable  # those of one state


def test_constant_series():
    assert autocorrelation_time(np.full((4, 100), 0.1)) == (0.5, 0.0, True)
    tau, _, reliable = autocorrelation_time(np.repeat([[1.0], [-1.0]], 100, axis=1))
    assert tau > 50
    assert not reliable


def test_anticorrelation_is_not_believed():
    assert autocorrelation_time(np.tile([1.0, -1.0], 500)).tau == 0.5


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_mean_lies_within_its_error(memory):
    estimates = [mean_estimate(autoregressive(memory, 4, 2000, seed)) for seed in range(200)]
    squares = np.array([estimate.sigmas(0.0) ** 2 for estimate in estimates])
    assert squares.mean() == pytest.approx(1, abs=4 * math.sqrt(2 / 200))
    assert estimates[0].n == 8000
    if memory:
        independent = [mean_estimate(autoregressive(memory, 1, 500, seed).T) for seed in range(200)]
        assert np.mean([estimate.sigmas(0.0) ** 2 for estimate in independent]) > 10  # negative control


def test_mean_of_independent_samples():
    samples = np.array([1.0, 2.0, 4.0, 5.0])
    assert mean_estimate(samples[:, None]) == Estimate(3.0, samples.std(ddof=1) / 2, 0.5, 4)


def test_jackknife_of_the_mean_is_the_standard_error():
    samples = np.random.default_rng(0).normal(size=500)
    estimate = jackknife(np.mean, samples, blocks=500)
    assert estimate.mean == samples.mean()
    assert estimate.error == pytest.approx(samples.std(ddof=1) / math.sqrt(500))
    assert (estimate.tau, estimate.n) == (0.5, 500)


def test_jackknife_of_a_nonlinear_function():
    def ratio(samples):
        return samples[:, 0].mean() / samples[:, 1].mean()

    def experiment(seed):
        rng = np.random.default_rng(seed)
        numerator = rng.normal(3, 1, 1000)
        return jackknife(ratio, np.stack([numerator, rng.normal(2, 1, 1000)], axis=1), blocks=50)

    estimates = [experiment(seed) for seed in range(200)]
    squares = np.array([estimate.sigmas(1.5) ** 2 for estimate in estimates])
    assert squares.mean() == pytest.approx(1, abs=4 * math.sqrt(2 / 200) + 0.05)
    exact = math.sqrt((1 / 4 + 9 / 16) / 1000)  # error propagation
    assert np.mean([estimate.error for estimate in estimates]) == pytest.approx(exact, rel=0.05)


def test_jackknife_blocks_absorb_correlation():
    series = autoregressive(0.9, 1, 100_000)[0]
    exact = math.sqrt(2 * exact_time(0.9) / 100_000)
    assert jackknife(np.mean, series, blocks=100).error == pytest.approx(exact, rel=0.3)
    assert jackknife(np.mean, series[:2000], blocks=2000).error < 0.5 * math.sqrt(2 * exact_time(0.9) / 2000)


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.12341, 0.0056), "0.1234(56)"),
        (Estimate(-1.4142135, 0.00012), "-1.41421(12)"),
        (Estimate(0.5, 0.0996), "0.50(10)"),
        (Estimate(12.34, 1.13), "12.3(1.1)"),
        (Estimate(123.4, 23.4), "123(23)"),
        (Estimate(12345.0, 1234.0), "12300(1200)"),
        (Estimate(0.25, 0.0), "0.25(0)"),
        (Estimate(0.25, math.nan), "0.25(nan)"),
    ],
)
def test_estimate_prints_its_error_in_the_last_digits(estimate, text):
    assert str(estimate) == text


def test_deviation_in_standard_errors():
    assert Estimate(1.0, 0.1).sigmas(0.8) == pytest.approx(2)
    assert Estimate(1.0, 0.3).sigmas(Estimate(2.0, 0.4)) == pytest.approx(-2)
    assert Estimate(1.0, 0.0).sigmas(1.0) == 0
    assert Estimate(1.0, 0.0).sigmas(2.0) == -math.inf


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: jackknife(np.mean, np.ones(5), blocks=6), "blocks is 6 for 5 samples"),
        (lambda: jackknife(np.mean, np.ones(1)), "blocks is 1 for 1 samples"),
        (lambda: mean_estimate([1.0]), "1 sample has no error bar"),
        (lambda: autocorrelation_time(np.ones((2, 2, 2))), r"not \(2, 2, 2\)"),
    ],
)
def test_refuses_what_has_no_error_bar(call, words):
    with pytest.raises(KadanoffError, match=words):
        call()
