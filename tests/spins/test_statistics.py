"""Error bars on series whose answers are known."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from kadanoff.estimate import Estimate
from kadanoff.spins.statistics import autocorrelation_time, independent_mean, jackknife

STUDENT = 1.1969
"""t of 3 degrees of freedom, below which its modulus lies with the probability 0.6827 (tables)."""


def autoregressive(memory, chains, length, seed=0):
    """AR(1) in its stationary state, [chain, time]: variance 1, rho(t) = memory^t."""
    noise = np.random.default_rng(seed).normal(size=(length, chains))
    scale = math.sqrt(1 - memory**2)
    noise[0] /= scale
    return lfilter([scale], [1, -memory], noise, axis=0).T


def exact_time(memory):
    return 0.5 * (1 + memory) / (1 - memory)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("chains", [1, 8])
def test_autocorrelation_time_of_autoregressive_series(memory, chains):
    tau = autocorrelation_time(autoregressive(memory, chains, 160_000 // chains))
    assert abs(tau.mean - exact_time(memory)) < 4 * tau.error + 0.01 * exact_time(memory)  # exp(-5) is cut off
    assert tau.error < 0.15 * tau.mean
    assert abs(tau.sigmas(1.8 * exact_time(memory))) > 4  # negative control


def test_error_of_the_autocorrelation_time_is_its_scatter():
    found = [autocorrelation_time(chain) for chain in autoregressive(0.8, 400, 5000)]
    taus, errors = np.array([(tau.mean, tau.error) for tau in found]).T
    assert 0.68 < taus.std() / errors.mean() < 0.92  # the formula, of first order in window / length, is a bound here


def test_autocorrelation_time_is_the_sum_over_pairs_up_to_its_window():
    series = autoregressive(0.7, 3, 37)
    moved = series - series.mean()
    rho = [np.mean(moved[:, lag:] * moved[:, : 37 - lag]) / np.mean(moved**2) for lag in range(37)]
    window = next(lag for lag in range(37) if lag >= 5 * (0.5 + sum(rho[1 : lag + 1])))
    tau = autocorrelation_time(series)
    assert tau.mean == pytest.approx(0.5 + sum(rho[1 : window + 1]))
    assert tau.error == pytest.approx(tau.mean * math.sqrt(2 * (2 * window + 1) / series.size))


@pytest.mark.parametrize("freedom", [1, 50])
def test_chains_agree_within_four_standard_deviations(freedom):
    # the scatter of the means of independent samples, over what it should be: a chi-squared over its freedom
    for sigmas, agree in ((3.5, True), (4.5, False)):
        limit = freedom * (1 - 2 / (9 * freedom) + sigmas * math.sqrt(2 / (9 * freedom))) ** 3
        noise = np.random.default_rng(0).normal(size=(freedom + 1, 20_000))
        noise -= noise.mean(1, keepdims=True)
        means = np.random.default_rng(1).normal(size=freedom + 1)
        means -= means.mean()
        means *= math.sqrt(limit / np.sum(means**2) / noise.shape[1])
        assert (autocorrelation_time(noise + means[:, None]).mean < 0.6) == agree


@pytest.mark.parametrize("gap", [0.5, 10.0])
def test_chains_stuck_in_different_states_show_up(gap):
    chains = autoregressive(0.5, 16, 4000) + gap * (np.arange(16)[:, None] % 2)
    assert autocorrelation_time(chains).mean > 50
    assert autocorrelation_time(chains[::2]).mean < 2  # those of one state


def test_constant_series():
    assert autocorrelation_time(np.full((4, 100), 0.1)) == Estimate(0.5, 0.0, 400)
    assert autocorrelation_time(np.repeat([[1.0], [-1.0]], 100, axis=1)).mean > 50
    assert autocorrelation_time(np.tile([1.0, -1.0], 500)).mean == 0.5  # anticorrelation is not believed


def test_mean_of_independent_samples():
    samples = np.array([1.0, 2.0, 4.0, 5.0])
    assert independent_mean(samples) == Estimate(3.0, samples.std(ddof=1) / 2, 4)
    assert math.isnan(independent_mean(samples[:1]).error)


@pytest.mark.parametrize(("count", "student"), [(4, STUDENT), (500, 1.0010)])
def test_jackknife_of_the_mean_is_the_standard_error_times_student_s_t(count, student):
    samples = np.random.default_rng(0).normal(size=count)
    estimate = jackknife(np.mean, samples, blocks=count)
    assert estimate.mean == pytest.approx(samples.mean(), abs=1e-12)
    assert estimate.error == pytest.approx(student * samples.std(ddof=1) / math.sqrt(count), rel=1e-4)
    assert estimate.n == count


def test_jackknife_takes_off_the_bias():
    samples = np.random.default_rng(1).normal(size=203)
    assert jackknife(np.var, samples, blocks=203).mean == pytest.approx(samples.var(ddof=1), rel=1e-10)
    # Blocks of 20 and 21 samples leave what has no bias as it is.
    assert jackknife(np.mean, samples, blocks=10).mean == pytest.approx(samples.mean(), abs=1e-12)
    plain = jackknife(np.var, samples, blocks=203, corrected=False)
    assert plain.mean == samples.var()
    assert plain.error == jackknife(np.var, samples, blocks=203).error


@pytest.mark.parametrize("count", [4])
def test_jackknife_of_a_ratio_covers_from_few_samples(count):
    def ratio(samples):
        return samples[:, 0].mean() / samples[:, 1].mean()

    rng = np.random.default_rng(count)
    pairs = np.stack([rng.normal(3, 0.5, (3000, count)), rng.normal(2, 0.5, (3000, count))], axis=2)
    sigmas = np.array([jackknife(ratio, samples).sigmas(1.5) for samples in pairs])
    assert abs(np.mean(np.abs(sigmas) < 1) - 0.683) < 4 * math.sqrt(0.683 * 0.317 / 3000)
    assert abs(np.mean(np.abs(sigmas) < 1 / STUDENT) - 0.683) > 4 * math.sqrt(
        0.683 * 0.317 / 3000
    )  # too small an error


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
