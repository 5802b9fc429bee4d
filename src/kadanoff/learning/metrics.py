"""How close a predicted coarse configuration is to the true one. All arrays are (configuration, y, x)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.spins.statistics import independent_mean

Array = NDArray[Any]


def root(estimate: Estimate) -> Estimate:
    """Square root, with the error propagated to first order."""
    value = float(np.sqrt(estimate.mean))
    return Estimate(value, estimate.error / (2 * value) if value else 0.0, estimate.n)


def site_errors(prediction: Array, target: Array) -> dict[str, Estimate]:
    """Mean squared, mean absolute and root mean squared error per site, and the sums over a configuration.

    The sums are what the report's tables call MSE and MAE (64 sites at L = 16, block 2).
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
    """Root mean squared difference of the magnetizations per site."""
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
