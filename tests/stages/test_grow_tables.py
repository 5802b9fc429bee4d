"""The verdicts of the stage `grow`: each target met, missed, and left open, on surveys with known answers."""

from dataclasses import replace

import numpy as np
import pytest

from kadanoff.inverse.survey import Survey, exact_decay
from kadanoff.spins.exact import critical_energy, critical_row
from kadanoff.spins.statistics import Estimate
from kadanoff.stages.grow_tables import Grown, excess, missed, ratios, row, spread, tables_text, worst

SMALL, LARGE, COUNT = 512, 1536, 32


def exact_survey(side, seed):
    """Lattices with the exact energy and G(r), but for noise: of c10, and of G by r^0.02 up and down in turn."""
    r = np.arange(1, side // 2 + 1)
    exact = np.array([critical_row(int(distance), side) for distance in r])
    tilts = np.resize([0.02, -0.02], (COUNT, 1))
    correlation = np.concatenate([np.ones((COUNT, 1)), exact * r**tilts], axis=1)
    nearest = -critical_energy(side) / 2 + 1e-4 * np.random.default_rng(seed).standard_normal(COUNT)
    shares, magnetization = np.full((COUNT, 10), 0.1), np.resize([0.5, -0.5], COUNT)
    broken = np.resize([3e-4, -3e-4], COUNT)  # on average by none
    return Survey(
        side, nearest, np.full(COUNT, 2 / np.pi), magnetization, shares, correlation, correlation, broken, broken
    )


@pytest.fixture(scope="module")
def surveys():
    return exact_survey(SMALL, 1), exact_survey(LARGE, 2)


def numbers(small, large):
    return row(large) | {"c10_excess": excess(large, small), "paired_ratio_off": worst(small, large)[1]}


def test_exact_lattices_meet_all_targets(surveys):
    small, large = surveys
    found = numbers(small, large)
    assert missed(found, LARGE) == "–"
    assert found["exponent"].mean == pytest.approx(exact_decay(LARGE), abs=2e-3)
    assert abs(found["paired_ratio_off"].mean) < 4e-3


@pytest.mark.parametrize(
    ("changes", "side", "raw", "verdict"),
    [
        ({"c10_excess": Estimate(4e-4, 1e-4)}, LARGE, False, "c10"),
        ({"c10_excess": Estimate(2.5e-4, 1e-4)}, LARGE, False, "–"),
        ({"c10_excess": Estimate(2.5e-4, 1e-4)}, 4608, False, "c10 (open)"),
        ({"c10_excess": Estimate(1e-4, 1e-4)}, 4608, False, "–"),
        ({"c10_excess": Estimate(6e-4, 4e-4)}, 4608, False, "c10 (open)"),
        ({"c10_excess": Estimate(9e-4, 4e-4)}, 4608, False, "c10"),
        ({"c10_excess": Estimate(4e-3, 1e-4)}, LARGE, True, "–"),
        ({"c10_excess": Estimate(6e-3, 1e-4)}, LARGE, True, "c10"),
        ({"paired_ratio_off": Estimate(-0.02, 0.002)}, LARGE, False, "ratio"),
        ({"paired_ratio_off": Estimate(-0.009, 0.007)}, LARGE, False, "ratio (open)"),
        ({"paired_ratio_off": Estimate(0.005, 0.002)}, LARGE, False, "–"),
        ({"exponent": Estimate(0.26, 0.003)}, LARGE, False, "exponent"),
        ({"exponent": Estimate(0.25, 0.011)}, LARGE, False, "exponent"),
        ({"exponent": Estimate(0.258, 0.003)}, LARGE, False, "–"),
        ({"exponent": Estimate(0.3, 0.02), "c10_excess": Estimate(1e-2, 1e-4)}, LARGE, False, "c10, exponent"),
        ({"between_minus_inside": Estimate(-3.2e-3, 3e-4)}, LARGE, True, "grid"),
        ({"between_minus_inside": Estimate(-3.2e-3, 3e-4)}, LARGE, False, "grid"),
        ({"between_minus_inside": Estimate(-2e-4, 3e-4)}, LARGE, True, "grid (open)"),
        ({"x_minus_y": Estimate(5e-4, 1.1e-4)}, LARGE, False, "axes"),
        ({"x_minus_y": Estimate(3e-4, 1.1e-4)}, LARGE, True, "–"),
    ],
)
def test_a_target_that_is_missed_is_named(surveys, changes, side, raw, verdict):
    assert missed(numbers(*surveys) | changes, side, raw) == verdict


def test_a_lattice_whose_long_waves_are_too_weak_is_seen(surveys):
    small, large = surveys
    weak = replace(large, correlation=0.967 * large.correlation)
    found = numbers(small, weak)
    assert found["paired_ratio_off"].mean == pytest.approx(-0.033, abs=4e-3)
    assert missed(found, LARGE) == "ratio"
    distances, off = ratios(small, weak)
    assert distances[0] == 16
    assert distances[-1] == SMALL // 8
    assert max(abs(item.mean) for item in off) == abs(found["paired_ratio_off"].mean)


def test_the_excess_forgets_what_the_seeds_had(surveys):
    small, large = surveys
    inherited = replace(large, nearest=large.nearest + 30 * (small.nearest + critical_energy(SMALL) / 2))
    assert excess(inherited, small).error < 0.2 * excess(inherited).error
    shifted = replace(inherited, nearest=inherited.nearest + 0.002)
    assert excess(shifted, small).mean - excess(inherited, small).mean == pytest.approx(0.002, rel=1e-9)


def test_the_spread_of_block_sums_ignores_the_sign_of_all_spins(surveys):
    large = surveys[1]
    tilted = replace(large, sums=large.sums + 0.01 * np.eye(10)[0] - 0.01 * np.eye(10)[9])
    assert spread(tilted, large) == pytest.approx(0, abs=1e-12)
    moved = replace(large, sums=large.sums + 0.01 * np.eye(10)[0] - 0.01 * np.eye(10)[4])
    assert spread(moved, large) == pytest.approx(0.01, rel=1e-9)


def test_the_tables_hold_g_and_the_blocks_against_monte_carlo(surveys):
    small, large = surveys
    high = replace(large, correlation=1.5 * large.correlation)
    text = tables_text(Grown(small, [high], [large], [large]), 8)
    (line,) = [line for line in text.split("\n") if line.startswith("| 256 |")]
    raw, _, refined, *_ = line.removeprefix("| 256 | ").split(" | ")
    assert raw.startswith("50.")
    assert refined.startswith("0.0(") or refined.startswith("0(")
    assert "exact, large torus" in text
