"""What the coarse-graining study measures of a prediction: errors, figures, and the physics that is kept."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.learning.metrics import (
    correlation_summary,
    magnetization_rmse,
    site_errors,
    spatial_correlation,
)
from kadanoff.spins.observables import two_point
from kadanoff.spins.statistics import Estimate, jackknife

Array = NDArray[np.float32]


def errors(prediction: Array, target: Array) -> dict[str, Any]:
    """Site errors, magnetization RMSE and spatial correlation of predictions (configuration, y, x)."""
    return {
        **site_errors(prediction, target),
        "magnetization_rmse": magnetization_rmse(prediction, target),
        "spatial_correlation": correlation_summary(spatial_correlation(prediction, target)),
    }


def kept_correlations(prediction: Array, target: Array) -> list[Estimate]:
    """G(r) of the predictions divided by that of the targets, for r = 0 to half of the side.

    Both come from the same configurations, so that the error (jackknife over configurations) is that of the ratio,
    not of G(r) itself. G(0) is the mean square of a block spin; G(1) is minus half of the energy per site.
    """
    pairs = np.stack([two_point(prediction), two_point(target)], axis=1)  # (configuration, 2, r)

    def ratio(distance: int) -> Estimate:
        def function(samples: NDArray) -> float:
            means = samples[:, :, distance].mean(axis=0)
            return float(means[0] / means[1])

        return jackknife(function, pairs)

    return [ratio(distance) for distance in range(pairs.shape[2])]
