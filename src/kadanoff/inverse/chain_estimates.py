"""What chains of lattices of ever larger sizes give, as a table: exponents, and what is known exactly at every size.

Its columns are `method`, `size` (0: of all sizes), `smaller` (the size before, 0 unless the row compares with it),
`observable`, `mean`, `error` and `n` (lattices). Observables of all sizes are those of `EXACT` and `correlation`, the
smallest |r| of the regressions; at every size `energy` (per site, less that of the exact torus), `binder`,
`susceptibility` (<m^2> L^2), `half` and `quarter` (G(L/2) and G(L/4)), `between` and `anisotropy` (c10 between blocks
less inside of them, and along x less along y: 0 by the symmetries of the torus); from one size to the next `slope`
(gamma/nu) and `square_ratio` (<m^2> over that of the size before, over the same of exact tori, less 1).
"""

from collections.abc import Sequence
from itertools import pairwise
from math import log

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.inverse.chains import Levels
from kadanoff.spins.exact import T_C, critical_square, kaufman
from kadanoff.spins.observables import binder
from kadanoff.spins.scaling import combine, exponents, exponents_apart, local_slopes
from kadanoff.spins.statistics import independent_mean

EXACT = {"beta": 1 / 8, "gamma": 7 / 4, "eta_half": 1 / 4, "eta_quarter": 1 / 4}
COLUMNS = ["method", "size", "smaller", "observable", "mean", "error", "n"]


def chain_estimates(method: str, repetitions: Sequence[Levels], paired: bool = True) -> pd.DataFrame:
    """Of chains of which every repetition has its own network and seeds: errors from their scatter and from the seeds.

    With `paired` false, of one chain whose levels are independent ensembles, of any lengths: see `ensembles`.
    """
    sizes = repetitions[0].sizes
    fits = [exponents(item.sizes, item.magnetization, item.half, item.quarter, paired) for item in repetitions]
    slopes = [local_slopes(item.sizes, item.magnetization, paired) for item in repetitions]
    rows = [(0, 0, name, combine([getattr(fit, name) for fit in fits])) for name in EXACT]
    rows.append((0, 0, "correlation", Estimate(min(fit.correlation for fit in fits), 0.0)))
    for level, size in enumerate(sizes):
        points = [_at_size(size, item, level) for item in repetitions]
        rows += [(size, 0, name, combine([point[name] for point in points])) for name in points[0]]
    for step, (small, large) in enumerate(pairwise(sizes)):
        slope = combine([each[step] for each in slopes])
        rows += [(large, small, "slope", slope), (large, small, "square_ratio", _square_ratio(small, large, slope))]
    return pd.DataFrame([[method, *row, value.mean, value.error, value.n] for *row, value in rows], columns=COLUMNS)


def ensembles(levels: Sequence[Levels]) -> Levels:
    """Independent Monte Carlo ensembles, one a size, as one chain whose rows may differ in length."""
    names = ("energy", "magnetization", "half", "quarter", "between", "anisotropy")
    sizes = tuple(item.sizes[0] for item in levels)
    return Levels(sizes, *([getattr(item, name)[0] for item in levels] for name in names))  # type: ignore[arg-type]


def exponents_less(others: Sequence[Levels], reference: Sequence[Levels]) -> dict[str, Estimate]:
    """Exponents of chains less those of other ones, by the seeds that both of each repetition grew from."""
    fits = [exponents_apart(a.sizes, _shared(a, b), _shared(b, a)) for a, b in zip(others, reference, strict=True)]
    return {name: combine([getattr(fit, name) for fit in fits]) for name in EXACT}


def exact_gamma(sizes: Sequence[int]) -> float:
    """What the fit gives for the exact <m^2> of tori of these sizes: not 7/4, as small ones have corrections."""
    susceptibilities = [critical_square(size) * size**2 for size in sizes]
    return float(np.polyfit(np.log(sizes), np.log(susceptibilities), 1)[0])


def estimates(table: pd.DataFrame, method: str, observable: str) -> dict[int, Estimate]:
    """One observable of a method, by the size; that of all sizes has the size 0."""
    rows = table[(table.method == method) & (table.observable == observable)]
    columns = (rows[name].tolist() for name in ("size", "mean", "error", "n"))
    return {size: Estimate(mean, error, n=n) for size, mean, error, n in zip(*columns, strict=True)}


def _at_size(size: int, item: Levels, level: int) -> dict[str, Estimate]:
    spins = item.magnetization[level]
    others = {name: getattr(item, name)[level] for name in ("half", "quarter", "between", "anisotropy")}
    return {
        "energy": independent_mean(item.energy[level]) - kaufman(size, size, T_C).energy,
        "binder": binder(spins),
        "susceptibility": independent_mean(spins**2 * size**2),
    } | {name: independent_mean(values) for name, values in others.items()}


def _square_ratio(small: int, large: int, slope: Estimate) -> Estimate:
    ratio = (large / small) ** (slope.mean - 2) * critical_square(small) / critical_square(large)
    return Estimate(ratio - 1, ratio * slope.error * log(large / small), n=slope.n)


def _shared(item: Levels, other: Levels) -> tuple[NDArray, NDArray, NDArray]:
    """Magnetization, G(L/2) and G(L/4) of the seeds that the other has, too."""
    seeds = other.half.shape[1]
    return item.magnetization[:, :seeds], item.half[:, :seeds], item.quarter[:, :seeds]
