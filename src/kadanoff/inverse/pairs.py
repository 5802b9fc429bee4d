"""What a network changes: every grown lattice paired with the one that it grew from, or with one from the same seed.

Long waves are those of the seeds, whatever the network. Ratios in pairs are free of them: <m^2> over that of the source
against exact tori, and <G_3L(3r)> / <G_L(r)>, which is 3^(-1/4) at the critical point up to corrections in 1/r^2.
"""

from typing import Any

import numpy as np

from kadanoff.estimate import Estimate
from kadanoff.inverse.measurement import Measurements, Values
from kadanoff.spins.exact import critical_diagonal, critical_energy, critical_square
from kadanoff.spins.statistics import independent_mean, jackknife

NEAREST = 16  # the smallest r of the ratio of G: corrections fall as 1/r^2
ENOUGH = 8  # lattices for a regression
DRAWS = 4000  # of the noise that the largest deviation is compared with


def compared_with_source(source: Measurements, grown: Measurements, seeds: Measurements) -> dict[str, Any]:
    """By name: deviations of lattices from exact values, paired with those that they grew from and with the seeds.

    The ratio of G is given where it deviates most, with the mean size of that if it deviates nowhere.
    """
    distances, off = ratio_deviations(source, grown)
    worst = int(np.argmax([abs(item.mean) for item in off]))
    return {
        "c10_excess": excess(grown.nearest + critical_energy(grown.side) / 2, seeds),
        "c11_excess": excess(grown.diagonal - critical_diagonal(grown.side), seeds),
        "paired_ratio_off": off[worst],
        "paired_ratio_distance": distances[worst],
        "paired_ratio_off_by_chance": largest_by_chance(source, grown),
        "paired_square_off": square_deviation(source, grown),
    }


def excess(off: Values, seeds: Measurements) -> Estimate:
    """Mean of `off` (n,), with what the deviation of c10 of the first n seeds explains regressed out.

    The mean of that deviation is known to be 0. Few lattices do not tell the slope.
    """
    if len(off) < ENOUGH:
        return independent_mean(off)
    known = seeds.nearest[: len(off)] + critical_energy(seeds.side) / 2
    return independent_mean(off - np.cov(known, off)[0, 1] / known.var(ddof=1) * known)


def ratio_deviations(source: Measurements, grown: Measurements) -> tuple[list[int], list[Estimate]]:
    """Distances r from 16 to L/8, and how far <G_3L(3r)> / <G_L(r)> is from its critical value there, as a share."""
    factor, last = grown.side // source.side, source.side // 8
    scaled = {round(NEAREST * 1.2**step) for step in range(64)}
    distances = sorted({distance for distance in scaled if distance <= last} | {last})
    ratios = [_ratio(source.correlation[:, r], grown.correlation[:, factor * r]) for r in distances]
    return distances, [ratio / factor**-0.25 - 1 for ratio in ratios]


def largest_by_chance(source: Measurements, grown: Measurements) -> float:
    """Mean of the largest deviation of the ratio if it deviates nowhere: normal noise with its covariance.

    Each lattice's part of the ratio is <G> times d(G_3L / G_L), to first order.
    """
    factor, (distances, _) = grown.side // source.side, ratio_deviations(source, grown)
    near, far = source.correlation[:, distances], grown.correlation[:, factor * np.array(distances)]
    parts = (far - near * (far.mean(0) / near.mean(0))) / near.mean(0) / factor**-0.25
    count = len(parts)
    draws = np.random.default_rng(0).standard_normal((DRAWS, count)) @ parts / np.sqrt(count * (count - 1))
    return float(np.abs(draws).max(1).mean())


def square_deviation(source: Measurements, grown: Measurements) -> Estimate:
    """<m^2> over that of the source, less that of exact tori, as a share of it."""
    exact = critical_square(grown.side) / critical_square(source.side)
    return _ratio(source.magnetization**2, grown.magnetization**2) / exact - 1


def block_sums_variation(one: Measurements, other: Measurements) -> float:
    """Total variation between the histograms of block sums, both made symmetric under the flip of all spins."""
    difference = one.sums.mean(0) - other.sums.mean(0)
    return float(np.abs(difference + difference[::-1]).sum() / 4)


def _ratio(denominators: Values, numerators: Values) -> Estimate:
    """Ratio of two means over the same lattices."""
    pairs = np.stack([denominators, numerators], 1)
    return jackknife(lambda part: part[:, 1].mean() / part[:, 0].mean(), pairs)
