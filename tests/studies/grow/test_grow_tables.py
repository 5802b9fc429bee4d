"""The verdicts of the stage `grow`: each target met, missed, and left open, on measurements with known answers."""

from dataclasses import replace

import numpy as np
import pytest

from kadanoff.estimate import Estimate
from kadanoff.inverse.measurement import (
    Measurements,
    block_sums_variation,
    compared_with_source,
    differences,
    estimates,
    exact_decay,
    excess,
    largest_by_chance,
    ratio_deviations,
)
from kadanoff.spins.exact import critical_diagonal, critical_energy, critical_row, critical_square
from kadanoff.studies.grow.compare import Chain, compare_text, compared_table
from kadanoff.studies.grow.tables import PLACE, Grown, grown_table, metrics, missed, tables_text

SMALL, LARGE, COUNT = 512, 1536, 32


def exact_lattices(side, seed):
    """Lattices with exact energy, <m^2> and G(r), but for noise: of c10 and c11, and of G by r^0.01 up and down."""
    r = np.arange(1, side // 2 + 1)
    exact = np.array([critical_row(int(distance), side) for distance in r])
    tilts = np.resize([0.01, -0.01], (COUNT, 1))
    correlation = np.concatenate([np.ones((COUNT, 1)), exact * r**tilts], axis=1)
    noise = 1e-4 * np.random.default_rng(seed).standard_normal((2, COUNT))
    nearest, diagonal = noise + np.array([[-critical_energy(side) / 2], [critical_diagonal(side)]])
    shares, magnetization = np.full((COUNT, 10), 0.1), np.resize([1, -1], COUNT) * np.sqrt(critical_square(side))
    broken = np.resize([3e-4, -3e-4], COUNT)  # on average by none
    return Measurements(side, nearest, diagonal, magnetization, shares, correlation, correlation, broken, broken)


@pytest.fixture(scope="module")
def lattices():
    return exact_lattices(SMALL, 1), exact_lattices(LARGE, 2)


def numbers(small, large):
    return estimates(large) | compared_with_source(small, large, small)


def test_exact_lattices_meet_all_targets(lattices):
    small, large = lattices
    found = numbers(small, large)
    assert missed(found) == "–"
    assert found["exponent"].mean == pytest.approx(exact_decay(LARGE), abs=2e-3)
    assert abs(found["paired_ratio_off"].mean) < 4e-3


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"c10_excess": Estimate(4e-4, 0.5e-4)}, "c10"),
        ({"c10_excess": Estimate(0.0, 1.1e-4)}, "c10 (open)"),  # few lattices meet no target
        ({"c11_excess": Estimate(6e-4, 1e-4)}, "c11"),
        ({"paired_ratio_off": Estimate(-0.02, 0.002)}, "ratio"),
        ({"paired_ratio_off": Estimate(-0.009, 0.003)}, "ratio (open)"),
        ({"exponent": Estimate(0.3, 0.002), "binder": Estimate(0.5, 0.001)}, "–"),  # those of the seeds
        ({"paired_square_off": Estimate(0.05, 0.01), "c10_excess": Estimate(1e-2, 1e-4)}, "c10, square"),
        ({"between_minus_inside": Estimate(-3.2e-3, 3e-4)}, "grid"),
        ({"x_minus_y": Estimate(5e-4, 1.1e-4)}, "axes"),
    ],
)
def test_a_target_that_is_missed_is_named(lattices, changes, verdict):
    assert missed(numbers(*lattices) | changes) == verdict


def test_a_network_that_makes_long_waves_too_strong_is_seen_in_pairs_only(lattices):
    """As the published kernel without a sweep: G is too high by one factor, so its power and U4 are right."""
    small, large = lattices
    strong = replace(large, magnetization=1.1 * large.magnetization, correlation=1.21 * large.correlation)
    assert missed(numbers(small, strong)) == "ratio, square"
    assert estimates(strong)["exponent"].mean == pytest.approx(estimates(large)["exponent"].mean, abs=1e-9)
    assert estimates(strong)["binder"].mean == pytest.approx(estimates(large)["binder"].mean, abs=1e-9)
    assert numbers(small, strong)["paired_square_off"].mean == pytest.approx(0.21, abs=1e-3)


def test_the_worst_distance_is_as_far_off_by_chance_as_it_says():
    """Noise of a percent, half of it the same at all distances: the mean worst of 60 sets, to 4 standard errors."""
    rng = np.random.default_rng(4)
    base, exact = exact_lattices(LARGE, 2), np.concatenate([[1.0], np.arange(1, LARGE // 2 + 1) ** -0.25])
    small = replace(base, side=SMALL, correlation=np.tile(exact[: SMALL // 2 + 1], (COUNT, 1)))
    found, expected = [], []
    for _ in range(60):
        noise = rng.standard_normal((COUNT, 1)) + rng.standard_normal((COUNT, LARGE // 2 + 1))
        large = replace(base, correlation=exact * (1 + 0.01 * noise))
        found.append(max(abs(item.mean) for item in ratio_deviations(small, large)[1]))
        expected.append(largest_by_chance(small, large))
    assert abs(np.mean(expected) - np.mean(found)) < 4 * np.std(found) / np.sqrt(60)
    named_beforehand = 0.01 * np.sqrt(2 / COUNT) * np.sqrt(2 / np.pi)
    assert np.mean(expected) > 1.5 * named_beforehand


def test_lattices_from_the_same_seeds_differ_by_less_than_their_errors(lattices):
    """The second way is 2e-5 lower in c10, with noise of its own of 1e-5."""
    small, one = lattices
    nearest = one.nearest - 2e-5 + 1e-5 * np.random.default_rng(7).standard_normal(COUNT)
    other = replace(one, nearest=nearest, correlation=one.correlation**1.1, between=one.between - 1e-4)
    less = differences(one, other)
    assert less["c10_excess"].mean == pytest.approx(2e-5, abs=1e-5)
    assert less["c10_excess"].error < 0.3 * estimates(one)["c10_excess"].error
    assert less["exponent"].mean == pytest.approx(
        estimates(one)["exponent"].mean - estimates(other)["exponent"].mean, abs=1e-9
    )
    assert less["binder"].mean == less["binder"].error == 0
    assert less["between_minus_inside"].mean == pytest.approx(1e-4, abs=1e-12)
    assert less["x_minus_y"].mean == less["x_minus_y"].error == 0
    chains = [Chain("bad", 0, [small, other]), Chain("kernel", 8, [small, one])]
    found = compared_table(chains)
    assert metrics(found, PLACE)[f"L={LARGE}"]["bad"]["0"]["less_last"]["c10_excess"].mean == -less["c10_excess"].mean
    text = compare_text(found)
    assert f"L = {LARGE}: less kernel with 8 sweeps, in pairs" in text
    assert text.count("| bad | 0 | ") == text.count("| c10 between - inside | c10 x - y |") == 2
    assert text.count("| kernel | 8 | ") == 1


def test_a_lattice_whose_long_waves_are_too_weak_is_seen(lattices):
    small, large = lattices
    weak = replace(large, correlation=0.967 * large.correlation)
    found = numbers(small, weak)
    assert found["paired_ratio_off"].mean == pytest.approx(-0.033, abs=4e-3)
    assert missed(found) == "ratio"
    distances = ratio_deviations(small, weak)[0]
    assert (distances[0], distances[-1]) == (16, SMALL // 8)


def test_pairs_have_small_errors_and_the_right_ratio():
    """Noise of a tenth that both lattices share, and of the larger one alone."""
    noise = 1 + 0.1 * np.random.default_rng(1).standard_normal((2, COUNT, 1))
    r = np.maximum(np.arange(LARGE // 2 + 1), 1.0) ** -0.25
    small = replace(exact_lattices(SMALL, 1), correlation=noise[0] * r[: SMALL // 2 + 1])
    for own, largest in ((noise[0], 1e-9), (noise[1], 0.1)):
        large = replace(exact_lattices(LARGE, 2), correlation=own * r)
        ratio = ratio_deviations(small, large)[1][0]
        assert abs(ratio.mean) < 3 * ratio.error + 1e-9
        assert largest / 100 < max(ratio.error, 1e-10) < largest


def test_the_excess_forgets_what_the_seeds_had(lattices):
    small, large = lattices
    inherited = replace(large, nearest=large.nearest + 30 * (small.nearest + critical_energy(SMALL) / 2))
    off = inherited.nearest + critical_energy(LARGE) / 2
    assert excess(off, small).error < 0.2 * estimates(inherited)["c10_excess"].error
    assert excess(off + 0.002, small).mean - excess(off, small).mean == pytest.approx(0.002, rel=1e-9)


def test_the_spread_of_block_sums_ignores_the_sign_of_all_spins(lattices):
    large = lattices[1]
    tilted = replace(large, sums=large.sums + 0.01 * np.eye(10)[0] - 0.01 * np.eye(10)[9])
    assert block_sums_variation(tilted, large) == pytest.approx(0, abs=1e-12)
    moved = replace(large, sums=large.sums + 0.01 * np.eye(10)[0] - 0.01 * np.eye(10)[4])
    assert block_sums_variation(moved, large) == pytest.approx(0.01, rel=1e-9)


def test_the_tables_hold_g_against_monte_carlo(lattices):
    small, large = lattices
    found = Grown(small, [replace(large, correlation=1.5 * large.correlation)], [large], [large])
    text = tables_text(found, grown_table(found), 8)
    (line,) = [line for line in text.split("\n") if line.startswith("| 256 |")]
    assert line.startswith("| 256 | 50.")
    assert "exact, large torus" in text
    assert "| raw less refined, in pairs | " in text
    (refined,) = [line for line in text.split("\n") if line.startswith("| refined by 8 sweeps |")]
    assert refined.endswith(f" {COUNT} |")
