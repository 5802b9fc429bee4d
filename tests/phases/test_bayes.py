"""The Bayes limit against brute force on small lattices, and against images that were simulated."""

from itertools import combinations

import numpy as np
import pytest

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.phases.bayes import Limit, bayes_limit, predict, region_distributions, scatter, verdict
from kadanoff.phases.regions import TEST, region
from kadanoff.phases.scores import confusion, f1_scores, macro_f1, mean_over
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import enumerate_states

GRID = np.round(np.arange(1, 401) / 100, 2)
SYSTEMS = [("periodic", 1), ("periodic", -1), ("antiperiodic", 1), ("skewed", 1)]


def limit_of(size, boundary="periodic", coupling=1, counts=TEST):
    levels, probabilities = region_distributions(Lattice.of(size, boundary, coupling), GRID)
    return bayes_limit(levels, probabilities, counts), probabilities


def population_f1(decisions, probabilities, counts=TEST):
    """Macro-F1 of decisions (k, n), by sums over the levels."""
    joint = probabilities * (np.array(counts) / sum(counts))[:, None]
    chosen = (decisions[:, None] == np.arange(4)[:, None]).astype(float)  # (k, 4, n)
    hits, decided = (chosen * joint).sum(-1), (chosen * joint.sum(0)).sum(-1)
    return (2 * hits / (joint.sum(1) + decided)).mean(-1)


def thresholds(levels):
    """All decisions with rising regions, as rows (k, n)."""
    edges = np.array(list(combinations(range(1, levels), 3)))
    return (np.arange(levels) >= edges[..., None]).sum(1)


def neighbours(decision):
    """All decisions that differ at one level."""
    changed = np.repeat(decision[None], 4 * len(decision), 0)
    places = np.arange(4 * len(decision))
    changed[places, places // 4] = places % 4
    return changed


def test_probabilities_are_means_over_the_grid():
    levels, probabilities = region_distributions(Lattice.of(4), GRID)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-12)
    states = enumerate_states(Lattice.of(4))
    for number in range(4):
        expected = np.mean([states.energy_distribution(T).probabilities for T in GRID[region(GRID) == number]], axis=0)
        np.testing.assert_allclose(probabilities[number], expected, atol=1e-10)
    assert levels[0] == -32


def test_a_region_without_temperatures_is_a_mistake():
    with pytest.raises(KadanoffError, match="none of 3 temperatures is critical"):
        region_distributions(Lattice.of(4), [1.0, 2.0, 3.0])
    with pytest.raises(KadanoffError, match="lies in no region"):
        region_distributions(Lattice.of(4), [1.0, 2.0, 2.2, 5.0])


@pytest.mark.parametrize(("boundary", "coupling"), SYSTEMS)
@pytest.mark.parametrize("counts", [TEST, (1, 1, 1, 1)])
def test_no_three_thresholds_are_better(boundary, coupling, counts):
    limit, probabilities = limit_of(6, boundary, coupling, counts)
    everything = np.concatenate(
        [population_f1(part, probabilities, counts) for part in np.array_split(thresholds(len(limit.levels)), 20)]
    )
    assert limit.macro_f1 >= everything.max() - 1e-12
    assert np.median(everything) < limit.macro_f1 - 0.02  # negative control: most are worse


@pytest.mark.parametrize(("boundary", "coupling"), SYSTEMS)
@pytest.mark.parametrize("size", [4, 8])
def test_no_single_level_moves_to_a_better_region(size, boundary, coupling):
    limit, probabilities = limit_of(size, boundary, coupling)
    assert population_f1(limit.decision[None], probabilities)[0] == pytest.approx(limit.macro_f1, abs=1e-13)
    assert limit.f1.mean() == pytest.approx(limit.macro_f1, abs=1e-13)
    assert population_f1(neighbours(limit.decision), probabilities).max() <= limit.macro_f1 + 1e-12


def test_the_most_probable_region_is_not_the_best():
    limit, probabilities = limit_of(8)
    posterior = (probabilities * np.array(TEST)[:, None]).argmax(0)
    plain = population_f1(posterior[None], probabilities)[0]
    assert plain == pytest.approx(limit.posterior_macro_f1, abs=1e-13)
    assert plain < limit.macro_f1 - 0.005
    # negative control of the test above: from there a single level does move to a better score
    assert population_f1(neighbours(posterior), probabilities).max() > plain + 0.002


def test_the_sign_of_the_coupling_is_nothing_on_an_even_torus():
    ferromagnet, antiferromagnet = limit_of(8)[0], limit_of(8, coupling=-1)[0]
    assert ferromagnet.macro_f1 == pytest.approx(antiferromagnet.macro_f1, abs=1e-12)
    assert abs(limit_of(8, "antiperiodic")[0].macro_f1 - ferromagnet.macro_f1) > 0.005


def test_levels_without_probability_decide_as_their_neighbours():
    levels = np.arange(7.0)
    probabilities = np.zeros((4, 7))
    probabilities[[0, 1, 2, 3], [1, 2, 4, 5]] = 1
    limit = bayes_limit(levels, probabilities)
    assert limit.macro_f1 == 1
    assert limit.decision.tolist() == [0, 0, 1, 1, 2, 3, 3]


def test_an_image_takes_the_nearest_level():
    limit = Limit(np.array([-8.0, -4.0, 0.0]), np.array([0, 2, 3]), 1, np.ones(4), 1)
    assert predict(limit, [-2.0, -1.2, -0.9, -0.1, 0.0, 5.0, -9.0], 4).tolist() == [0, 2, 2, 3, 3, 3, 0]


def test_scatter_is_that_of_sets_of_energies():
    limit, probabilities = limit_of(8)
    found = scatter(limit, probabilities, TEST, 20_000, seed=1)
    assert found == scatter(limit, probabilities, TEST, 20_000, seed=1)
    assert found != scatter(limit, probabilities, TEST, 20_000, seed=2)
    generator = np.random.default_rng(3)
    labels = np.repeat(np.arange(4), TEST)
    scores = []
    for _ in range(400):
        drawn = [generator.choice(limit.levels, n, p=row) for n, row in zip(TEST, probabilities, strict=True)]
        scores.append(macro_f1(labels, predict(limit, np.concatenate(drawn) / 64, 64)))
    assert np.mean(scores) == pytest.approx(found.mean, abs=4 * found.deviation / 20)
    assert np.std(scores) == pytest.approx(found.deviation, rel=0.15)  # 4 errors
    assert found.mean == pytest.approx(limit.macro_f1, abs=0.002)  # F1 is not linear
    larger = scatter(limit, probabilities, tuple(100 * n for n in TEST), 2000, seed=1)
    assert larger.mean == pytest.approx(limit.macro_f1, abs=2e-4)
    assert larger.deviation == pytest.approx(found.deviation / 10, rel=0.1)


SETS = 16
"""Test sets of simulated images; a mean over them has an error of 0.006."""


@pytest.fixture(scope="module")
def simulated():
    """The limit of an 8 x 8 torus at four temperatures of each region, P(E|region), and energies (chains,) of each."""
    temperatures = np.array([0.3, 0.7, 0.9, 1.05, 1.2, 1.5, 1.8, 2.1, 2.13, 2.2, 2.25, 2.3, 2.4, 2.7, 3.2, 4.0])
    found = kadanoff.simulate(
        8, temperatures, 600, sampler="swendsen_wang", sweeps=30, seed=11, workers=1, allow_unequilibrated=True
    )
    levels, probabilities = region_distributions(Lattice.of(8), temperatures)
    generator = np.random.default_rng(4)
    energies = [generator.permuted(found.energy[region(temperatures) == number].ravel()) for number in range(4)]
    return bayes_limit(levels, probabilities), probabilities, energies


def images_of(energies):
    """Labels, and energies per site of each test set, (400,); no image is in two of them."""
    labels = np.repeat(np.arange(4), TEST)
    starts = [[place * count for count in TEST] for place in range(SETS)]
    return labels, [
        np.concatenate([part[start : start + count] for part, start, count in zip(energies, row, TEST, strict=True)])
        for row in starts
    ]


def test_the_best_classifier_scores_the_limit_and_is_no_leak(simulated):
    limit, probabilities, energies = simulated
    labels, sets = images_of(energies)
    found = mean_over([[macro_f1(labels, predict(limit, part, 64)) for part in sets]])
    expected = scatter(limit, probabilities, TEST, 20_000, seed=1)
    assert abs(found.sigmas(expected.mean)) < 4
    assert found.error == pytest.approx(expected.deviation / np.sqrt(SETS), rel=0.6)  # 3.3 errors
    assert verdict(found, limit.macro_f1, expected.deviation / np.sqrt(SETS)) == ""
    table = sum(confusion(labels, predict(limit, part, 64)) for part in sets)
    np.testing.assert_allclose(f1_scores(table), limit.f1, atol=0.03)


def test_a_classifier_that_sees_some_labels_or_images_out_of_equilibrium_is_a_leak(simulated):
    limit, probabilities, energies = simulated
    labels, sets = images_of(energies)
    told = np.arange(len(labels)) % 4 == 0
    found = mean_over([[macro_f1(labels, np.where(told, labels, predict(limit, part, 64))) for part in sets]])
    least = scatter(limit, probabilities, TEST, 20_000, seed=1).deviation / np.sqrt(SETS)
    assert verdict(found, limit.macro_f1, least) == "leak"
    # cooled too fast for their energies to scatter as they should: each is as its region's mean
    labels, sets = images_of([np.full(len(part), part.mean()) for part in energies])
    found = mean_over([[macro_f1(labels, predict(limit, part, 64)) for part in sets]])
    assert verdict(found, limit.macro_f1) == "leak"


def test_verdicts():
    cases = [(0.981, 0.001, 0), (0.978, 0.001, 0), (0.981, 0.001, 0.01), (1.0, float("nan"), 0.001), (1.0, 0.0, 0)]
    found = [verdict(Estimate(mean, error), 0.976, least) for mean, error, least in cases]
    assert found == ["leak", "", "", "", "leak"]


@pytest.mark.slow  # the density of states of 100 x 100
def test_the_limit_of_the_paper_s_lattice():
    limit, probabilities = limit_of(100)
    assert limit.macro_f1 == pytest.approx(0.976, abs=0.001)
    assert limit.posterior_macro_f1 == pytest.approx(0.976, abs=0.001)
    assert limit.posterior_macro_f1 <= limit.macro_f1
    assert np.all(np.diff(limit.decision) >= 0)  # three thresholds, also where the probabilities underflow
    found = scatter(limit, probabilities, TEST, 20_000, seed=1)
    assert found.mean == pytest.approx(limit.macro_f1, abs=0.001)
    assert found.deviation == pytest.approx(0.009, abs=0.002)
    assert abs(limit_of(32)[0].macro_f1 - 0.976) > 0.01  # negative control
