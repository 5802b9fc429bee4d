"""What the stage `grow` found, as metrics and tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.inverse.measurement import Survey, decay, exact_decay, fit_distances, paired_ratio, slope_weights
from kadanoff.project.tables import Cell, table
from kadanoff.spins.exact import BINDER, SQUARE, critical_diagonal, critical_energy, critical_row, critical_square
from kadanoff.spins.statistics import independent_mean, jackknife
from kadanoff.studies.targets import vanishes, verdict

RATIO = 3**-0.25
NEAREST = 16  # the smallest r of the paired ratio: corrections fall as 1/r^2
NOTE = """c10 and c11 are compared with the exact ones of a torus of this size (Ferdinand and Fisher), the seeds' own
deviation regressed out; all else with Swendsen-Wang lattices of the same size, and <m^2>, U4 and G also with the exact
torus of infinite size. Errors are standard errors over the seeds. |m|, <m^2>, U4 and the exponent of G test the seeds,
whose long waves grown lattices have, however bad the network: no target is set on them. What the network does is seen
in pairs, every lattice with the one that it grew from: <m^2> over that of the seed against exact tori, and <G_3L(3r)> /
<G_L(r)>, which is 3^(-1/4) at the critical point, up to corrections in 1/r^2. `worst` is where this deviates most, r
from 16 to L/8; `by chance` is how far the worst is off on average if there is no deviation at all. The exponent is
that of a fit of G(r) to a power of r at r = 1, 2, 4, ..., and 500 or L/8: that of the exact G(r) is not quite 1/4,
since G is half a percent higher at r = 1 and 2, and on a torus at large r. `missed` lists the targets that are missed,
and as `open` those that the errors do not decide: c10 and c11 within 0.0003 of exact, with errors of 0.0001 at most,
and both ratios within 1%, with errors of 0.33% at most. By the symmetries of the torus s_i s_j of neighbours is the
same between blocks (`grid`) as inside of them, and along x as along y (`axes`): the differences are to be 0 within 3
standard errors of 0.0002 or less.
"""
TARGETS: dict[str, tuple[str, float]] = {
    "c10": ("c10_excess", 3e-4),
    "c11": ("c11_excess", 3e-4),
    "ratio": ("paired_ratio_off", 0.01),
    "square": ("paired_square_off", 0.01),
}
"""By name: the number that has to be within so much of 0."""
GRID, AXES = "between_minus_inside", "x_minus_y"
SYMMETRIES = {GRID: "c10 between - inside", AXES: "c10 x - y"}
SYMMETRY = 2e-4  # the error with which a broken symmetry is to be seen
PAIRED = ("&lt;m²&gt; ratio - exact, %", "G(3r)/G(r) 3^(1/4) - 1, worst, %", "by chance, %")
ENOUGH = 8  # lattices for a regression
DRAWS = 4000  # of the noise that the worst distance is compared with


@dataclass(frozen=True)
class Grown:
    """Surveys: of the seeds, and at every larger size of lattices as drawn, refined, and of Monte Carlo.

    The larger the size, the fewer may have grown so far: they are the first of those before.
    """

    seeds: Survey
    raw: list[Survey]
    refined: list[Survey]
    truth: list[Survey]

    def kinds(self) -> dict[str, list[Survey]]:
        """The three kinds of lattices by their names."""
        return {"raw": self.raw, "refined": self.refined, "Monte Carlo": self.truth}

    def source(self, level: int) -> Survey:
        """The lattices that those of a level (0 is the first enlargement) grew from."""
        found = self.refined[level - 1] if level else self.seeds
        return found.first(len(self.refined[level]))


def excess(found: Survey, seeds: Survey | None = None, name: str = "nearest") -> Estimate:
    """c10 (or c11: `diagonal`) less that of the exact torus.

    The deviation of c10 of the `seeds`, the first of which the lattices grew from, is regressed out: its mean is known
    to be 0. Few lattices do not tell the slope.
    """
    off = getattr(found, name) - _exact(found, name)
    if seeds is None or len(off) < ENOUGH:
        return independent_mean(off)
    known = seeds.first(len(off)).nearest - _exact(seeds, "nearest")
    return independent_mean(off - np.cov(known, off)[0, 1] / known.var(ddof=1) * known)


def _exact(found: Survey, name: str) -> float:
    return -critical_energy(found.side) / 2 if name == "nearest" else critical_diagonal(found.side)


def missed(found: Mapping[str, Any]) -> str:
    """Names of the targets that a row of numbers misses, and of those that its errors leave open."""
    verdicts = {name: verdict(found[key], 0.0, within) for name, (key, within) in TARGETS.items()}
    verdicts |= {name: vanishes(found[key], SYMMETRY) for name, key in (("grid", GRID), ("axes", AXES))}
    marks = [f"{name} (open)" if text == "open" else name for name, text in verdicts.items() if text != "yes"]
    return ", ".join(marks) or "–"


def percent(found: Estimate) -> Estimate:
    """A share in percent."""
    return Estimate(100 * found.mean, 100 * found.error, n=found.n)


def ratios(small: Survey, large: Survey) -> tuple[list[int], list[Estimate]]:
    """How far the paired ratio is off, as a share, at distances from 16 to L/8 of the smaller lattices."""
    most = small.side // 8
    distances = sorted({round(NEAREST * 1.2**step) for step in range(64) if NEAREST * 1.2**step <= most} | {most})
    found = paired_ratio(small, large, distances)
    return distances, [Estimate(item.mean / RATIO - 1, item.error / RATIO, n=item.n) for item in found]


def worst(small: Survey, large: Survey) -> tuple[int, Estimate]:
    """The distance at which the paired ratio deviates most, and by how much."""
    return max(zip(*ratios(small, large), strict=True), key=lambda pair: abs(pair[1].mean))


def worst_by_chance(small: Survey, large: Survey) -> float:
    """What |`worst`| is on average if the ratio deviates nowhere: of normal noise with the covariance of the distances.

    Each lattice's part of the ratio is <G> times d(G_3L / G_L), to first order.
    """
    distances, _ = ratios(small, large)
    near, far = small.correlation[:, distances], large.correlation[:, [large.side // small.side * r for r in distances]]
    parts = (far - near * (far.mean(0) / near.mean(0))) / near.mean(0) / RATIO
    count = len(parts)
    draws = np.random.default_rng(0).standard_normal((DRAWS, count)) @ parts / np.sqrt(count * (count - 1))
    return float(np.abs(draws).max(1).mean())


def square_off(small: Survey, large: Survey) -> Estimate:
    """<m^2> over that of the lattices that grew, less that of exact tori, as a share of it."""
    exact = critical_square(large.side) / critical_square(small.side)
    pairs = np.stack([small.magnetization**2, large.magnetization**2], 1)
    found = jackknife(lambda part: part[:, 1].mean() / part[:, 0].mean(), pairs)
    return Estimate(found.mean / exact - 1, found.error / exact, n=len(pairs))


def paired(small: Survey, large: Survey, seeds: Survey) -> dict[str, Any]:
    """What is known of lattices by those that they grew from, and by the seeds of all."""
    distance, ratio = worst(small, large)
    return {
        "c10_excess": excess(large, seeds),
        "c11_excess": excess(large, seeds, "diagonal"),
        "paired_ratio_off": ratio,
        "paired_ratio_distance": distance,
        "paired_ratio_off_by_chance": worst_by_chance(small, large),
        "paired_square_off": square_off(small, large),
    }


def spread(found: Survey, truth: Survey) -> float:
    """Total variation between the histograms of block sums, both made symmetric under the flip of all spins."""
    difference = found.sums.mean(0) - truth.sums.mean(0)
    return float(np.abs(difference + difference[::-1]).sum() / 4)


def row(found: Survey) -> dict[str, Estimate]:
    """What is known of lattices on their own."""
    return {
        "c10_excess": excess(found),
        "c11_excess": excess(found, name="diagonal"),
        "c11": independent_mean(found.diagonal),
        "order": found.order(),
        "square": found.square(),
        "binder": found.binder(),
        "exponent": decay(found, fit_distances(found.side)),
        GRID: independent_mean(found.between),
        AXES: independent_mean(found.anisotropy),
    }


def apart(one: Survey, other: Survey) -> dict[str, Estimate]:
    """The numbers of `row` of lattices less those of others from the same seeds, with the error of the difference."""
    size, weights = one.side, slope_weights(fit_distances(one.side))
    order = (np.abs(one.magnetization) - np.abs(other.magnetization)) * size**0.125
    square = (one.magnetization**2 - other.magnetization**2) * size**0.25
    return {
        "c10_excess": independent_mean(one.nearest - other.nearest),
        "c11": independent_mean(one.diagonal - other.diagonal),
        "order": independent_mean(order),
        "square": independent_mean(square),
        "binder": _apart(_binder, one.magnetization, other.magnetization),
        "exponent": _apart(
            lambda rows: -float(weights @ np.log(rows.mean(0))),
            *(item.correlation[:, fit_distances(size)] for item in (one, other)),
        ),
        GRID: independent_mean(one.between - other.between),
        AXES: independent_mean(one.anisotropy - other.anisotropy),
    }


def _apart(function: Callable[[NDArray], float], one: NDArray, other: NDArray) -> Estimate:
    with np.errstate(invalid="ignore", divide="ignore"):  # not a number if some G is below zero
        return jackknife(lambda both: function(both[:, 0]) - function(both[:, 1]), np.stack([one, other], 1))


def _binder(magnetization: NDArray) -> float:
    squares = magnetization**2
    return 1 - float((squares**2).mean() / (3 * squares.mean() ** 2))


def metrics(found: Grown) -> dict[str, Any]:
    """Metrics of the record, by size and kind."""
    numbers: dict[str, Any] = {}
    for level, truth in enumerate(found.truth):
        at: dict[str, Any] = {"Monte Carlo": row(truth)}
        for kind, surveys in (("raw", found.raw), ("refined", found.refined)):
            at[kind] = row(surveys[level]) | paired(found.source(level), surveys[level], found.seeds)
            at[kind]["block_sums_variation"] = spread(surveys[level], truth)
        at["raw"]["less_refined"] = apart(found.raw[level], found.refined[level])
        numbers[f"L={truth.side}"] = at
    return numbers


def tables_text(found: Grown, sweeps: int) -> str:
    """Tables in Markdown."""
    columns = ["", "c10 - exact", "c11", "&lt;abs m&gt; L^(1/8)", "&lt;m²&gt; L^(1/4)", "U4", "exponent of G"]
    columns += [*SYMMETRIES.values(), "lattices"]
    parts, numbers = [NOTE], metrics(found)
    for level, truth in enumerate(found.truth):
        side, at = truth.side, numbers[f"L={truth.side}"]
        names = {"raw": "raw", "refined": f"refined by {sweeps} sweeps", "Monte Carlo": "Monte Carlo"}
        lattices = {kind: len(surveys[level]) for kind, surveys in found.kinds().items()}
        less = at["raw"]["less_refined"]
        rows: list[Sequence[Cell]] = [
            [name, *(at[kind][key] for key in less), lattices[kind]] for kind, name in names.items()
        ]
        exact = [0, critical_diagonal(side), None, SQUARE, BINDER, exact_decay(side), 0, 0]
        rows.append(["exact, large torus", *exact, None])
        rows.append(["raw less refined, in pairs", *less.values(), lattices["raw"]])
        parts.append(table(f"L = {side}", columns, rows))
        pairs: list[Sequence[Cell]] = [
            [
                kind, at[kind]["c10_excess"], at[kind]["c11_excess"], percent(at[kind]["paired_square_off"]),
                percent(at[kind]["paired_ratio_off"]), 100 * at[kind]["paired_ratio_off_by_chance"],
                at[kind]["paired_ratio_distance"], at[kind]["block_sums_variation"], missed(at[kind]),
            ]
            for kind in ("raw", "refined")
        ]  # fmt: skip
        head = ["", "c10 - exact", "c11 - exact", *PAIRED, "at r", "TV of block sums", "missed"]
        parts.append(table(f"L = {side}: paired with {found.source(level).side}", head, pairs))
        parts += [_correlation_table(found, level), _block_table(found, level)]
    return "\n".join(parts)


def _correlation_table(found: Grown, level: int) -> str:
    """G(r) of grown lattices against that of Monte Carlo and of the exact torus, in percent."""
    truth = found.truth[level]
    kinds = (("raw", found.raw[level]), ("refined", found.refined[level]))
    rows: list[Sequence[Cell]] = []
    for distance in (1 << power for power in range((truth.side // 4).bit_length())):
        exact = Estimate(critical_row(distance, truth.side), 0.0)
        known = _correlation(truth, distance)
        against = [
            percent(_quotient(_correlation(grown, distance), other)) for _, grown in kinds for other in (known, exact)
        ]
        rows.append([distance, *against, percent(_quotient(known, exact))])
    head = ["r", *(f"{kind} / {other} - 1, %" for kind, _ in kinds for other in ("Monte Carlo", "exact"))]
    return table(f"L = {truth.side}: G(r)", [*head, "Monte Carlo / exact - 1, %"], rows)


def _correlation(found: Survey, distance: int) -> Estimate:
    return independent_mean(found.correlation[:, distance])


def _quotient(found: Estimate, known: Estimate) -> Estimate:
    """How far a quotient of independent estimates is from 1."""
    quotient = found.mean / known.mean
    error = abs(quotient) * float(np.hypot(found.error / found.mean, known.error / known.mean))
    return Estimate(quotient - 1, error, n=found.n)


def _block_table(found: Grown, level: int) -> str:
    """Shares of the blocks of 3 x 3 spins by how many spins differ from the others, whichever these are."""
    kinds = {kind: surveys[level] for kind, surveys in found.kinds().items()}
    shares = {kind: surveys.sums + surveys.sums[:, ::-1] for kind, surveys in kinds.items()}
    half = next(iter(shares.values())).shape[1] // 2
    rows: list[Sequence[Cell]] = [
        [number, *(independent_mean(values[:, number]) for values in shares.values())] for number in range(half)
    ]
    return table(f"L = {found.truth[level].side}: blocks of 3 x 3, by the minority's spins", ["spins", *shares], rows)
