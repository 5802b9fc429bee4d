"""Exponents of power laws that are known, and the error bars on them."""

import math

import numpy as np
import pytest

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.spins.scaling import combine, exponents, exponents_apart, local_slopes
from kadanoff.spins.statistics import jackknife

SIZES = np.array([16, 32, 64, 128])
EXACT = {"beta": 1 / 8, "gamma": 7 / 4, "eta_half": 1 / 4, "eta_quarter": 1 / 4}
INSIDE = (0.58, 0.78)
"""Part of 200 sets that lie within one standard error: 0.683 up to 3 standard deviations."""


def critical(seed=0, seeds=400, own=0.05, shared=0.3, sizes=SIZES):
    """Observables with the exact exponents, [level, seed]; each is a power of L times a positive random number.

    `shared` is how far the number of a seed scatters, `own` what each level adds to it.
    """
    rng = np.random.default_rng(seed)

    def scatter():
        common = 1 + shared * rng.uniform(-1, 1, seeds)
        return common + own * rng.uniform(-1, 1, (len(sizes), seeds))

    sign = rng.choice([-1, 1], (len(sizes), seeds))
    scale = np.asarray(sizes, float)[:, None] ** -0.125
    # Two-point functions of single configurations are negative now and then.
    return sizes, sign * scale * scatter(), scale**2 * (3 * scatter() - 2), scale**2 * scatter()


def shuffled(arguments, seed=99):
    """The same numbers, each level in an order of its own."""
    rng = np.random.default_rng(seed)
    sizes, *observables = arguments
    orders = np.argsort(rng.random(observables[0].shape), axis=1)
    return sizes, *(np.take_along_axis(values, orders, axis=1) for values in observables)


def test_exponents_of_exact_power_laws():
    found = exponents(*critical(own=0, shared=0), blocks=10)
    for name, value in EXACT.items():
        assert getattr(found, name).mean == pytest.approx(value)
        assert getattr(found, name).error < 1e-12
    assert found.correlation == pytest.approx(1)


@pytest.fixture(scope="module", params=[True, False], ids=["paired", "independent"])
def sets(request):
    shared = 0.3 if request.param else 0.0
    return [exponents(*critical(seed, shared=shared), paired=request.param, blocks=50) for seed in range(200)]


@pytest.mark.parametrize("name", list(EXACT))
def test_exact_exponents_lie_within_the_errors(sets, name):
    sigmas = np.array([getattr(found, name).sigmas(EXACT[name]) for found in sets])
    assert INSIDE[0] < np.mean(np.abs(sigmas) < 1) < INSIDE[1]
    assert abs(sigmas.mean()) < 4 / math.sqrt(200)
    wrong = np.array([getattr(found, name).sigmas(1.02 * EXACT[name]) for found in sets])
    assert np.mean(np.abs(wrong) < 1) < INSIDE[0]  # negative control


def test_pairing_reduces_the_error():
    paired, apart = exponents(*critical(), blocks=400), exponents(*shuffled(critical()), blocks=400)
    for name in EXACT:
        near, far = getattr(paired, name), getattr(apart, name)
        assert near.mean == pytest.approx(far.mean)
        assert far.error > 3 * near.error
        # Taken as independent, levels have the error of shuffled seeds, whatever their order.
        assert getattr(exponents(*critical(), paired=False), name).error == pytest.approx(far.error, rel=0.3)


@pytest.mark.parametrize(("seeds", "blocks"), [(40, None), (203, 10), (203, None)])
def test_errors_are_those_of_leaving_out_blocks(seeds, blocks):
    sizes, spins, half, quarter = critical(seeds=seeds)
    found = exponents(sizes, spins, half, quarter, blocks=blocks)

    def slope(samples):
        return np.polyfit(np.log(sizes), np.log(samples.mean(0)), 1)[0]

    for name, samples, power in [("beta", np.abs(spins), -1), ("gamma", spins**2, 1), ("eta_half", half, -1)]:
        expected = jackknife(slope, samples.T, blocks)
        offset = 2 if name == "gamma" else 0
        estimate = getattr(found, name)
        assert estimate.mean == pytest.approx(offset + power * expected.mean)
        assert estimate.error == pytest.approx(expected.error)
        assert estimate.n == seeds


def test_independent_levels_are_left_out_one_at_a_time():
    sizes, spins, half, quarter = critical(seeds=60)

    def part(level):
        def slope(samples):
            means = np.abs(spins).mean(1)
            means[level] = samples.mean()
            return np.polyfit(np.log(sizes), np.log(means), 1)[0]

        return jackknife(slope, np.abs(spins[level]), 20).error

    found = exponents(sizes, spins, half, quarter, paired=False, blocks=20)
    assert found.beta.error == pytest.approx(math.hypot(*(part(level) for level in range(4))))


def test_correlation_sees_a_law_that_is_no_power():
    sizes, spins, half, quarter = critical(own=0, shared=0)
    assert exponents(sizes, spins, half, quarter).correlation > 1 - 1e-12
    bent = quarter * np.array([1, 2, 2, 1])[:, None]
    assert exponents(sizes, spins, half, bent).correlation < 0.9
    assert exponents(sizes, spins, half, np.ones_like(half)).correlation == 0


@pytest.mark.parametrize("paired", [True, False])
def test_local_slopes(paired):
    sizes, spins, half, quarter = critical(sizes=np.array([16, 24, 96]))
    found = local_slopes(sizes, spins, paired)
    assert len(found) == 2
    for level, slope in enumerate(found):
        two = slice(level, level + 2)
        alone = exponents(sizes[two], spins[two], half[two], quarter[two], paired).gamma
        assert (slope.mean, slope.error) == pytest.approx((alone.mean, alone.error))
        assert abs(slope.sigmas(1.75)) < 4
    drifting = local_slopes(sizes, spins * np.array([1, 1, 1.05])[:, None], paired)
    assert drifting[0] == found[0]
    assert drifting[1].mean == pytest.approx(found[1].mean + 2 * math.log(1.05) / math.log(4))


def test_repetitions_that_scatter_or_do_not():
    alike = [Estimate(1.0, 0.3, n=10), Estimate(1.0, 0.4, n=10)]
    assert combine(alike) == Estimate(1.0, 0.25, n=20)
    apart = combine([Estimate(value, 0.001) for value in (1.0, 2.0, 3.0, 4.0)])
    assert apart.mean == 2.5
    assert apart.error == pytest.approx(math.sqrt(5 / 3) / 2)
    assert combine([Estimate(1.5, 0.2, n=7)]) == Estimate(1.5, 0.2, n=7)
    assert math.isnan(combine([Estimate(1.0, math.nan), Estimate(2.0, 0.1)]).error)


def test_combined_error_covers_the_truth():
    def experiment(seed, own):
        rng = np.random.default_rng(seed)
        return combine([Estimate(value, own) for value in rng.normal(0, math.hypot(own, 0.5), 6)])

    for own in (0.1, 2.0):
        sigmas = np.array([experiment(seed, own).sigmas(0.0) for seed in range(200)])
        assert INSIDE[0] < np.mean(np.abs(sigmas) < 1) < 0.85  # the larger of two errors is a little too large


def test_refuses_a_mean_that_one_block_makes_positive():
    sizes, spins, half, quarter = critical(seeds=10)
    half[2] = -1
    half[2, 4] = 10
    with pytest.raises(KadanoffError, match=r"at size 64 is 0.1, and as low as -1 without a block"):
        exponents(sizes, spins, half, quarter)


def test_exponents_apart_have_the_error_of_what_is_not_shared():
    """Two chains of the same seeds, one steeper by 0.01; of other seeds the error is that of both."""
    sizes, *first = critical(own=0.01)
    powers = 0.005, 0.01, 0.01
    tilted = [values * np.asarray(sizes)[:, None] ** power for values, power in zip(first, powers, strict=True)]
    rng = np.random.default_rng(5)
    second = [values * (1 + 0.01 * rng.uniform(-1, 1, values.shape)) for values in tilted]
    apart = exponents_apart(sizes, tuple(second), tuple(first))
    one, two = exponents(sizes, *second), exponents(sizes, *first)
    for name, shift in {"beta": -0.005, "gamma": 0.01, "eta_half": -0.01, "eta_quarter": -0.01}.items():
        found = getattr(apart, name)
        assert found.mean == pytest.approx(getattr(one, name).mean - getattr(two, name).mean, abs=1e-12)
        assert abs(found.sigmas(shift)) < 4
        assert abs(found.sigmas(0.0)) > 4
    others = exponents_apart(sizes, tuple(second), tuple(values[:, ::-1] for values in first))
    both = math.hypot(one.gamma.error, two.gamma.error)
    assert others.gamma.error == pytest.approx(both, rel=0.3)
    assert apart.gamma.error < 0.7 * both
