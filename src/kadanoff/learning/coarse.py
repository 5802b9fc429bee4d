"""Learning a block rule: the task, its errors, and the physics that a coarsener keeps at T_c."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.learning.metrics import correlation_summary, magnetization_rmse, site_errors, spatial_correlation
from kadanoff.learning.split import Split, stratified_split
from kadanoff.learning.training import Pair
from kadanoff.spins.blocking import RULES
from kadanoff.spins.exact import T_C
from kadanoff.spins.observables import two_point
from kadanoff.spins.statistics import jackknife

Array = NDArray[Any]


@dataclass(frozen=True)
class CoarseTask:
    """Configurations, what a block rule makes of them, and which of them train, validate and test.

    `spins` is int8 (n, y, x) and `target` (n, y/block, x/block), n running over temperature, then sample.
    """

    rule: str
    spins: NDArray[np.int8]
    target: Array
    split: Split

    def pair(self, rows: NDArray[np.int64]) -> Pair:
        """(inputs (n, 1, y, x), targets (n, 1, y', x')) of the configurations `rows`."""
        return torch.from_numpy(self.spins[rows]).unsqueeze(1), torch.from_numpy(self.target[rows]).unsqueeze(1)


def coarse_task(ensemble: Ensemble, rule: str, block: int, seed: int) -> CoarseTask:
    """Learning a block rule on a dataset of square lattices, split 70/10/20 at every temperature.

    Raises
    ------
    KadanoffError
        If there is no such rule, the dataset holds chains or is damaged, or the block does not divide the lattice.
    """
    if rule not in RULES:
        raise KadanoffError(f"rule is {rule!r}; choose one of {', '.join(RULES)}.")
    if ensemble.spins.ndim != 4:
        raise KadanoffError("the dataset holds chains; coarse-graining networks take square lattices (dimension: 2).")
    spins = ensemble.read()
    temperatures, samples = spins.shape[:2]
    flat = spins.reshape(temperatures * samples, *spins.shape[2:])
    return CoarseTask(rule, flat, RULES[rule](flat, block), stratified_split(temperatures, samples, seed))


@dataclass(frozen=True)
class Coarsener:
    """A network or a fixed rule: configurations (n, y, x) -> (n, y/block, x/block), measured against a block rule."""

    name: str
    rule: str
    block: int
    dataset: str
    apply: Callable[[Array], Array]
    parameters: int | None = None

    def errors(self, task: CoarseTask, part: str) -> dict[str, Any]:
        """`errors` on the configurations of one part of the split: `train`, `validation` or `test`."""
        rows = getattr(task.split, part)
        return errors(self.apply(task.spins[rows]), task.target[rows])


def errors(prediction: Array, target: Array) -> dict[str, Any]:
    """Site errors, magnetization RMSE and spatial correlation of predictions (configuration, y, x)."""
    return {
        **site_errors(prediction, target),
        "magnetization_rmse": magnetization_rmse(prediction, target),
        "spatial_correlation": correlation_summary(spatial_correlation(prediction, target)),
    }


def critical_spins(ensemble: Ensemble) -> Array:
    """The configurations (n, y, x) of a dataset at T_c.

    Raises
    ------
    KadanoffError
        If it has none.
    """
    index = int(np.abs(ensemble.temperatures - T_C).argmin())
    if abs(ensemble.temperatures[index] - T_C) > 1e-9:
        raise KadanoffError(
            f"{ensemble.provenance.get('name')} has no temperature {T_C!r} (T_c); add it and simulate again."
        )
    return ensemble.read(index)


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
    spins = critical_spins(ensemble)
    try:
        prediction = coarsener.apply(spins)
    except KadanoffError:
        return None
    target = RULES[coarsener.rule](spins, coarsener.block)
    return site_errors(prediction, target)["mse"], correlation_ratio(prediction, target)
