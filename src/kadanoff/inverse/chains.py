"""Chains of ever larger lattices: a seed is doubled again and again, and measured at every size.

Seeds go through in slices, each to its largest lattice, so that memory is bounded whatever their number.

What chains give is a table: exponents, and what is known exactly at every size. Its columns are `method`, `size` (0: of
all sizes), `smaller` (the size before, 0 unless the row compares with it), `observable`, `mean`, `error` and `n`
(lattices). Observables of all sizes are those of `EXACT` and `correlation`, the smallest |r| of the regressions; at
every size `energy` (per site, less that of the exact torus), `binder`, `susceptibility` (<m^2> L^2), `half` and
`quarter` (G(L/2) and G(L/4)), `between` and `anisotropy` (c10 between blocks less inside of them, and along x less
along y: 0 by the symmetries of the torus); from one size to the next `slope` (gamma/nu) and `square_ratio` (<m^2> over
that of the size before, over the same of exact tori, less 1).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from math import log

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.inverse.quality import asymmetries
from kadanoff.inverse.superresolve import Spins, draw_parts, independent_spins, probabilities
from kadanoff.inverse.tables import Table
from kadanoff.montecarlo import metropolis
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Pixels
from kadanoff.runtime.progress import progress
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, critical_square, kaufman
from kadanoff.spins.observables import binder, magnetization, periodic_energy
from kadanoff.spins.scaling import combine, exponents, exponents_apart, local_slopes
from kadanoff.spins.statistics import independent_mean

SLICE = 64  # seeds at a time: as many as the sweeps of small lattices advance together
EXACT = {"beta": 1 / 8, "gamma": 7 / 4, "eta_half": 1 / 4, "eta_quarter": 1 / 4}
COLUMNS = ["method", "size", "smaller", "observable", "mean", "error", "n"]

Doubling = Callable[[Spins, int, int], Spins]
"""(coarse lattices, level, number of the first seed) -> fine lattices; level 1 is the first doubling."""


@dataclass(frozen=True)
class Levels:
    """What was measured on the lattices of chains; arrays are float64 (level, seed), level 0 being the seeds.

    `half` and `quarter` are G(L/2) and G(L/4) of each configuration, averaged over both axes; `between` and
    `anisotropy` are c10 between 2 x 2 blocks less inside of them, and along x less along y.
    """

    sizes: tuple[int, ...]
    energy: NDArray[np.float64]
    magnetization: NDArray[np.float64]
    half: NDArray[np.float64]
    quarter: NDArray[np.float64]
    between: NDArray[np.float64]
    anisotropy: NDArray[np.float64]


def measure(spins: Spins) -> NDArray[np.float64]:
    """What `Levels` has of square tori (n, L, L), in its order: (6, n)."""

    def correlation(distance: int) -> NDArray[np.float64]:
        products = [(spins * np.roll(spins, distance, axis)).sum((1, 2), dtype=np.int64) for axis in (1, 2)]
        return (products[0] + products[1]) / (2 * spins[0].size)

    half = spins.shape[-1] // 2
    values = periodic_energy(spins), magnetization(spins), correlation(half), correlation(half // 2)
    return np.stack([*values, *asymmetries(spins, 2)])


def doubled(spins: Spins, levels: int, double: Doubling, first: int) -> Iterator[Spins]:
    """The lattices, and what they become at each level; `first` is the number of the first."""
    yield spins
    for level in range(1, levels + 1):
        spins = double(spins, level, first)
        yield spins


def grow(seeds: Spins, levels: int, double: Doubling, workers: int | None = None) -> Levels:
    """Double every seed (n, L, L) `levels` times, and measure it at each size.

    The result does not depend on the number of threads.
    """
    starts = range(0, len(seeds), SLICE)
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool, progress("grow", len(seeds)) as advance:

        def chain(start: int) -> NDArray[np.float64]:
            own = seeds[start : start + SLICE]
            found = [measure(spins) for spins in doubled(own, levels, double, start)]
            advance(len(own))
            return np.stack(found)  # (level, observable, seed)

        parts = np.concatenate(list(pool.map(chain, starts)), axis=2)
    sizes = tuple(seeds.shape[-1] * 2**level for level in range(levels + 1))
    return Levels(sizes, *parts.transpose(1, 0, 2))


def doubling_by_blocks(scheme: list[Table], seed: int, temperature: float | None = None, sweeps: int = 0) -> Doubling:
    """Doublings drawn from the tables of a `Blocks` network, then `sweeps` Metropolis sweeps at `temperature`.

    Without the sweep over blocks: it binds them as in lattices that the rule made, to which seeds do not belong, and
    leaves c10 between blocks 9e-4 above that inside of them, instead of 2e-4.
    """

    def double(spins: Spins, level: int, first: int) -> Spins:
        fine = draw_parts(spins, scheme, 2, (stream_key(seed, "double", level), first))
        if sweeps and temperature is not None:
            lattice = Lattice.of(fine.shape[-1])
            metropolis.advance(fine, lattice, temperature, 0.0, stream_key(seed, "refine", level), first, 0, sweeps)
        return fine

    return double


def doubling_by_pixels(network: Pixels, seed: int) -> Doubling:
    """Doublings by a `Pixels` network, sampled: Efthymiou et al. (2019), section IV A."""
    return lambda spins, level, first: independent_spins(
        probabilities(network, spins), (stream_key(seed, "double", level), first)
    )


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
    rows = {name: [getattr(item, name)[0] for item in levels] for name in list(vars(levels[0]))[1:]}
    return Levels(tuple(item.sizes[0] for item in levels), **rows)  # type: ignore[arg-type]


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
    spins, others = item.magnetization[level], ("half", "quarter", "between", "anisotropy")
    return {
        "energy": independent_mean(item.energy[level]) - kaufman(size, size, T_C).energy,
        "binder": binder(spins),
        "susceptibility": independent_mean(spins**2 * size**2),
    } | {name: independent_mean(getattr(item, name)[level]) for name in others}


def _square_ratio(small: int, large: int, slope: Estimate) -> Estimate:
    ratio = (large / small) ** (slope.mean - 2) * critical_square(small) / critical_square(large)
    return Estimate(ratio - 1, ratio * slope.error * log(large / small), n=slope.n)


def _shared(item: Levels, other: Levels) -> tuple[NDArray, NDArray, NDArray]:
    """Magnetization, G(L/2) and G(L/4) of the seeds that the other has, too."""
    seeds = other.half.shape[1]
    return item.magnetization[:, :seeds], item.half[:, :seeds], item.quarter[:, :seeds]
