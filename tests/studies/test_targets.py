"""When a target is met, missed, or left open by the error of what was found."""

import pytest

from kadanoff.estimate import Estimate
from kadanoff.studies.targets import every, needed, vanishes, verdict


@pytest.mark.parametrize(
    ("mean", "error", "expected"),
    [
        (1.0, 1.0, "yes"),
        (1.0, 1.1, "open"),  # with so large an error, what is off by 3 of it would be met as well
        (0.0, 1.1, "open"),
        (2.5, 1.0, "open"),
        (4.5, 1.0, "no"),
        (4.5, 2.0, "open"),
        (3.0, 0.0, "yes"),
        (3.1, 0.0, "no"),
        (0.0, float("nan"), "open"),
        (float("nan"), float("nan"), "open"),
    ],
)
def test_a_target_within_three(mean, error, expected):
    assert verdict(Estimate(10 + mean, error), 10.0, 3.0) == expected
    assert needed(3.0) == 1.0


@pytest.mark.parametrize(
    ("mean", "error", "expected"),
    [
        (2.9, 1.0, "yes"),
        (-2.9, 1.1, "open"),
        (-3.1, 1.0, "no"),
        (0.4, 0.1, "no"),  # an exact 0 has no tolerance beside the error
        (0.0, 0.0, "yes"),
        (0.0, float("nan"), "open"),
    ],
)
def test_what_is_zero_by_a_symmetry(mean, error, expected):
    assert vanishes(Estimate(mean, error), 1.0) == expected


def test_what_was_not_found_misses():
    assert verdict(None, 0.0, 1.0) == "no"


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [(["yes", "yes"], "yes"), (["yes", "open"], "open"), (["open", "no", "yes"], "no")],
)
def test_all_have_to_meet_it(verdicts, expected):
    assert every(verdicts) == expected
