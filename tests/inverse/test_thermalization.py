"""Relaxation from different starts, and the criterion for equilibrium, on curves whose answer is known."""

import numpy as np
import pytest

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.inverse.thermalization import (
    OBSERVABLES,
    Relaxation,
    equilibrium,
    measured_counts,
    relax,
    superresolved,
    thermalized,
    uniform,
)
from kadanoff.montecarlo.rng import stream_key
from kadanoff.spins.exact import T_C, kaufman

KEY = stream_key(1, "test")
TRUTH = [Estimate(1.0, 0.0), Estimate(2.0, 0.001), Estimate(3.0, 0.001)]
CHAINS = 100


def curves(*shifts):
    """Chains scattered by 0.1 about TRUTH + shifts[count] for all observables: the error of their mean is 0.01."""
    noise = np.tile([-1.0, 1.0], CHAINS // 2) * 0.1 * np.sqrt((CHAINS - 1) / CHAINS)
    means = np.array([value.mean for value in TRUTH])[:, None] + np.broadcast_to(shifts, (3, len(shifts)))
    counts = tuple(range(len(shifts)))
    return Relaxation(counts, means[..., None] + noise, np.arange(len(shifts)) * 1.0)


@pytest.mark.parametrize(
    ("shifts", "index"),
    [
        ((0.0, 0.01, -0.02, 0.0, 0.02), 0),
        ((1.0, 0.5, 0.1, 0.02, 0.01), 3),
        ((0.0, 0.5, 0.1, 0.02, 0.01), 3),  # passed through equilibrium, but did not stay
        ((0.5, 0.2, 0.0, 0.0, 0.04), 2),  # one of many later counts is 4 errors off by chance
        ((0.0, 0.01, 0.04, 0.08, 0.12), None),  # drifts away
        ((1.0, 0.9, 0.8, 0.7, 0.6), None),
    ],
)
def test_equilibrium_is_reached_when_it_is_kept_on_average(shifts, index):
    assert thermalized(curves(*shifts), TRUTH) == index


@pytest.mark.parametrize("observable", range(len(OBSERVABLES)))
def test_one_observable_out_of_equilibrium_is_enough_and_its_error_counts(observable):
    relaxation = curves(0.0, 0.0, 0.0)
    relaxation.values[observable, 1] += 0.12
    assert thermalized(relaxation, TRUTH) == 2
    assert thermalized(relaxation, [Estimate(value.mean, 0.05) for value in TRUTH]) == 0


def test_many_looks_at_chains_in_equilibrium_find_no_time():
    """150 runs in equilibrium from the start, which forget within 5 counts: at most 6 get another time.

    Asked at each later count anew, as many as every sixth would. A shift of 3 errors in one observable is noticed.
    """
    rng = np.random.default_rng(2)
    counts, keep = tuple(range(33)), np.exp(-1 / 5)
    late = {0.0: 0, 0.03: 0}
    for _ in range(150):
        noise = rng.standard_normal((33, 3, CHAINS))
        for count in range(1, 33):
            noise[count] = keep * noise[count - 1] + np.sqrt(1 - keep**2) * noise[count]
        for shift in late:
            values = np.array([value.mean for value in TRUTH])[:, None, None] + 0.1 * noise.transpose(1, 0, 2)
            late[shift] += thermalized(Relaxation(counts, values + shift, np.zeros(33)), TRUTH) != 0
    assert late[0.0] <= 6
    assert late[0.03] > 125


@pytest.mark.parametrize("sampler", ["metropolis", "swendsen_wang"])
@pytest.mark.parametrize("sweeps", [1, 64, 1000])
def test_counts_leave_no_wide_gaps(sampler, sweeps):
    counts = measured_counts(sampler, sweeps)
    assert counts[0] == 0
    assert counts[-1] == sweeps
    gaps = np.diff(counts)
    assert (gaps > 0).all()
    assert (gaps <= (2 if sampler == "swendsen_wang" else np.maximum(1, np.array(counts[:-1]) / 2))).all()


@pytest.mark.parametrize(("size", "sampler"), [(32, "metropolis"), (32, "swendsen_wang")])
def test_values_depend_neither_on_threads_nor_on_the_number_of_chains(size, sampler):
    prepare = uniform(size, "hot", 3, "test")
    one, many = (relax(prepare, sampler, size, 70, (0, 1, 4), KEY, workers=workers) for workers in (1, 4))
    fewer = relax(prepare, sampler, size, 9, (0, 1, 4), KEY)
    assert one.values.shape == (3, 3, 70)
    assert np.array_equal(one.values, many.values)
    assert np.array_equal(one.values[..., :9], fewer.values)
    other = relax(prepare, sampler, size, 9, (0, 1, 4), stream_key(2, "test"))
    assert not np.array_equal(fewer.values[:, 1:], other.values[:, 1:])


def test_starts_are_random_up_or_doubled():
    hot, cold = (relax(uniform(32, start, 0, ""), "metropolis", 32, 64, (0,), KEY) for start in ("hot", "cold"))
    assert (cold.values[:, 0] == np.array([-2.0, 1.0, 1.0])[:, None]).all()
    assert abs(hot.at(0, 0).sigmas(0.0)) < 4
    seeds = uniform(16, "hot", 5, "")(0, 8)
    levels = []

    def double(spins, level, first):
        levels.append((level, first))
        return spins.repeat(2, 1).repeat(2, 2)

    fine = superresolved(seeds, 64, double)(2, 3)
    assert levels == [(1, 2), (2, 2)]
    assert np.array_equal(fine[:, ::4, ::4], seeds[2:5])


def test_reference_is_in_equilibrium():
    found = equilibrium(32, 128, 40, seed=0)
    exact = kaufman(32, 32, T_C).energy
    assert found.values[0] == Estimate(exact, 0.0)
    assert abs(found.measured_energy.sigmas(exact)) < 4
    # Salas and Sokal: <m^2> L^(1/4) tends to 1.0921 on the critical torus; 2% for the size
    assert abs(found.values[1].mean * 32**0.25 - 1.0921) < 4 * found.values[1].error * 32**0.25 + 0.022
    run = relax(uniform(32, "cold", 1, ""), "swendsen_wang", 32, 128, (0, 64), KEY)
    assert thermalized(run, found.values) == 1
    assert found.band(1, 128) == pytest.approx(3 * np.hypot(run.at(1, 1).error, found.values[1].error), rel=0.25)


def test_a_reference_that_is_too_short_is_refused():
    with pytest.raises(KadanoffError, match=r"not in equilibrium after 2 Swendsen-Wang sweeps.*cluster_sweeps"):
        equilibrium(64, 32, 2, seed=0)
