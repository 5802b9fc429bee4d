"""Critical exponents of the square lattice from finite-size scaling at T_c, with errors.

At T_c the averages over lattices of side L follow power laws of L: <|m|> ~ L^(-beta/nu), chi' = L^2 <m^2> ~
L^(gamma/nu), and G(L/2), G(L/4) ~ L^(-(d-2+eta)) with d = 2. An exponent is the slope of a straight line in log L,
fitted by unweighted least squares: Efthymiou, Beach and Melko, "Super-resolving the Ising model with convolutional
neural networks" (2019), section IV A; the laws: Sandvik, AIP Conf. Proc. 1297, 135 (2010), section 3.

Lattices that were grown from one seed configuration fluctuate together, and most of that cancels in a slope. So a
jackknife leaves out a block of seeds from all levels at once where they are paired, and from one level at a time where
the levels are independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kadanoff.errors import KadanoffError, numbers, shown
from kadanoff.estimate import Estimate
from kadanoff.spins.statistics import block_edges, block_error, less_bias

POWERS = {"<|m|>": -1.0, "<m^2>": 1.0, "G(L/2)": -1, "G(L/4)": -1}
"""The exponent of each average is this times its slope: nu, which is 1 in this class, is not fitted."""
Samples = NDArray[np.float64] | Sequence[ArrayLike]
"""One row of samples for each level: [level, seed], or, of independent levels, rows of any lengths."""


@dataclass(frozen=True)
class Exponents:
    """Exponents beta and gamma, eta from G(L/2) and from G(L/4); `correlation` tells how straight the lines are.

    It is the smallest |r| of the four regressions; 1 for two sizes. Exact: 1/8, 7/4, and 1/4 for both etas.
    """

    beta: Estimate
    gamma: Estimate
    eta_half: Estimate
    eta_quarter: Estimate
    correlation: float


class _Logarithms(NamedTuple):
    """Logarithms of the means, less their bias [level]; of means without one block, less their mean [level, block]."""

    values: NDArray[np.float64]
    deviations: NDArray[np.float64]
    seeds: int


def exponents(
    sizes: ArrayLike,
    magnetization: Samples,
    half: Samples,
    quarter: Samples,
    paired: bool = True,
    blocks: int | None = None,
) -> Exponents:
    """Exponents from the averages over the seeds at each size, with errors of the jackknife.

    Parameters
    ----------
    sizes
        Side L of the lattices at each level, in sites, increasing; 2 or more. Shape [level].
    magnetization
        Mean spin of each configuration, signed or not. Shape [level, seed], 2 or more seeds.
    half, quarter
        G(L/2) and G(L/4) of each configuration, of any sign. Shape [level, seed].
    paired
        Whether column j holds at every level what was grown from seed j. False for independent ensembles, of any
        lengths.
    blocks
        Number of blocks of consecutive seeds, 2 to all of them; by default 100, or one a seed if there are less.

    Raises
    ------
    KadanoffError
        If an average is not positive, with all seeds or without one block: it has no logarithm. And for other shapes.
    """
    sides = _sides(sizes)
    return _exponents(sides, _observed(sides, (magnetization, half, quarter), paired, blocks), paired)


def exponents_apart(
    sizes: ArrayLike,
    first: tuple[Samples, Samples, Samples],
    second: tuple[Samples, Samples, Samples],
    blocks: int | None = None,
) -> Exponents:
    """Exponents of the `first` less those of the `second`, which grew from the same seeds: what both share cancels.

    Each is the magnetization, G(L/2) and G(L/4) of paired levels; otherwise as `exponents`.
    """
    sides = _sides(sizes)
    both = (_observed(sides, samples, True, blocks) for samples in (first, second))
    apart = [_Logarithms(a.values - b.values, a.deviations - b.deviations, a.seeds) for a, b in zip(*both, strict=True)]
    return _exponents(sides, apart, True)


def local_slopes(
    sizes: ArrayLike, magnetization: Samples, paired: bool = True, blocks: int | None = None
) -> list[Estimate]:
    """gamma/nu between each size and the next, from chi' = L^2 <m^2>; neighbours share a level, so they correlate.

    Parameters and errors as in `exponents`; one estimate fewer than there are sizes.
    """
    sides = _sides(sizes)
    logs = _logarithms("<m^2>", sides, [level**2 for level in _levels(magnetization)], paired, blocks)
    found = []
    for level, (small, large) in enumerate(pairwise(sides)):
        weights = np.zeros(len(sides))
        weights[level : level + 2] = np.array([-1, 1]) / np.log(large / small)
        found.append(_combination(weights, logs, paired))
    return found


def combine(repetitions: Sequence[Estimate]) -> Estimate:
    """Mean of R independent repetitions, one or more, such as trainings, each with seeds of its own.

    The error is the larger of their scatter / sqrt(R) and of their propagated errors. The scatter alone sees what
    differs between trainings; but of a few repetitions it can be far too small by chance, and it is never truly less
    than the propagated errors, which see the seeds alone. One repetition has no scatter. Repetitions that share their
    seeds are not independent: the error that the seeds make does not fall with R.
    """
    count = len(repetitions)
    if count == 0:
        raise KadanoffError("there are 0 repetitions to combine; give at least 1.")
    means = np.array([repetition.mean for repetition in repetitions])
    errors = np.array([repetition.error for repetition in repetitions])
    scatter = means.std(ddof=1) / sqrt(count) if count > 1 else 0.0
    propagated = np.sqrt(np.sum(errors**2)) / count
    error = float(np.maximum(scatter, propagated))  # unlike max, it does not lose a nan
    return Estimate(float(means.mean()), error, n=sum(repetition.n for repetition in repetitions))


def _sides(sizes: ArrayLike) -> NDArray[np.float64]:
    """Sizes as floats [level], checked."""
    sides = numbers(sizes, "sizes").astype(float)
    if sides.ndim != 1 or len(sides) < 2 or not (sides[0] > 0 and (np.diff(sides) > 0).all()):
        raise KadanoffError(
            f"sizes are {shown(sides.tolist())}; a slope needs at least 2 positive sizes, in increasing order."
        )
    return sides


def _levels(samples: Samples) -> list[NDArray[np.float64]]:
    """Samples of each level as floats."""
    return [numbers(level, "samples").astype(float) for level in samples]


def _observed(
    sides: NDArray[np.float64], samples: tuple[Samples, Samples, Samples], paired: bool, blocks: int | None
) -> list[_Logarithms]:
    """Logarithms of <|m|>, chi', G(L/2), G(L/4) over the sizes."""
    spins, half, quarter = (_levels(values) for values in samples)
    shapes = {tuple(level.shape for level in values) for values in (spins, half, quarter)}
    if len(shapes) > 1:
        raise KadanoffError(f"the shapes of m, G(L/2) and G(L/4) differ, {shapes}; measure the same configurations.")
    averaged = [np.abs(level) for level in spins], [level**2 for level in spins], half, quarter
    return [_logarithms(name, sides, each, paired, blocks) for name, each in zip(POWERS, averaged, strict=True)]


def _exponents(sides: NDArray[np.float64], logs: Sequence[_Logarithms], paired: bool) -> Exponents:
    """Slopes of the straight lines through logarithms."""
    offsets = np.log(sides) - np.log(sides).mean()
    weights = offsets / (offsets @ offsets)
    found = [_combination(power * weights, log, paired) for power, log in zip(POWERS.values(), logs, strict=True)]
    return Exponents(found[0], found[1], found[2], found[3], min(_correlation(offsets, log.values) for log in logs))


def _logarithms(
    name: str, sides: NDArray[np.float64], samples: list[NDArray[np.float64]], paired: bool, blocks: int | None
) -> _Logarithms:
    """Logarithms of the means of each level's samples [seed], of <m^2> as chi'; the jackknife touches sums alone."""
    shapes = {level.shape for level in samples}
    if len(samples) != len(sides) or any(len(shape) != 1 for shape in shapes) or (paired and len(shapes) > 1):
        raise KadanoffError(
            f"samples of {name} have {len(samples)} rows of the shapes {sorted(shapes)}, but there are {len(sides)} "
            "sizes; give one row for each size and one number for each seed, in paired rows as many."
        )
    seeds = min(len(level) for level in samples)
    blocks = len(block_edges(seeds, blocks)) - 1
    edges = [block_edges(len(level), blocks) for level in samples]
    means = np.stack([_means(*level) for level in zip(samples, edges, strict=True)])
    for side, level in zip(sides, means, strict=True):
        if not (np.isfinite(level).all() and level.min() > 0):
            raise KadanoffError(
                f"the mean of {name} at size {side:g} is {level[0]:g}, and as low as {level.min():g} without a block "
                "of seeds; it has a logarithm only if it is positive. Take more seeds, or leave this size out."
            )
    logs = np.log(means)
    values = np.array([less_bias(level[0], level[1:], places) for level, places in zip(logs, edges, strict=True)])
    if name == "<m^2>":
        values = values + 2 * np.log(sides)
    return _Logarithms(values, logs[:, 1:] - logs[:, 1:].mean(1, keepdims=True), seeds)


def _means(samples: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean of samples [seed], then the means without each block of them."""
    sums = np.add.reduceat(samples, edges[:-1])
    others = (sums.sum() - sums) / (len(samples) - np.diff(edges))
    return np.concatenate([[samples.mean()], others])


def _combination(weights: NDArray[np.float64], logs: _Logarithms, paired: bool) -> Estimate:
    """Sum of weights x logarithms over the levels, such as a slope."""
    parts = weights[:, None] * logs.deviations
    error = block_error(parts.sum(0)) if paired else hypot(*map(block_error, parts))
    return Estimate(float(weights @ logs.values), error, n=logs.seeds)


def _correlation(offsets: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """|r| of a regression; 0 where the values are all the same, and r is not defined."""
    return float(abs(np.corrcoef(offsets, values)[0, 1])) if np.ptp(values) else 0.0
