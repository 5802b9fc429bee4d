"""Classical classifiers of what `features` measures: what a network has to be compared with."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from kadanoff.phases.features import pseudo_likelihood, table
from kadanoff.phases.microstates import Images
from kadanoff.phases.scores import macro_f1

LEAVES = 30
"""How many leaves of a tree the training images would fill at the least: 20 images a leaf of 600, scikit-learn's own
number, and 2 of 40, of which 20 a leaf would allow one split."""
BASELINES: dict[str, Callable[[Images], NDArray[np.float64]]] = {
    "energy thresholds": lambda images: images.energies[:, None],
    "pseudo-likelihood thresholds": lambda images: pseudo_likelihood(images.spins)[:, None],
    "logistic regression": table,
    "gradient boosting": table,
}
"""Features (n, f) that each sees, the simplest first; the second is told neither the bonds nor the boundary, as the
networks."""


class Predictor(NamedTuple):
    """A fitted estimator of scikit-learn, which the validation set chose, and its macro-F1 there."""

    name: str
    estimator: Any
    validation: float

    def __call__(self, images: Images) -> NDArray[np.int64]:
        """Labels int64 (n,)."""
        return self.estimator.predict(BASELINES[self.name](images)).astype(np.int64)


def _estimators(name: str, images: int, seed: int) -> list[Any]:
    """What the validation set chooses from, for a training set of so many images."""
    if name == "logistic regression":
        return [
            make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=10_000, random_state=seed))
            for C in (0.1, 1.0, 10.0, 100.0, 1000.0)
        ]
    if name == "gradient boosting":
        least = max(2, images // LEAVES)
        given = {"min_samples_leaf": least, "max_iter": 50, "early_stopping": False, "random_state": seed}
        return [
            HistGradientBoostingClassifier(learning_rate=rate, max_leaf_nodes=leaves, **given)
            for leaves in (4, 8)
            for rate in (0.05, 0.1, 0.2)
        ]
    return [DecisionTreeClassifier(max_leaf_nodes=4, random_state=seed)]


def fit_baselines(train: Images, validation: Images, seed: int) -> dict[str, Predictor]:
    """All of `BASELINES`, fitted on the training set; the first of their choices that has the best validation macro-F1.

    The same images and seed give the same predictors.
    """
    found = {}
    with threadpool_limits(1):  # small trees: where processes share cores, threads that wait take six times as long
        for name, measure in BASELINES.items():
            seen, held_out, fitted = measure(train), measure(validation), []
            for estimator in _estimators(name, len(train), seed):
                estimator.fit(seen, train.labels)
                score = macro_f1(validation.labels, estimator.predict(held_out))
                fitted.append(Predictor(name, estimator, score))
            found[name] = max(fitted, key=lambda predictor: predictor.validation)
    return found


def best(predictors: Mapping[str, Predictor]) -> str:
    """Name of the one with the best validation macro-F1, which no test set has any part in; of equals the first."""
    return max(predictors, key=lambda name: predictors[name].validation)
