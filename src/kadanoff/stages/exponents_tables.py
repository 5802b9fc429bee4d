"""What the chains give, as numbers and as tables beside the paper's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from operator import attrgetter
from typing import Any

from kadanoff.inverse.chains import Levels
from kadanoff.lab.tables import Cell, table
from kadanoff.spins.exact import BINDER, T_C, kaufman
from kadanoff.spins.observables import binder
from kadanoff.spins.scaling import combine, exponents, local_slopes
from kadanoff.spins.statistics import Estimate, independent_mean
from kadanoff.stages.exponents_chains import Repetition
from kadanoff.stages.literature import PAPER_EXPONENTS
from kadanoff.stages.targets import vanishes, verdict

EXACT = {"beta": 1 / 8, "gamma": 7 / 4, "eta_half": 1 / 4, "eta_quarter": 1 / 4}
SYMBOLS = {"beta": "beta", "gamma": "gamma/nu", "eta_half": "eta from G(L/2)", "eta_quarter": "eta from G(L/4)"}
SYMMETRIES = ("between blocks - inside", "x - y")
OTHERS = ("half", "quarter", "between", "anisotropy")
Rows = list[list[Cell]]


@dataclass(frozen=True)
class Line:
    """One kind of lattices over all their sizes: exponents, and at each size what can be held against exact values.

    `energy` is the energy a site less that of the exact torus, `susceptibility` <m^2> L^2; `half` and `quarter` are
    <G(L/2)> and <G(L/4)>. `between` and `anisotropy` are c10 between blocks less inside of them, and along x less
    along y: 0 by the symmetries of the torus.
    """

    sizes: tuple[int, ...]
    exponents: dict[str, Estimate]
    straightness: float
    slopes: list[Estimate]
    energy: list[Estimate]
    binder: list[Estimate]
    susceptibility: list[Estimate]
    half: list[Estimate]
    quarter: list[Estimate]
    between: list[Estimate]
    anisotropy: list[Estimate]


@dataclass(frozen=True)
class Summary:
    """All lines by their names, and the calibration of the repetitions."""

    chains: dict[str, Line]
    finite: Line
    truth: Line
    calibration: dict[str, Estimate]

    def numbers(self) -> dict[str, Any]:
        """Metrics."""
        lines = {**self.chains, "monte_carlo_4_to_16": self.finite, "monte_carlo": self.truth}
        return {name.replace(" + ", "_").replace(" ", "_"): _numbers(line) for name, line in lines.items()} | {
            "calibration": self.calibration
        }


def _numbers(line: Line) -> dict[str, Any]:
    shown = {"energy_minus_exact": line.energy, "binder": line.binder}
    shown |= {"between_minus_inside": line.between, "x_minus_y": line.anisotropy}
    by_size = {
        f"L={size}": {name: values[place] for name, values in shown.items()} for place, size in enumerate(line.sizes)
    }
    bias = {f"{name}_bias": line.exponents[name].mean - exact for name, exact in EXACT.items()}
    return {**line.exponents, **bias, "smallest_correlation_coefficient": line.straightness, **by_size}


def summarize(found: Sequence[Repetition], finite: Sequence[Levels], truth: Sequence[Levels]) -> Summary:
    """Combine the repetitions, and do the same for Monte Carlo ensembles of several sizes."""
    chains = {kind: _chain([repetition.chains[kind] for repetition in found]) for kind in found[0].chains}
    names = [field.name for field in fields(found[0].calibration)]
    calibration = {name: combine([getattr(repetition.calibration, name) for repetition in found]) for name in names}
    return Summary(chains, _ensembles(finite), _ensembles(truth), calibration)


def _chain(repetitions: Sequence[Levels]) -> Line:
    """A chain of which every repetition has its own network and seeds: errors from their scatter and from the seeds."""
    fits = [exponents(item.sizes, item.magnetization, item.half, item.quarter) for item in repetitions]
    slopes = [local_slopes(item.sizes, item.magnetization) for item in repetitions]
    levels = range(len(repetitions[0].sizes))
    points = [[_point(size, item, level) for level, size in enumerate(item.sizes)] for item in repetitions]
    return Line(
        repetitions[0].sizes,
        {name: combine([getattr(fit, name) for fit in fits]) for name in EXACT},
        min(fit.correlation for fit in fits),
        [combine(list(values)) for values in zip(*slopes, strict=True)],
        *([combine([point[level][key] for point in points]) for level in levels] for key in range(7)),
    )


def _ensembles(levels: Sequence[Levels]) -> Line:
    """Independent Monte Carlo ensembles, one a size."""
    sizes = tuple(item.sizes[0] for item in levels)
    spins, half, quarter = (
        [getattr(item, name)[0] for item in levels] for name in ("magnetization", "half", "quarter")
    )
    fit = exponents(sizes, spins, half, quarter, paired=False)
    points = [_point(size, item, 0) for size, item in zip(sizes, levels, strict=True)]
    return Line(
        sizes,
        {name: getattr(fit, name) for name in EXACT},
        fit.correlation,
        local_slopes(sizes, spins, paired=False),
        *(list(values) for values in zip(*points, strict=True)),
    )


def _point(size: int, item: Levels, level: int) -> tuple[Estimate, ...]:
    """The fields of a `Line` that belong to one size."""
    found = independent_mean(item.energy[level])
    energy = Estimate(found.mean - kaufman(size, size, T_C).energy, found.error, n=found.n)
    others = item.magnetization[level] ** 2 * size**2, *(getattr(item, name)[level] for name in OTHERS)
    return energy, binder(item.magnetization[level]), *map(independent_mean, others)


NAMES = {"pixels": "pixels (the paper's network)", "blocks": "blocks, one pass"}
NOTE = """Bias: value minus exact, in percent of exact, and in square brackets in standard errors of the value. A number
of many standard errors is wrong beyond its noise, however close it is. Sweeps are Metropolis sweeps at T_c after each
doubling, so they know the Hamiltonian; the rows without them do not.
"""
PERCENT = {"gamma": 0.1, "beta": 1.0, "eta_half": 1.0, "eta_quarter": 1.0}
LARGEST_ERROR, ENERGY, BINDER_PERCENT, SYMMETRY = 0.001, 0.002, 1.0, 2e-4


def tables_text(summary: Summary) -> str:
    """All tables as Markdown."""
    lines = {NAMES.get(kind, kind): line for kind, line in summary.chains.items()}
    every = lines | {"Monte Carlo": summary.truth}
    calibration = summary.calibration
    return "\n".join(
        [
            "# Critical exponents from seeds of 16 x 16\n",
            _exponent_table(lines, summary),
            NOTE,
            _target_table(lines),
            f"Sharpness of `blocks`: {calibration['sharpness']}, by the criterion that critical 8 x 8 lattices, "
            "doubled, have the exact energy of the critical 16 x 16 torus (`kadanoff.inverse.calibration`); the excess "
            f"is {calibration['before']} a site at sharpness 1 and {calibration['after']} with it.\n",
            _size_table("Energy a site minus the exact energy of the torus", every, lambda line: line.energy),
            _size_table(f"Binder ratio U4 ({BINDER} on the infinite critical torus)", every, lambda line: line.binder),
            *(
                _size_table(f"c10 {what} (0 by the symmetries of the torus)", every, attrgetter(name))
                for what, name in zip(SYMMETRIES, ("between", "anisotropy"), strict=True)
            ),
            _slope_table(every),
        ]
    )


def _exponent_table(lines: dict[str, Line], summary: Summary) -> str:
    columns = ["", "sizes", *SYMBOLS.values(), "smallest correlation"]
    rows: Rows = [["exact", None, *EXACT.values(), None]]
    for name, values in PAPER_EXPONENTS.items():
        rows.append([f"paper: {name}", *values, None])
    named = lines | {"Monte Carlo, finite-size scaling": summary.finite, "Monte Carlo": summary.truth}
    for name, line in named.items():
        found = [_with_bias(line.exponents[key], exact) for key, exact in EXACT.items()]
        rows.append([name, f"{line.sizes[0]} to {line.sizes[-1]}", *found, f"{line.straightness:.6f}"])
    return table("Exponents (the paper's Table I)", columns, rows)


def _target_table(lines: dict[str, Line]) -> str:
    """What was to be reached, set before any result."""
    columns = ["", *(f"{SYMBOLS[name]} within {percent:g}%" for name, percent in PERCENT.items())]
    columns += [f"error of gamma/nu at most {LARGEST_ERROR}", f"each energy within {ENERGY}", "each U4 within 1%"]
    columns += [f"c10 {what} 0 within 3 errors of {SYMMETRY} or less, at the largest L" for what in SYMMETRIES]
    rows: Rows = []
    for name, line in lines.items():
        found = [verdict(line.exponents[key], EXACT[key], EXACT[key] * part / 100) for key, part in PERCENT.items()]
        found.append("yes" if line.exponents["gamma"].error <= LARGEST_ERROR else "no")
        found.append(_worst(line.energy[1:], 0.0, ENERGY))
        found.append(_worst(line.binder[1:], BINDER, BINDER * BINDER_PERCENT / 100))
        found += [vanishes(values[-1], SYMMETRY) for values in (line.between, line.anisotropy)]
        rows.append([name, *found])
    return table("Targets, set before any result (energies and U4 from L = 32 on)", columns, rows)


def _worst(estimates: Sequence[Estimate], target: float, within: float) -> str:
    """The verdict on the estimate that is furthest from the target."""
    return verdict(max(estimates, key=lambda item: abs(item.mean - target)), target, within)


def _with_bias(value: Estimate, exact: float) -> str:
    return f"{value} ({100 * (value.mean - exact) / exact:+.2f}%) [{value.sigmas(exact):+.1f}]"


def _size_table(title: str, lines: dict[str, Line], pick: Callable[[Line], list[Estimate]]) -> str:
    sizes = sorted({size for line in lines.values() for size in line.sizes})
    rows: Rows = []
    for name, line in lines.items():
        found = dict(zip(line.sizes, pick(line), strict=True))
        rows.append([name, *(found.get(size) for size in sizes)])
    return table(title, ["", *(f"L = {size}" for size in sizes)], rows)


def _slope_table(lines: dict[str, Line]) -> str:
    found = {name: dict(zip(pairwise(line.sizes), line.slopes, strict=True)) for name, line in lines.items()}
    steps = sorted({step for slopes in found.values() for step in slopes})
    rows: Rows = [[name, *(slopes.get(step) for step in steps)] for name, slopes in found.items()]
    return table("gamma/nu between successive sizes", ["", *(f"{small} to {large}" for small, large in steps)], rows)
