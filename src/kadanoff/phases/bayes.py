"""The Bayes limit: the macro-F1 that no classifier of equilibrium configurations beats on average.

P(s|T) = exp(-E(s)/T)/Z(T) knows a configuration s by its energy alone, so the energy is a sufficient statistic for the
temperature, and the best classifier that sees nothing but s is a table over the energy levels, made here of exact P(E).
The limit is a mean: a single test set scatters around it, to both sides (`scatter`). A measured mean over test sets
above it by more than 3 errors is a leak (`verdict`): the classifier saw more than s, or s is not in equilibrium.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.phases.regions import REGIONS, TEST, region
from kadanoff.phases.scores import f1_scores
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import exact_energy_distribution
from kadanoff.spins.statistics import independent_mean

ROUNDING = 1e-13
"""Differences of macro-F1 that are none."""
SIGNIFICANT = 3.0
"""Errors above the limit that make a leak."""
RARE = 2.87e-7
"""Probability of more than 5 standard deviations above the mean of a normal distribution."""


@dataclass(frozen=True)
class Limit:
    """The best decision, and what it scores in the limit of many images.

    `levels` are total energies in units of |J|, float64 (n,), rising; `decision` int64 (n,) the region that each is
    put in; `macro_f1`, and `f1` float64 (4,) of each region, are its scores. `posterior_macro_f1`, no higher, is that
    of the most probable region at each level, which has the highest accuracy.
    """

    levels: NDArray[np.float64]
    decision: NDArray[np.int64]
    macro_f1: float
    f1: NDArray[np.float64]
    posterior_macro_f1: float


class Scatter(NamedTuple):
    """Mean and standard deviation of the macro-F1 of single test sets."""

    mean: float
    deviation: float


def region_distributions(
    lattice: Lattice, temperatures: Iterable[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Total energies in units of |J|, float64 (n,), and the exact P(E|region), float64 (4, n).

    The latter is the mean of P(E|T) over the temperatures, in units of |J|/k_B, in the region.

    Raises
    ------
    KadanoffError
        If a temperature lies in no region, a region has none, or P(E) of the lattice is not known.
    """
    values = np.asarray(list(temperatures), float)
    labels, means = region(values), []
    for number, name in enumerate(REGIONS):
        if number not in labels:
            raise KadanoffError(f"none of {len(values)} temperatures is {name}; every region needs one. Add some.")
        found = [exact_energy_distribution(lattice, float(temperature)) for temperature in values[labels == number]]
        means.append(np.mean([distribution.probabilities for distribution in found], axis=0))
    return found[0].levels, np.array(means)


def bayes_limit(levels: NDArray, probabilities: NDArray, counts: Sequence[int] = TEST) -> Limit:
    """The decision with the highest macro-F1 for images that have the regions in proportion to `counts`, all above 0.

    Takes what `region_distributions` gives. It starts from the most probable region, and changes where `_gains` tells:
    at all levels at once, or at the best single one if that is better, until neither raises the score.
    """
    joint = probabilities * (np.array(counts) / np.sum(counts))[:, None]
    plain = better = joint.argmax(0)
    best, score = plain, 0.0
    while _f1(better, joint).mean() > score + ROUNDING:
        best, score = better, float(_f1(better, joint).mean())
        gains = _gains(best, joint)
        place = (gains.max(0) - np.take_along_axis(gains, best[None], 0)[0]).argmax()
        single = best.copy()
        single[place] = gains[:, place].argmax()
        better = max(gains.argmax(0), single, key=lambda decision: _f1(decision, joint).mean())
    posterior = float(_f1(plain, joint).mean())
    return Limit(levels, _filled(best, joint), score, _f1(best, joint), posterior)


def predict(limit: Limit, energies: ArrayLike, sites: int) -> NDArray[np.int64]:
    """The best classifier's labels (n,) of images with these energies per site (n,), ghost rows included."""
    middles = (limit.levels[1:] + limit.levels[:-1]) / 2
    return limit.decision[np.searchsorted(middles, np.asarray(energies, float) * sites)]


def scatter(limit: Limit, probabilities: NDArray, counts: Sequence[int], sets: int, seed: int) -> Scatter:
    """Scores of the best classifier on test sets of `counts` images, drawn from P(E|region) (4, n).

    F1 is not linear, so their mean is not quite the limit: with Table 1's counts it lies less than 0.001 below.
    """
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    rows = _confusion(limit.decision, probabilities)  # a set of images enters its score through this table alone
    drawn = [generator.multinomial(count, row / row.sum(), sets) for count, row in zip(counts, rows, strict=True)]
    scores = f1_scores(np.stack(drawn, axis=1)).mean(-1)
    return Scatter(float(scores.mean()), float(scores.std(ddof=1)))


def verdict(found: Estimate, limit: float, least: float = 0.0) -> str:
    """`leak` if a mean over test sets lies above the limit by more than 3 errors, else nothing, as for an error of NaN.

    The error counts as `least` if it is smaller: give the deviation of `scatter` over the root of the number of sets,
    as a few scores can agree by chance.
    """
    error = np.maximum(found.error, least)  # NaN stays, and nothing is above it
    return "leak" if found.mean - limit > SIGNIFICANT * error else ""


def share_with_walls(ensemble: Ensemble, lattice: Lattice) -> Estimate:
    """Share of the coldest region's lattices whose energy, or a higher one, equilibrium has less often than `RARE`.

    The exact distribution already holds the walls that a boundary forces.
    """
    found = []
    for index in np.flatnonzero(region(ensemble.temperatures) == 0):
        exact = exact_energy_distribution(lattice, float(ensemble.temperatures[index]))
        above = np.cumsum(exact.probabilities[::-1])[::-1]
        middles = (exact.levels[1:] + exact.levels[:-1]) / 2
        found.append(above[np.searchsorted(middles, ensemble.energy[index] * lattice.sites)] < RARE)
    return independent_mean(np.concatenate(found))


def _confusion(decision: NDArray[np.int64], masses: NDArray) -> NDArray[np.float64]:
    """Sums of the masses (4, n): [true region, decided region]."""
    return np.stack([masses[:, decision == number].sum(1) for number in range(len(masses))], axis=1)


def _f1(decision: NDArray[np.int64], joint: NDArray) -> NDArray[np.float64]:
    return f1_scores(_confusion(decision, joint))


def _gains(decision: NDArray[np.int64], joint: NDArray) -> NDArray[np.float64]:
    """What deciding for each region adds to the sum of F1, (4, n), at each level if all others keep their decision.

    With p_b(E) = prior_b P(E|b), p their sum, m_b the probability that the others are decided as b, and their
    F_b = 2 TP_b/(prior_b + m_b), it is [2 p_b - F_b p]/(prior_b + m_b + p).
    """
    table, total = _confusion(decision, joint), joint.sum(0)
    here = decision == np.arange(len(joint))[:, None]
    involved = (table.sum(0) + table.sum(1))[:, None] - total * here
    scores = 2 * (np.diagonal(table)[:, None] - joint * here) / involved
    return (2 * joint - scores * total) / (involved + total)


def _filled(decision: NDArray[np.int64], joint: NDArray) -> NDArray[np.int64]:
    """Levels whose probability underflows decide as the nearest one below that has some, else the first above."""
    occurs = joint.any(0)
    return decision[np.maximum.accumulate(np.where(occurs, np.arange(len(decision)), occurs.argmax()))]
