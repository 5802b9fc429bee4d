"""Measurements of large critical lattices: local order, magnetization, blocks, G(r) and S(k) along the axes.

What a network changes is seen in pairs: every grown lattice with the one that it grew from, or with one from the same
seed. Long waves are those of the seeds, whatever the network. Ratios in pairs are free of them: <m^2> over that of the
source against exact tori, and <G_3L(3r)> / <G_L(r)>, which is 3^(-1/4) at the critical point, up to terms in 1/r^2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.inverse.quality import Samples, asymmetries
from kadanoff.inverse.superresolve import Spins
from kadanoff.spins.exact import critical_diagonal, critical_energy, critical_row, critical_square
from kadanoff.spins.observables import binder, block_sums
from kadanoff.spins.statistics import independent_mean, jackknife

Values = NDArray[np.float64]
FARTHEST = 500  # of the fit of G(r)
NEAREST = 16  # the smallest r of the ratio of G: corrections fall as 1/r^2
ENOUGH = 8  # lattices for a regression
DRAWS = 4000  # of the noise that the largest deviation is compared with


@dataclass(frozen=True)
class Measurements(Samples):
    """Square tori at T_c; arrays have one row a lattice."""

    side: int
    nearest: Values  # c10, the mean of s_i s_j over neighbours along the axes: (n,)
    diagonal: Values  # c11, the same along both diagonals: (n,)
    magnetization: Values  # per site: (n,)
    sums: Values  # share of the blocks (3 x 3) with 0, 1, ... spins up: (n, 10)
    correlation: Values  # G(r) along both axes, r = 0 to side // 2: (n, side // 2 + 1)
    structure: Values  # S(k) = |sum_j s_j exp(i k x_j)|^2 / side^2 along both axes, k = 2 pi m / side, as many
    between: Values  # c10 between blocks less inside of them (`kadanoff.inverse.quality.asymmetries`): (n,)
    anisotropy: Values  # c10 along x less along y: (n,)


def measure_lattice(spins: Spins, block: int = 3) -> Measurements:
    """Measure one lattice, int8 (y, x)."""
    side = len(spins)
    transform = scipy.fft.rfft2(spins.astype(np.float32))
    power = (transform.real**2 + transform.imag**2) / side**2
    weights = np.full(power.shape[1], 2.0, np.float32)  # of a column and its mirror image
    weights[[0, -1] if side % 2 == 0 else [0]] = 1.0
    along_x = np.fft.irfft(power.sum(0, dtype=np.float64), side) / side
    along_y = np.fft.ifft((power * weights).sum(1, dtype=np.float64)).real / side
    reach = side // 2 + 1
    correlation = (along_x + along_y)[:reach] / 2
    structure = (power[0].astype(np.float64) + power[:reach, 0]) / 2
    diagonal = sum(float((spins * np.roll(spins, (1, step), (0, 1))).mean(dtype=np.float64)) for step in (1, -1)) / 2
    whole = side // block * block  # seeds may have sites left over
    ups = (block_sums(spins[None, :whole, :whole], block, 2) + block**2) // 2
    sums = np.bincount(ups.ravel().astype(np.int64), minlength=block**2 + 1) / ups.size
    numbers = correlation[1], diagonal, spins.mean(dtype=np.float64), sums, correlation, structure
    return Measurements(
        side, *(np.asarray(value, np.float64)[None] for value in numbers), *asymmetries(spins[None], block)
    )


def fit_distances(side: int) -> list[int]:
    """Distances 1, 2, 4, ... of the fit of G(r), and the last: 500, as in CNN-RG-Fast, or L/8 if that is less."""
    last = min(FARTHEST, side // 8)
    return [*(1 << power for power in range(last.bit_length()) if 1 << power < last), last]


def exact_decay(side: int) -> float:
    """What `decay` gives for the exact G(r) of a torus: not quite 1/4.

    G(1) and G(2) lie half a percent above A r^(-1/4), and the torus raises G at large r.
    """
    return decay(side, np.array([critical_row(distance, side) for distance in fit_distances(side)]))


def decay(side: int, correlation: Values) -> float:
    """The exponent x of G(r) ~ r^-x: minus the least-squares slope of ln G over ln r at `fit_distances`."""
    x = np.log(fit_distances(side))
    with np.errstate(invalid="ignore", divide="ignore"):  # not a number if some G is below zero
        return -float((x - x.mean()) @ np.log(correlation) / ((x - x.mean()) ** 2).sum())


def linear(found: Measurements) -> dict[str, Values]:
    """Quantities that are means over lattices, by name: (n,) each, in the units of `estimates`."""
    return {
        "c10_excess": found.nearest + critical_energy(found.side) / 2,
        "c11": found.diagonal,
        "order": np.abs(found.magnetization) * found.side**0.125,
        "square": found.magnetization**2 * found.side**0.25,
        "between_minus_inside": found.between,
        "x_minus_y": found.anisotropy,
    }


def estimates(found: Measurements) -> dict[str, Estimate]:
    """Quantities of lattices at T_c, by name.

    c10 less that of the exact torus, c11, <|m|> L^(1/8), <m^2> L^(1/4), the Binder ratio U4, the exponent of G(r), and
    the two differences of c10 that symmetries make 0.
    """
    values = {name: independent_mean(samples) for name, samples in linear(found).items()}
    near = found.correlation[:, fit_distances(found.side)]
    return values | {
        "c11_excess": values["c11"] - critical_diagonal(found.side),
        "binder": binder(found.magnetization),
        "exponent": jackknife(lambda rows: decay(found.side, rows.mean(0)), near),
    }


def differences(one: Measurements, other: Measurements) -> dict[str, Estimate]:
    """The `estimates` of lattices less those of others from the same seeds, with the error of the difference."""
    values, others = linear(one), linear(other)
    near = (item.correlation[:, fit_distances(one.side)] for item in (one, other))
    return {name: independent_mean(values[name] - others[name]) for name in values} | {
        "binder": _difference(_binder, one.magnetization, other.magnetization),
        "exponent": _difference(lambda rows: decay(one.side, rows.mean(0)), *near),
    }


def _difference(function: Callable[[Values], float], one: Values, other: Values) -> Estimate:
    return jackknife(lambda both: function(both[:, 0]) - function(both[:, 1]), np.stack([one, other], 1))


def _binder(magnetization: Values) -> float:
    squares = magnetization**2
    return 1 - float((squares**2).mean() / (3 * squares.mean() ** 2))


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
