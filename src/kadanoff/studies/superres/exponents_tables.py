"""What the chains give, as metrics and as tables beside the published ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from kadanoff.estimate import Estimate
from kadanoff.inverse.calibration import Calibration
from kadanoff.inverse.chains import (
    EXACT,
    Levels,
    chain_estimates,
    ensembles,
    estimates,
    exact_gamma,
    exponents_less,
)
from kadanoff.inverse.superresolve import Spins
from kadanoff.project.tables import Cell, frame_table, table
from kadanoff.spins.exact import BINDER
from kadanoff.spins.scaling import combine
from kadanoff.studies.targets import every, needed, vanishes, verdict

PIXELS, BLOCKS = "pixels", "blocks"  # entries of superres.variants
# Efthymiou, Beach and Melko, arXiv:1810.02372, Table I: sizes, then beta, gamma, eta from G(L/2) and from G(L/4), with
# the standard error of 60 repetitions; of its finite-size column it gives only the deviations from theory.
PAPER_EXPONENTS: dict[str, tuple[str, ...]] = {
    "super-resolution": ("16 to 128", "0.1234(60)", "1.7544(100)", "0.2460(100)", "0.2459(100)"),
    "finite-size scaling": ("4 to 16", "1.3% off", "2.3% off", "2.3% off", "1.1% off"),
}
SYMBOLS = {"beta": "beta", "gamma": "gamma/nu", "eta_half": "eta from G(L/2)", "eta_quarter": "eta from G(L/4)"}
EXPONENTS = {"gamma_over_nu": "gamma", "beta": "beta", "eta": "eta_half"}
SYMMETRIES = {"between": "between blocks - inside", "anisotropy": "x - y"}
TRUTH, FINITE = "monte_carlo", "monte_carlo_4_to_16"
METRICS = {
    "energy": "energy_minus_exact",
    "binder": "binder",
    "between": "between_minus_inside",
    "anisotropy": "x_minus_y",
    "square_ratio": "square_ratio_off",
}
"""Observables of one size that are metrics, and their names there."""
Rows = list[list[Cell]]


@dataclass(frozen=True)
class Repetition:
    """What one repetition gave; `lattices` holds those that its first seed grew into, at each level."""

    calibration: Calibration
    chains: dict[str, Levels]
    lattices: dict[str, list[Spins]]


@dataclass(frozen=True)
class Summary:
    """All estimates (`kadanoff.inverse.chains`) of chains and of Monte Carlo ensembles.

    `less_blocks` are exponents of chains less those of `blocks`; `calibration` is the average of the repetitions'.
    """

    table: pd.DataFrame
    less_blocks: dict[str, dict[str, Estimate]]
    calibration: dict[str, Estimate]

    @property
    def chains(self) -> list[str]:
        """Methods that are chains."""
        return [method for method in self.table.method.unique() if method not in (TRUTH, FINITE)]

    def at(self, method: str, observable: str) -> dict[int, Estimate]:
        """One observable of a method by its size."""
        return estimates(self.table, method, observable)

    def whole(self, method: str, observable: str) -> Estimate:
        """One of all sizes of a method."""
        return self.at(method, observable)[0]

    def sizes(self, method: str) -> list[int]:
        """Sizes of the lattices of a method."""
        return list(self.at(method, "energy"))

    def comparison(self) -> tuple[pd.DataFrame, list[str], list[str]]:
        """A row a method and number of sweeps: the exponents, and the energy of the largest lattices less the exact."""
        rows = []
        for method in self.table.method.unique():
            name, _, sweeps = method.removesuffix(" sweeps").partition(" + ")
            sizes = self.sizes(method)
            known = {"method": name, "sweeps": int(sweeps or 0) if method in self.chains else None, "L": sizes[-1]}
            values = {key: self.whole(method, observable) for key, observable in EXPONENTS.items()}
            rows.append(known | values | {"energy_minus_exact": self.at(method, "energy")[sizes[-1]]})
        return pd.DataFrame(rows, dtype=object), ["method", "sweeps", "L"], [*EXPONENTS, "energy_minus_exact"]

    def metrics(self) -> dict[str, Any]:
        """All numbers, by method and size."""
        found: dict[str, Any] = {"calibration": self.calibration}
        for method in self.table.method.unique():
            numbers: dict[str, Any] = {f"L={size}": {} for size in self.sizes(method)}
            for observable, name in METRICS.items():
                for size, value in self.at(method, observable).items():
                    numbers[f"L={size}"][name] = value
            for name, exact in EXACT.items():
                numbers |= {name: self.whole(method, name), f"{name}_bias": self.whole(method, name).mean - exact}
            numbers["smallest_correlation_coefficient"] = self.whole(method, "correlation").mean
            if method in self.less_blocks:
                numbers["less_blocks"] = self.less_blocks[method]
            found[method.replace(" + ", "_").replace(" ", "_")] = numbers
        found[FINITE]["gamma_exact_of_the_fit"] = exact_gamma(self.sizes(FINITE))
        return found


def summarize(repetitions: Sequence[Repetition], finite: Sequence[Levels], truth: Sequence[Levels]) -> Summary:
    """Combine the repetitions, and do the same for Monte Carlo ensembles of several sizes."""
    chains = {kind: [each.chains[kind] for each in repetitions] for kind in repetitions[0].chains}
    found = [chain_estimates(kind, levels) for kind, levels in chains.items()]
    found += [
        chain_estimates(kind, [ensembles(item)], paired=False) for kind, item in ((FINITE, finite), (TRUTH, truth))
    ]
    less = {kind: exponents_less(levels, chains[BLOCKS]) for kind, levels in chains.items() if kind != BLOCKS}
    names = [field.name for field in fields(repetitions[0].calibration)]
    calibration = {name: combine([getattr(each.calibration, name) for each in repetitions]) for name in names}
    return Summary(pd.concat(found, ignore_index=True), less, calibration)


NAMES = {"pixels": "pixels (the published network)", "blocks": "blocks, one pass", TRUTH: "Monte Carlo"}
TITLE = """# Critical exponents from seeds of 16 x 16 and T_c

`blocks` knows the exact energy of the 16 x 16 torus, too, and "+ sweeps" the Hamiltonian.
"""
NOTE = """Bias: value minus exact, in percent of exact, and in square brackets in standard errors of the value. A number
of many standard errors is wrong beyond its noise, however close it is. Sweeps are Metropolis sweeps at T_c after each
doubling, so they know the Hamiltonian; the rows without them do not, but those of `blocks` know the exact energy of the
16 x 16 torus. Monte Carlo from 4 to 16 is off by what small lattices have beside the power law: the row above it has
what the fit gives for the exact <m^2> of these tori. All chains of a repetition grow from the same seeds, with the same
random numbers, so that they differ by less than their errors: see the second table.
"""
TARGETS_NOTE = """A target is met, or missed, if that is so by one error; otherwise it is `open`. It is met only by
errors that the first row allows, a third of what the target does. U4, <|m|> and <m^2> at one size are no targets:
they are those of the seeds, and `pixels` meets them. <m^2> over that of the size before, in pairs, is one. What is 0
by the symmetries of the torus is missed if it is off by more than 3 errors, and `open` if these are too large.
"""
PERCENT = {"gamma": 0.1, "beta": 1.0, "eta_half": 1.0, "eta_quarter": 1.0}
ENERGY, SQUARE_PERCENT, SYMMETRY = 0.002, 1.0, 2e-4
BY_SIZE = {
    "energy": "Energy per site minus the exact energy of the torus",
    "binder": f"Binder ratio U4 ({BINDER} on the infinite critical torus)",
    **{name: f"c10 {words} (0 by the symmetries of the torus)" for name, words in SYMMETRIES.items()},
    "slope": "gamma/nu between successive sizes",
    "square_ratio": "&lt;m²&gt; over that of the size before, less that of exact tori, in percent",
}
"""Observables with a table of their own, and its title."""


def tables_text(summary: Summary) -> str:
    """All tables as Markdown."""
    known = summary.calibration
    parts = [TITLE, _exponent_table(summary), NOTE, _less_table(summary), _target_table(summary), TARGETS_NOTE]
    parts.append(
        f"Sharpness of `blocks`: {known['sharpness']}, by the criterion that critical 8 x 8 lattices, doubled, have "
        "the exact energy of the critical 16 x 16 torus (`kadanoff.inverse.calibration`); the excess is "
        f"{known['before']} per site at sharpness 1 and {known['after']} with it. Of chains U4 is that of their seeds, "
        "with their error.\n"
    )
    return "\n".join(parts + [_size_table(title, summary, observable) for observable, title in BY_SIZE.items()])


def _exponent_table(summary: Summary) -> str:
    columns = ["", "sizes", *SYMBOLS.values(), "smallest correlation", "lattices"]
    rows: Rows = [["exact", None, *EXACT.values(), None, None]]
    rows += [[f"Efthymiou et al. 2019: {name}", *values, None, None] for name, values in PAPER_EXPONENTS.items()]
    names = NAMES | {FINITE: "Monte Carlo, finite-size scaling"}
    for method in (*summary.chains, FINITE, TRUTH):
        sizes = summary.sizes(method)
        span = f"{sizes[0]} to {sizes[-1]}"
        if method == FINITE:
            rows.append(["exact, finite-size scaling", span, None, f"{exact_gamma(sizes):.4f}", *[None] * 4])
        found = []
        for key, exact in EXACT.items():
            value = summary.whole(method, key)
            found.append(f"{value} ({100 * (value.mean / exact - 1):+.2f}%) [{value.sigmas(exact):+.1f}]")
        straightness = f"{summary.whole(method, 'correlation').mean:.6f}"
        lattices = _lattices(item.n for item in summary.at(method, "binder").values())
        rows.append([names.get(method, method), span, *found, straightness, lattices])
    return table("Exponents (Table I of Efthymiou et al. 2019)", columns, rows)


def _less_table(summary: Summary) -> str:
    rows: Rows = [[NAMES.get(kind, kind), *less.values()] for kind, less in summary.less_blocks.items()]
    return table(f"Less those of {NAMES[BLOCKS]}, by the seeds of both", ["", *SYMBOLS.values()], rows)


def _lattices(counts: Iterable[int]) -> str:
    """How many lattices a row of estimates comes from, at each size."""
    found = sorted(set(counts))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _target_table(summary: Summary) -> str:
    """What was to be reached, set before any result."""
    within = {key: EXACT[key] * part / 100 for key, part in PERCENT.items()}
    columns = ["", *(f"{SYMBOLS[key]} within {part:g}%" for key, part in PERCENT.items())]
    columns += [f"each energy within {ENERGY}", f"each &lt;m²&gt; over the one before within {SQUARE_PERCENT:g}%"]
    columns += [f"c10 {words} 0 at the largest L" for words in SYMMETRIES.values()]
    errors = [f"{needed(part):.2g}" for part in (*within.values(), ENERGY)]
    errors += [f"{needed(SQUARE_PERCENT):.2g}%", *(f"{SYMMETRY:.2g}" for _ in SYMMETRIES)]
    rows: Rows = [["error at most", *errors]]
    for method in summary.chains:
        _, *energies = summary.at(method, "energy").values()
        squares = summary.at(method, "square_ratio").values()
        found = [verdict(summary.whole(method, key), EXACT[key], part) for key, part in within.items()]
        found.append(every(verdict(item, 0.0, ENERGY) for item in energies))
        found.append(every(verdict(item, 0.0, SQUARE_PERCENT / 100) for item in squares))
        found += [vanishes(list(summary.at(method, name).values())[-1], SYMMETRY) for name in SYMMETRIES]
        rows.append([NAMES.get(method, method), *found])
    return table("Targets (energies from L = 32 on)", columns, rows)


def _size_table(title: str, summary: Summary, observable: str) -> str:
    """One observable by method and size, or from each size to the next."""
    shown = summary.table[(summary.table.observable == observable) & (summary.table.method != FINITE)]
    scale = 100 if observable == "square_ratio" else 1
    values = [scale * Estimate(mean, error) for mean, error in zip(shown["mean"], shown["error"], strict=True)]
    by_size = shown.assign(value=values).pivot(index="method", columns=["smaller", "size"], values="value")
    by_size = by_size.sort_index(axis=1).loc[shown.method.unique()]
    headings = [f"{small} to {size}" if small else f"L = {size}" for small, size in by_size.columns]
    by_size.columns = pd.Index(headings)
    lattices = [_lattices(counts) for _, counts in shown.groupby("method", sort=False).n]
    frame = by_size.assign(lattices=lattices).reset_index().replace({"method": NAMES})
    return frame_table(title, frame, {"method": "", **{name: name for name in (*headings, "lattices")}})
