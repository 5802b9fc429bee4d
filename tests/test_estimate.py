"""Arithmetic of numbers with errors, against many draws of them."""

import operator

import numpy as np
import pytest

from kadanoff.estimate import Estimate

ONE, OTHER = Estimate(2.0, 0.02), Estimate(-3.0, 0.05)
DRAWS = 200_000  # tell a standard deviation to a fifth of a percent


def drawn(value, random):
    return random.normal(value.mean, value.error, DRAWS) if isinstance(value, Estimate) else value


@pytest.mark.parametrize("pair", [(ONE, OTHER), (ONE, -3.0)], ids=["two estimates", "estimate and number"])
@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul, operator.truediv])
def test_errors_are_those_of_independent_numbers(operation, pair):
    random = np.random.default_rng(1)
    values = operation(*(drawn(value, random) for value in pair))
    found = operation(*pair)
    assert found.mean == pytest.approx(values.mean(), abs=5 * found.error / DRAWS**0.5 + 1e-3 * abs(found.mean))
    assert found.error == pytest.approx(values.std(), rel=0.01)


def test_numbers_may_come_first():
    assert [(value.mean, value.error) for value in (1 + ONE, 1 - ONE, 2 * ONE, -ONE)] == [
        (3.0, 0.02), (-1.0, 0.02), (4.0, 0.04), (-2.0, 0.02)
    ]  # fmt: skip
    assert sum([ONE, OTHER]).error == pytest.approx(np.hypot(0.02, 0.05))


def test_deviations_count_both_errors():
    assert ONE.sigmas(1.9) == pytest.approx(5)
    assert ONE.sigmas(Estimate(1.9, 0.02)) == pytest.approx(5 / 2**0.5)
    assert Estimate(1.0, 0.0).sigmas(1.0) == 0
    assert Estimate(1.0, 0.0).sigmas(2.0) == -float("inf")
