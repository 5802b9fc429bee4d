"""Coarse-graining measured: errors against a block rule, and the physics that is kept."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.learning.metrics import (
    correlation_summary,
    magnetization_rmse,
    site_errors,
    spatial_correlation,
)
from kadanoff.spins.blocking import RULES
from kadanoff.spins.exact import T_C
from kadanoff.spins.observables import two_point
from kadanoff.spins.statistics import jackknife

Array = NDArray[Any]


@dataclass(frozen=True)
class Coarsener:
    """A network or a fixed rule: configurations (n, y, x) -> (n, y/block, x/block), held against a block rule."""

    apply: Callable[[Array], Array]
    rule: str
    block: int
    dataset: str
    parameters: int = 0


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


def kept_correlations(prediction: Array, target: Array) -> list[Estimate]:
    """G(r) of the predictions divided by that of the targets, for r = 0 to half of the side.

    Both come from the same configurations, so that the error (jackknife over configurations) is that of the ratio,
    not of G(r) itself. G(0) is the mean square of a block spin; G(1) is minus half of the energy per site.
    """
    pairs = np.stack([two_point(prediction), two_point(target)], axis=1)  # (configuration, 2, r)

    def ratio(distance: int) -> Estimate:
        def function(samples: Array) -> float:
            means = samples[:, :, distance].mean(axis=0)
            return float(means[0] / means[1])

        return jackknife(function, pairs)

    return [ratio(distance) for distance in range(pairs.shape[2])]


def at_criticality(coarsener: Coarsener, ensemble: Ensemble) -> tuple[Estimate, list[Estimate]] | None:
    """(mean squared error per site, kept correlations) at T_c; None if the lattice has another size than it takes."""
    spins = critical_spins(ensemble)
    try:
        prediction = coarsener.apply(spins)
    except KadanoffError:
        return None
    target = RULES[coarsener.rule](spins, coarsener.block)
    return site_errors(prediction, target)["mse"], kept_correlations(prediction, target)
