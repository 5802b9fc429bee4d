"""The temperature of a lattice after a decimation, and before: exact for the chain, by collapse for the square.

What a network is trained to invert carries the temperature of the fine lattice; the decimated one has another.
Efthymiou, Beach and Melko, "Super-resolving the Ising model with convolutional neural networks" (2019):
equation (5) for the chain; section IV for the square lattice, which has no exact answer.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from kadanoff.errors import KadanoffError, numbers, shown, whole

FROZEN = 100.0
"""A coupling K = 1/T above which K' = K - ln(b)/2 holds to the last bit, and exp(2K) is on its way to overflow."""
EXACT = 1e-9
"""Least error of a curve, as a part of its range: where all configurations agree, the measured error is 0."""
LARGEST_DEVIATION = 5.0
"""Standard errors that a curve may lie off a monotone one."""


class Collapse(NamedTuple):
    """T~ for every T, in |J|/k_B, and its standard error; nan where no observable has one. Shape [temperature]."""

    rescaled: NDArray[np.float64]
    error: NDArray[np.float64]


def decimated_temperature(temperature: ArrayLike, block: int = 2) -> NDArray[np.float64]:
    """Temperature T' of a chain of which every `block`-th spin is kept: tanh K' = tanh^b K with K = 1/T.

    For b = 2 this is equation (5), K' = 1/2 ln cosh 2K. It holds for an open chain and for a ring.

    Parameters
    ----------
    temperature
        Positive and finite, in |J|/k_B, of any shape; T' has the same one, and is infinite if it exceeds the largest
        double.
    block
        Sites per block.
    """
    return _rescaled(temperature, whole(block, "block", 1, 1 << 32))


def restored_temperature(temperature: ArrayLike, block: int = 2) -> NDArray[np.float64]:
    """Temperature T of the chain whose decimation has the temperature T': the inverse of `decimated_temperature`."""
    return _rescaled(temperature, 1 / whole(block, "block", 1, 1 << 32))


def collapse(
    temperatures: ArrayLike, curves: tuple[ArrayLike, ArrayLike], decimated: tuple[ArrayLike, ArrayLike]
) -> Collapse:
    """The temperature T~ at which each observable has the value that it has on lattices decimated at T.

    Section IV. An observable's T~ is the middle of the interval in which its Monte Carlo curve, linear
    between the temperatures, crosses the error bar; half of that, error/slope, is its error. The average over
    observables has the weights (slope/error)^2. Its error is the larger of two: that of observables as correlated as
    they can be, for they share their configurations; and their weighted spread, for a decimated lattice is no Ising
    model, and each observable asks for a T~ of its own.

    Parameters
    ----------
    temperatures
        In |J|/k_B, increasing. Shape [temperature].
    curves, decimated
        Values and standard errors, each [observable, temperature], of Monte Carlo and of decimated configurations of
        one size. A Monte Carlo curve is monotone in T up to its errors: energy and |m| are, susceptibility is not.
    """
    grid = numbers(temperatures, "temperatures").astype(float)
    if grid.ndim != 1 or len(grid) < 2 or not (np.diff(grid) > 0).all():
        raise KadanoffError(f"temperatures are {shown(grid.tolist())}; a curve needs at least 2, in increasing order.")
    values, errors = _checked("curves", curves, grid)
    targets, target_errors = _checked("decimated curves", decimated, grid)
    if len(values) != len(targets):
        raise KadanoffError(f"there are {len(values)} curves, but {len(targets)} decimated; measure the same ones.")
    if (np.ptp(values, axis=1) == 0).any():
        raise KadanoffError("a curve has one value at all temperatures, which tells none of them; leave it out.")
    crossings = [_crossing(grid, *rows) for rows in zip(values, errors, targets, target_errors, strict=True)]
    return _average(*np.array(crossings).swapaxes(0, 1))


def invert_collapse(temperatures: ArrayLike, collapsed: Collapse, new: ArrayLike) -> NDArray[np.float64]:
    """T for new temperatures T~, in |J|/k_B: what a network trained at T returns for lattices at T~.

    Linear between the points of a monotone map T~(T), the nearest one to `collapsed` in its errors (least squares).

    Parameters
    ----------
    temperatures, collapsed
        What `collapse` was given and returned. Shape [temperature].
    new
        T~ in |J|/k_B, of any shape; T has the same one, and is nan where T~ lies outside of the map.
    """
    grid = np.asarray(temperatures, float)
    if grid.shape != collapsed.rescaled.shape:
        raise KadanoffError(f"{grid.shape} temperatures do not belong to {collapsed.rescaled.shape} collapsed ones.")
    known = np.isfinite(collapsed.rescaled)
    if known.sum() < 2:
        raise KadanoffError(f"{known.sum()} temperature(s) collapse; a map needs 2. Measure over a wider range.")
    # Temperatures that errors cannot tell apart have one T~; their mean stands for them.
    points, group = np.unique(_monotone(collapsed.rescaled[known], collapsed.error[known]), return_inverse=True)
    means = np.bincount(group, grid[known]) / np.bincount(group)
    return np.interp(np.asarray(new, float), points, means, left=np.nan, right=np.nan)


def inversion_error(temperatures: ArrayLike, collapsed: Collapse, new: ArrayLike) -> NDArray[np.float64]:
    """Standard error of what `invert_collapse` finds, in |J|/k_B: half of what T changes by between T~ +- its error.

    Parameters and shape are those of `invert_collapse`; nan where that is nan. Beyond an end of the map T is its end.
    """
    grid, places = np.asarray(temperatures, float), np.asarray(new, float)
    known, middle = np.isfinite(collapsed.rescaled), invert_collapse(temperatures, collapsed, new)
    widths = np.interp(middle, grid[known], collapsed.error[known])
    low, high = (invert_collapse(temperatures, collapsed, places + sign * widths) for sign in (-1, 1))
    low, high = np.where(np.isnan(low), grid[known].min(), low), np.where(np.isnan(high), grid[known].max(), high)
    return np.where(np.isnan(middle), np.nan, (high - low) / 2)


def _rescaled(temperature: ArrayLike, factor: float) -> NDArray[np.float64]:
    """1/K' with tanh K' = tanh^factor K. The dual coupling, -1/2 ln tanh K, is multiplied by the factor."""
    values = numbers(temperature, "temperature").astype(float)
    if not (np.isfinite(values) & (values > 0)).all():
        raise KadanoffError(f"temperature is {shown(values.tolist())}; it must be positive and finite.")
    coupling = 1 / values
    with np.errstate(over="ignore", divide="ignore"):  # a hot chain may become infinitely hot
        warm = _dual(factor * _dual(np.minimum(coupling, FROZEN)))
        return 1 / np.where(coupling > FROZEN, coupling - np.log(factor) / 2, warm)


def _dual(coupling: NDArray[np.float64]) -> NDArray[np.float64]:
    """-1/2 ln tanh K, its own inverse. Kramers and Wannier, Phys. Rev. 60, 252 (1941)."""
    return np.log1p(2 / np.expm1(2 * coupling)) / 2


def _checked(name: str, curves: tuple[ArrayLike, ArrayLike], grid: NDArray) -> tuple[NDArray, NDArray]:
    """Curves as float arrays, with a positive error everywhere."""
    values, errors = (numbers(part, name).astype(float) for part in curves)
    if values.ndim != 2 or values.shape[1] != len(grid) or errors.shape != values.shape:
        raise KadanoffError(
            f"the {name} have values of shape {values.shape} and errors of shape {errors.shape}; "
            f"both must be (observables, {len(grid)}), as there are {len(grid)} temperatures."
        )
    if not (np.isfinite(values).all() and np.isfinite(errors).all() and errors.min(initial=0) >= 0):
        raise KadanoffError(f"the {name} hold values that are not finite, or negative errors; measure them again.")
    return values, np.maximum(errors, EXACT * np.ptp(values, axis=1, keepdims=True))


def _crossing(grid: NDArray, curve: NDArray, errors: NDArray, targets: NDArray, target_errors: NDArray) -> NDArray:
    """Where a curve takes its targets, and the half width of that: [2, target]; 0 and infinity where it does not."""
    sign = 1 if curve[-1] >= curve[0] else -1
    fit = _monotone(sign * curve, errors)
    deviations = np.abs(fit - sign * curve) / errors
    if deviations.max() > LARGEST_DEVIATION:
        raise KadanoffError(
            f"a curve lies {deviations.max():.3g} standard errors off a monotone one at T = "
            f"{grid[deviations.argmax()]:g}; collapse compares observables that only rise or only fall with T."
        )
    targets = sign * targets
    widths = np.hypot(target_errors, np.interp(np.interp(targets, fit, grid), grid, errors))
    low, high = np.interp(targets - widths, fit, grid), np.interp(targets + widths, fit, grid)
    inside = (fit[0] <= targets) & (targets <= fit[-1])
    return np.where(inside, [(low + high) / 2, (high - low) / 2], [[0.0], [np.inf]])


def _average(found: NDArray[np.float64], widths: NDArray[np.float64]) -> Collapse:
    """Average over the observables [observable, temperature]; an infinite width has no weight."""
    with np.errstate(invalid="ignore"):  # 0/0 where no observable has a T~
        weights = widths**-2 / (widths**-2).sum(0)
        correlated = (1 / widths).sum(0) / (widths**-2).sum(0)
    rescaled = (weights * found).sum(0)
    spread = np.sqrt((weights * (found - rescaled) ** 2).sum(0))
    return Collapse(rescaled, np.maximum(correlated, spread))


def _monotone(values: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nondecreasing least-squares fit."""
    return isotonic_regression(values, weights=1 / errors**2).x
