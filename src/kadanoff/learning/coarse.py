"""Learning a block rule: the split, the task, errors, and the physics that a coarsener keeps at T_c."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.learning.training import Pair
from kadanoff.spins.blocking import RULES
from kadanoff.spins.exact import T_C
from kadanoff.spins.observables import two_point
from kadanoff.spins.statistics import independent_mean, jackknife

Array = NDArray[Any]


@dataclass(frozen=True)
class Split:
    """Indices into the configurations [temperature, sample] flattened to temperature * samples + sample.

    They go round the temperatures, so the first n of each part are stratified too: `train[:n]` for growing n are
    the nested training sets of a learning curve.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def stratified_split(temperatures: int, samples: int, seed: int) -> Split:
    """Split of 70/10/20 percent of the `samples` at each temperature, at least 1 each; KadanoffError for fewer than 3.

    A pure function of its arguments. The order at a temperature is that of the raw words of Philox, whose stream
    NumPy guarantees in all versions, which it does not for `Generator.permutation`.
    """
    if samples < 3:
        raise KadanoffError(
            f"samples is {samples}; a split into training, validation and test needs at least 3 per temperature."
        )
    words = [np.random.Philox(np.random.SeedSequence((seed, t))).random_raw(samples) for t in range(temperatures)]
    shuffled = np.argsort(np.array(words).reshape(temperatures, samples), axis=1, kind="stable")
    indices = (np.arange(temperatures)[:, None] * samples + shuffled).T  # (samples, temperatures)
    held_out = max(1, samples // 10), max(1, samples // 5)
    validation, test, train = np.split(indices, np.cumsum(held_out))
    return Split(train.ravel(), validation.ravel(), test.ravel())


@dataclass(frozen=True)
class CoarseTask:
    """Configurations, what a block rule makes of them, and which of them train, validate and test.

    `spins` is int8 (n, y, x) and `target` (n, y/block, x/block), n running over temperature, then sample.
    """

    spins: NDArray[np.int8]
    target: Array
    split: Split

    def pair(self, rows: NDArray[np.int64]) -> Pair:
        """(inputs (n, 1, y, x), targets (n, 1, y', x')) of the configurations `rows`."""
        return torch.from_numpy(self.spins[rows]).unsqueeze(1), torch.from_numpy(self.target[rows]).unsqueeze(1)


def coarse_task(ensemble: Ensemble, rule: str, block: int, seed: int) -> CoarseTask:
    """Learning a block rule on a dataset of square lattices, split 70/10/20 at every temperature.

    KadanoffError if there is no such rule, the dataset holds chains, or the block does not divide the lattice.
    """
    if rule not in RULES:
        raise KadanoffError(f"rule is {rule!r}; choose one of {', '.join(RULES)}.")
    if ensemble.spins.ndim != 4:
        raise KadanoffError("the dataset holds chains; coarse-graining networks take square lattices (dimension: 2).")
    spins = ensemble.read()
    temperatures, samples = spins.shape[:2]
    flat = spins.reshape(temperatures * samples, *spins.shape[2:])
    return CoarseTask(flat, RULES[rule](flat, block), stratified_split(temperatures, samples, seed))


@dataclass(frozen=True)
class Coarsener:
    """A network or a fixed rule that coarsens configurations (n, y, x), measured against a block rule."""

    name: str
    rule: str
    block: int
    dataset: str
    apply: Callable[[Array], Array]
    parameters: int | None = None

    def errors(self, task: CoarseTask, part: str) -> dict[str, Any]:
        """Site errors, magnetization RMSE and spatial correlation on a part of the split: `validation` or ``test``."""
        rows = getattr(task.split, part)
        prediction, target = self.apply(task.spins[rows]), task.target[rows]
        return {
            **site_errors(prediction, target),
            "magnetization_rmse": magnetization_rmse(prediction, target),
            "spatial_correlation": correlation_summary(spatial_correlation(prediction, target)),
        }


def root(estimate: Estimate) -> Estimate:
    """Square root, with the error propagated to first order: that of the square over twice the root."""
    value = float(np.sqrt(estimate.mean))
    return Estimate(value, estimate.error / (2 * value) if value else 0.0, estimate.n)


def site_errors(prediction: Array, target: Array) -> dict[str, Estimate]:
    """Mean squared, mean absolute and root mean squared error per site, and the sums over a configuration.

    Arrays are (configuration, y, x). The sums are what the report's tables call MSE and MAE (64 sites).
    """
    difference = prediction.astype(np.float64) - target
    sites = difference[0].size
    squared = (difference**2).mean(axis=(1, 2))
    absolute = np.abs(difference).mean(axis=(1, 2))
    mse = independent_mean(squared)
    return {
        "mse": mse,
        "mae": independent_mean(absolute),
        "rmse": root(mse),
        "mse_sum": independent_mean(squared * sites),
        "mae_sum": independent_mean(absolute * sites),
        "rmse_sum": root(independent_mean(squared * sites)),
    }


def magnetization_rmse(prediction: Array, target: Array) -> Estimate:
    """Root mean squared difference of the magnetizations per site; arrays (configuration, y, x)."""
    difference = prediction.mean(axis=(1, 2)) - target.mean(axis=(1, 2))
    return root(independent_mean(difference**2))


def spatial_correlation(prediction: Array, target: Array) -> Array:
    """Pearson correlation of prediction and target over the sites of each configuration; (configuration,).

    NaN where either is uniform: a correlation does not exist there.
    """
    flat = [array.reshape(len(array), -1) for array in (prediction, target)]
    centred = [array - array.mean(axis=1, keepdims=True) for array in flat]
    uniform = np.any([np.ptp(array, axis=1) == 0 for array in flat], axis=0)
    norms = np.sqrt((centred[0] ** 2).sum(axis=1) * (centred[1] ** 2).sum(axis=1))
    products = (centred[0] * centred[1]).sum(axis=1)
    return np.divide(products, norms, out=np.full(len(products), np.nan), where=~uniform & (norms > 0))


def correlation_summary(correlation: Array) -> dict[str, float | int]:
    """Mean, its error, standard deviation and range over the configurations that have one, and how many have none."""
    defined = correlation[~np.isnan(correlation)]
    if not len(defined):
        return {"defined": 0, "undefined": len(correlation)}
    found = independent_mean(defined)
    return {
        "mean": found.mean,
        "error": found.error,
        "sd": found.error * found.n**0.5,
        "minimum": float(defined.min()),
        "maximum": float(defined.max()),
        "defined": len(defined),
        "undefined": int(len(correlation) - len(defined)),
    }


def correlation_ratio(prediction: Array, target: Array) -> list[Estimate]:
    """G(r) of the predictions divided by that of the targets, for r = 0 to half of the side.

    Both come from the same configurations, so that the error (jackknife over configurations) is that of the ratio,
    not of G(r) itself. G(0) is the mean square of a block spin; G(1) is minus half of the energy per site.
    """
    pairs = np.stack([two_point(prediction), two_point(target)], axis=1)  # (configuration, 2, r)

    def ratio(samples: Array) -> float:  # (configuration, 2)
        predicted, true = samples.mean(axis=0)
        return float(predicted / true)

    return [jackknife(ratio, pairs[:, :, distance]) for distance in range(pairs.shape[2])]


def at_criticality(coarsener: Coarsener, ensemble: Ensemble) -> tuple[Estimate, list[Estimate]] | None:
    """(mean squared error per site, `correlation_ratio`) at T_c; None if the network takes lattices of another size."""
    index = int(np.abs(ensemble.temperatures - T_C).argmin())
    if abs(ensemble.temperatures[index] - T_C) > 1e-9:
        raise KadanoffError(
            f"{ensemble.provenance.get('name')} has no temperature {T_C!r} (T_c); add it to `datasets`."
        )
    spins = ensemble.read(index)
    try:
        prediction = coarsener.apply(spins)
    except KadanoffError:
        return None
    target = RULES[coarsener.rule](spins, coarsener.block)
    return site_errors(prediction, target)["mse"], correlation_ratio(prediction, target)
