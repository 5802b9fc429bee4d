"""Classical classifiers of what `features` measures: what a network has to be compared with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from kadanoff.phases.features import pseudo_likelihood, table
from kadanoff.phases.microstates import Images
from kadanoff.phases.scores import macro_f1

LEAVES = 30
"""How many leaves of a tree the training images would fill at the least: 20 images a leaf of 600, scikit-learn's own
number, and 2 of 40, of which 20 a leaf would allow one split."""
Measure = Callable[[Images], NDArray[np.float64]]
"""Features (n, f) of n images."""


@dataclass(frozen=True)
class Baseline:
    """An estimator of scikit-learn on what `measure` gives; the validation set picks one of the `choices`.

    `build(seed, images, **choice)` makes it for a training set of so many images.
    """

    measure: Measure
    build: Callable[..., Any]
    choices: tuple[dict[str, Any], ...] = ({},)


@dataclass(frozen=True)
class Predictor:
    """A fitted estimator, the `choice` that the validation set made, and its macro-F1 there; images in, labels out."""

    estimator: Any
    measure: Measure
    choice: dict[str, Any]
    validation: float

    def __call__(self, images: Images) -> NDArray[np.int64]:
        """Labels int64 (n,)."""
        return self.estimator.predict(self.measure(images)).astype(np.int64)


def _energy(images: Images) -> NDArray[np.float64]:
    return images.energies[:, None]


def _coupling(images: Images) -> NDArray[np.float64]:
    return pseudo_likelihood(images.spins)[:, None]


def _all(images: Images) -> NDArray[np.float64]:
    return table(images)[1]


def _thresholds(seed: int, images: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_leaf_nodes=4, random_state=seed)


def _logistic(seed: int, images: int, C: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=10_000, random_state=seed))


def _boosting(seed: int, images: int, learning_rate: float, max_leaf_nodes: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        learning_rate=learning_rate,
        max_leaf_nodes=max_leaf_nodes,
        min_samples_leaf=max(2, images // LEAVES),
        max_iter=50,
        early_stopping=False,
        random_state=seed,
    )


BASELINES: dict[str, Baseline] = {
    "energy thresholds": Baseline(_energy, _thresholds),
    "pseudo-likelihood thresholds": Baseline(_coupling, _thresholds),
    "logistic regression": Baseline(_all, _logistic, tuple({"C": C} for C in (0.1, 1.0, 10.0, 100.0, 1000.0))),
    "gradient boosting": Baseline(
        _all,
        _boosting,
        tuple({"learning_rate": rate, "max_leaf_nodes": leaves} for leaves in (4, 8) for rate in (0.05, 0.1, 0.2)),
    ),
}
"""From the simplest on; the second is told neither the bonds nor the boundary, as the networks."""


def fit_baselines(train: Images, validation: Images, seed: int) -> dict[str, Predictor]:
    """All of `BASELINES`, fitted on the training set; the first of their choices that has the best validation macro-F1.

    The same images and seed give the same predictors.
    """
    with threadpool_limits(1):  # small trees: where processes share cores, threads that wait take six times as long
        return {name: _fitted(baseline, train, validation, seed) for name, baseline in BASELINES.items()}


def best(predictors: Mapping[str, Predictor]) -> str:
    """Name of the one with the best validation macro-F1, which no test set has any part in; of equals the first."""
    return max(predictors, key=lambda name: predictors[name].validation)


def _fitted(baseline: Baseline, train: Images, validation: Images, seed: int) -> Predictor:
    seen, held_out, found = baseline.measure(train), baseline.measure(validation), []
    for choice in baseline.choices:
        estimator = baseline.build(seed, len(train), **choice).fit(seen, train.labels)
        score = macro_f1(validation.labels, estimator.predict(held_out))
        found.append(Predictor(estimator, baseline.measure, choice, score))
    return max(found, key=lambda predictor: predictor.validation)
