"""Classical classifiers of what `features` measures: what a network has to be compared with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from kadanoff.phases.features import table
from kadanoff.phases.microstates import Images
from kadanoff.phases.scores import macro_f1


@dataclass(frozen=True)
class Baseline:
    """`build(seed, **choice)` makes an estimator of scikit-learn; the validation set picks one of the `choices`.

    It sees the first `columns` of the table of features, all of them if None.
    """

    build: Callable[..., Any]
    choices: tuple[dict[str, Any], ...] = ({},)
    columns: int | None = None


@dataclass(frozen=True)
class Predictor:
    """A fitted estimator, the `choice` that the validation set made, and its macro-F1 there; images in, labels out."""

    estimator: Any
    columns: int | None
    choice: dict[str, Any]
    validation: float

    def __call__(self, images: Images) -> NDArray[np.int64]:
        """Labels int64 (n,)."""
        return self.estimator.predict(table(images)[1][:, : self.columns]).astype(np.int64)


def _thresholds(seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_leaf_nodes=4, random_state=seed)


def _logistic(seed: int, C: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=10_000, random_state=seed))


def _boosting(seed: int, learning_rate: float, max_leaf_nodes: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        learning_rate=learning_rate, max_leaf_nodes=max_leaf_nodes, max_iter=50, early_stopping=False, random_state=seed
    )


BASELINES: dict[str, Baseline] = {
    "energy thresholds": Baseline(_thresholds, columns=1),
    "logistic regression": Baseline(_logistic, tuple({"C": C} for C in (0.1, 1.0, 10.0, 100.0, 1000.0))),
    "gradient boosting": Baseline(
        _boosting,
        tuple({"learning_rate": rate, "max_leaf_nodes": leaves} for leaves in (4, 8) for rate in (0.05, 0.1, 0.2)),
    ),
}


def fit_baselines(train: Images, validation: Images, seed: int) -> dict[str, Predictor]:
    """All of `BASELINES`, fitted on the training set; the first of their choices that has the best validation macro-F1.

    The same images and seed give the same predictors.
    """
    (_, seen), (_, held_out) = table(train), table(validation)
    with threadpool_limits(1):  # small trees: where processes share cores, threads that wait take six times as long
        return {
            name: _fitted(baseline, seen, train, held_out, validation, seed) for name, baseline in BASELINES.items()
        }


def _fitted(
    baseline: Baseline, seen: NDArray, train: Images, held_out: NDArray, validation: Images, seed: int
) -> Predictor:
    found = []
    for choice in baseline.choices:
        estimator = baseline.build(seed, **choice).fit(seen[:, : baseline.columns], train.labels)
        score = macro_f1(validation.labels, estimator.predict(held_out[:, : baseline.columns]))
        found.append(Predictor(estimator, baseline.columns, choice, score))
    return max(found, key=lambda predictor: predictor.validation)
