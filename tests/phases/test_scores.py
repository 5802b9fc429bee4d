import numpy as np
import pytest
from sklearn.metrics import f1_score

from kadanoff.errors import KadanoffError
from kadanoff.phases.microstates import Images
from kadanoff.phases.scores import confusion, f1_scores, macro_f1, mean_over, score_rows

LABELS = np.array([0, 0, 1, 1, 2, 3, 3, 3])
PREDICTED = np.array([0, 1, 1, 1, 3, 3, 3, 2])


def test_macro_f1_by_hand():
    # F1 = 2 TP/(true + predicted): 2/3, 4/5, 0, 4/6
    assert macro_f1(LABELS, PREDICTED) == pytest.approx((2 / 3 + 4 / 5 + 0 + 2 / 3) / 4, abs=1e-15)
    assert macro_f1(LABELS, LABELS) == 1
    expected = [[1, 1, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1], [0, 0, 1, 2]]
    assert confusion(LABELS, PREDICTED).tolist() == expected
    # a region that is nowhere counts as 0
    assert f1_scores(confusion([0, 0, 1], [0, 0, 1])).tolist() == [1, 1, 0, 0]


def test_a_row_of_scores_is_a_test_set_with_its_error_over_images():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, (2, 400))
    predicted = np.where(random.random((2, 400)) < 0.1, (labels + 1) % 4, labels)
    sets = [Images(np.zeros((400, 2, 2), np.int8), row, *np.zeros((3, 400))) for row in labels]
    found = score_rows(sets, predicted, model="a")
    assert [(row["model"], row["test"]) for row in found] == [("a", 0), ("a", 1)]
    assert [row["macro_f1"] for row in found] == [macro_f1(*pair) for pair in zip(labels, predicted, strict=True)]
    assert all(0.01 < row["error"] < 0.02 for row in found)  # sqrt(0.1 0.9 / 400) = 0.015


def test_f1_of_tables_is_that_of_scikit_learn():
    generator = np.random.default_rng(1)
    labels, predicted = generator.integers(0, 4, (2, 50, 30))
    tables = np.array([confusion(*pair) for pair in zip(labels, predicted, strict=True)])
    expected = [f1_score(*pair, average="macro", labels=range(4)) for pair in zip(labels, predicted, strict=True)]
    assert [macro_f1(*pair) for pair in zip(labels, predicted, strict=True)] == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(f1_scores(tables).mean(-1), expected, rtol=1e-14)
    np.testing.assert_allclose(f1_scores(tables / 30).mean(-1), expected, rtol=1e-14)
    # negative control: transposed tables have the same F1, tables with exchanged rows have not
    np.testing.assert_allclose(f1_scores(tables.swapaxes(1, 2)).mean(-1), expected, rtol=1e-14)
    assert np.abs(f1_scores(tables[:, [1, 0, 2, 3]]).mean(-1) - expected).max() > 0.1


def crossed(of_trials, of_tests, rest, trials, tests, seed):
    """Scores with these standard deviations around 0.9."""
    generator = np.random.default_rng(seed)
    return (
        0.9
        + of_trials * generator.normal(size=(trials, 1))
        + of_tests * generator.normal(size=(1, tests))
        + rest * generator.normal(size=(trials, tests))
    )


@pytest.mark.parametrize(("of_trials", "of_tests", "rest"), [(0.02, 0.0, 0.01), (0.0, 0.02, 0.01), (0.01, 0.01, 0.01)])
def test_the_error_is_the_scatter_of_the_means(of_trials, of_tests, rest):
    trials, tests = 10, 20
    found = [mean_over(crossed(of_trials, of_tests, rest, trials, tests, seed)) for seed in range(1000)]
    scatter = np.std([estimate.mean for estimate in found])
    exact = np.sqrt(of_trials**2 / trials + of_tests**2 / tests + rest**2 / (trials * tests))
    assert scatter == pytest.approx(exact, rel=0.11)  # 5 errors of a deviation of 1000
    assert np.sqrt(np.mean([estimate.error**2 for estimate in found])) == pytest.approx(exact, rel=0.11)
    beyond = np.mean([abs(estimate.mean - 0.9) > 3 * estimate.error for estimate in found])
    assert beyond < 0.02  # 0.003 for a normal one, more for an error from 10 trials


def test_taking_all_scores_as_independent_has_too_small_errors():
    # negative control of the test above
    scores = [crossed(0.0, 0.02, 0.01, 10, 20, seed) for seed in range(500)]
    naive = np.mean([table.std(ddof=1) / np.sqrt(table.size) for table in scores])
    assert naive < 0.5 * np.std([table.mean() for table in scores])


def test_the_error_is_never_below_that_of_any_one_part():
    for seed in range(200):
        table = crossed(0.0, 0.0, 0.01, 3, 4, seed)
        error = mean_over(table).error
        for axis in (0, 1):
            means = table.mean(axis)
            assert error >= means.std(ddof=1) / np.sqrt(len(means)) * (1 - 1e-12)


def test_one_trial_leaves_the_test_sets_and_one_score_has_no_error():
    scores = np.array([0.9, 0.8, 0.85])
    for table in (scores[None], scores[:, None]):
        found = mean_over(table)
        assert (found.mean, found.error, found.n) == (pytest.approx(0.85), pytest.approx(0.05 / np.sqrt(3)), 3)
    assert np.isnan(mean_over([[0.9]]).error)
    for wrong in ([[]], [0.9, 0.8]):
        with pytest.raises(KadanoffError, match=r"trials, tests"):
            mean_over(wrong)
