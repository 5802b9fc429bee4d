"""Macro-F1, the score of Kara, Sehanobish and Corzo, confusion tables, and means over trials and test sets."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.phases.microstates import Images
from kadanoff.phases.regions import REGIONS
from kadanoff.spins.statistics import independent_mean, jackknife


def macro_f1(labels: ArrayLike, predicted: ArrayLike) -> float:
    """Mean of the regions' F1; labels int (n,). A region that is neither there nor predicted counts as 0."""
    return float(f1_scores(confusion(labels, predicted)).mean())


def confusion(labels: ArrayLike, predicted: ArrayLike) -> NDArray[np.int64]:
    """Numbers of images [true region, predicted region], int64 (4, 4), of labels int (n,)."""
    table = np.zeros((len(REGIONS),) * 2, np.int64)
    np.add.at(table, (np.asarray(labels), np.asarray(predicted)), 1)
    return table


def f1_scores(confusions: ArrayLike) -> NDArray[np.float64]:
    """F1 = 2 TP / (true + predicted) of each region, (..., 4), of tables or probabilities (..., 4, 4).

    Their mean is `macro_f1` of the same images.
    """
    tables = np.asarray(confusions, float)
    hits = np.diagonal(tables, axis1=-2, axis2=-1)
    involved = tables.sum(-1) + tables.sum(-2)
    return np.divide(2 * hits, involved, out=np.zeros(hits.shape), where=involved > 0)


def score_rows(sets: Sequence[Images], predicted: Sequence[NDArray], **names: Any) -> list[dict[str, Any]]:
    """Rows of a table of scores: `names`, the number of the ``test`` set, its `macro_f1`, and the `error` over images.

    `predicted` are labels int (n,) of each set; the error is that of the jackknife.
    """
    found = []
    for number, pair in enumerate(zip(sets, predicted, strict=True)):
        columns = np.stack([pair[0].labels, pair[1]], axis=1)
        score = jackknife(lambda rows: macro_f1(rows[:, 0], rows[:, 1]), columns, corrected=False)
        found.append(names | {"test": number, "macro_f1": score.mean, "error": score.error})
    return found


def mean_over(scores: ArrayLike) -> Estimate:
    """Mean over trials and test sets of scores float64 (trials, tests), where all trials share the test sets.

    Both are random, so scores of one test set move together: Var(mean) = s_a^2/a + s_b^2/b + s_e^2/(a b) for a trials
    and b tests. The mean squares of the two-way layout (Searle, Casella and McCulloch, Variance Components (1992),
    section 4.3) estimate it by (MS_a + MS_b - MS_e)/(a b); a component below 0 is taken as 0, which makes
    it at least MS_a, MS_b and MS_e over (a b).

    One trial leaves the scatter of the test sets, so the error tells nothing of other trials. One test set leaves
    that of the trials, so the error tells nothing of other test sets. One of both has the error NaN.

    Raises
    ------
    KadanoffError
        If the scores are no table, or an empty one.
    """
    table = np.asarray(scores, float)
    if table.ndim != 2 or not table.size:
        raise KadanoffError(f"the scores have shape {table.shape}; a mean needs (trials, tests), each at least 1.")
    trials, tests = table.shape
    if trials == 1 or tests == 1:
        return independent_mean(table.ravel())
    mean, rows, columns = table.mean(), table.mean(1, keepdims=True), table.mean(0, keepdims=True)
    of_trials = tests * ((rows - mean) ** 2).sum() / (trials - 1)
    of_tests = trials * ((columns - mean) ** 2).sum() / (tests - 1)
    rest = ((table - rows - columns + mean) ** 2).sum() / ((trials - 1) * (tests - 1))
    total = rest + max(of_trials - rest, 0) + max(of_tests - rest, 0)
    return Estimate(float(mean), float(np.sqrt(total / table.size)), n=table.size)
