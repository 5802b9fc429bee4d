"""The results of `superres_compare` as one tidy table, a row per temperature and draw, as text, and as figures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.inverse.quality import Measured, binned, compare, energy_histogram, expected_distance
from kadanoff.inverse.superresolve import Spins
from kadanoff.project.figures import figure
from kadanoff.project.records import Recorder
from kadanoff.project.tables import Cell, frame_table, nested, table
from kadanoff.spins.exact import T_C, EnergyDistribution
from kadanoff.spins.statistics import independent_mean
from kadanoff.studies.superresolution_figures import draw_block_sums, draw_spins
from kadanoff.studies.targets import vanishes, verdict

TRUTH, NOISE = "Monte Carlo", "noise alone"
AGAIN = "Monte Carlo, the training half"
PIXELS = "independent pixels, exact optimum"
SAMPLED, ROUNDED, ONCE, SWEPT = ": sampled", ": rounded", ": one pass", ": one pass, and a sweep of its own"
"""What follows the name of a network."""
SYMMETRY = 5e-4
"""The error with which a broken symmetry is to be seen: 0.0015, half of what a draw without any sweep once had."""
NOTES = """Every draw starts from the same coarse lattices, those of the Monte Carlo test set, and differences are taken
configuration by configuration. TV is the total variation 1/2 sum |P - Q|, of energies in 20 bins as in figure 10 of
Efthymiou et al. 2019, or level by level. It is never negative, so that noise alone makes it positive: the first row has
what two independent sets of this size, or one and the exact distribution, differ by on average (by jackknife its errors
are up to twice too large there). A set that shares its coarse lattices with the test set has less: see the last row of
sweeps, which is as good as Monte Carlo. Exact optima are those of the likelihoods that training maximizes; "exact
conditional" are draws of blocks, each given its neighbours, with the Hamiltonian, its sweeps from blocks drawn evenly.
Tied blocks have a sum of 0, the 2-2 blocks; broken ones do not have the coarse spin that they were drawn for. By the
symmetries of the torus s_i s_j of neighbours is the same between blocks as inside of them, and along x as along y. A
target is met, or missed, if that is so by one error, and met only by errors of at most a third of what it allows;
otherwise it is `open`.
"""
COLUMNS = {
    "energy": "energy − MC", "variance": "var(E) / MC", "energies": "TV of P(E), MC", "ties": "tied blocks / MC",
    "broken": "broken blocks", "exact_energy": "energy − exact", "energies_exact": "TV of P(E), exact",
    "levels": "TV by levels, MC", "sums": "TV of block sums", "order": "<\\|m\\|> − MC",
    "between": "c10 between − inside", "anisotropy": "c10 x − y",
}  # fmt: skip
"""Fields of `Quality`, and their headings."""
RELATIVE = [
    name for name in COLUMNS if name not in ("exact_energy", "energies_exact", "broken", "between", "anisotropy")
]
"""What the Monte Carlo set cannot be asked about itself."""
TARGETS: tuple[tuple[str, str, float, float | None], ...] = (
    (SWEPT, "energy", 0.0, 0.005),
    (SWEPT, "ties", 1.0, 0.01),
    (SWEPT, "broken", 0.0, 0.0),
    (SWEPT, "energies", 0.0, 0.02),
    (SWEPT, "between", 0.0, None),
    (SWEPT, "anisotropy", 0.0, None),
    (PIXELS, "energy", 0.069, 0.001),
    (PIXELS, "ties", 0.65, 0.01),
    (PIXELS, "broken", 0.017, 0.001),
)
"""End of the name of a draw, number, target, and how near it has to be; None: 0 by a symmetry."""


GROUP = 4  # neighbouring levels of the energy that are drawn as one
FEWEST = 20  # configurations expected in a group, for its ratio to be drawn
LOOKS = {TRUTH: ("black", "o"), SAMPLED: ("C1", "s"), ROUNDED: ("C5", "v"), SWEPT: ("C0", "^")}


@dataclass(frozen=True)
class Outcome:
    """One temperature: the exact P(E), what was measured on every set of lattices, and the first lattice of each.

    Both are by the names of the sets; the Monte Carlo test set is `TRUTH`. Pictures have "coarse", too.
    """

    temperature: float
    exact: EnergyDistribution
    sets: dict[str, Measured]
    pictures: dict[str, Spins]


def qualities(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """`Quality` of every set against `TRUTH`, and by noise alone: columns temperature, draw, count and `COLUMNS`."""
    rows = []
    for item in outcomes:
        truth, exact = item.sets[TRUTH], item.exact
        count, coarse = len(truth), binned(exact.probabilities, exact)
        place = {"temperature": item.temperature, "count": count}
        noise = {
            "energies": expected_distance(coarse, count, count),
            "energies_exact": expected_distance(coarse, count),
            "levels": expected_distance(exact.probabilities, count, count),
        }
        rows.append({**place, "draw": NOISE, **noise})
        for name, found in item.sets.items():
            rows.append({**place, "draw": name, **vars(compare(found, truth.first(len(found)), exact))})
    return pd.DataFrame(rows)


def metrics(table: pd.DataFrame) -> dict[str, Any]:
    """Numbers by temperature and draw."""
    temperatures = [f"at_{temperature:.4g}" for temperature in table.temperature]
    draws = ["noise" if name == NOISE else re.sub(r"[^A-Za-z0-9]+", "_", name) for name in table.draw]
    return nested(table.drop(columns="count").assign(temperature=temperatures, draw=draws), ["temperature", "draw"])


def tables_text(table: pd.DataFrame) -> str:
    """All tables as Markdown: one a temperature, and the targets at T_c."""
    found = ["# One draw of the fine lattice: trained networks, and the best that each kind can do\n", NOTES]
    shown = table.astype(object)
    shown.loc[shown.draw == TRUTH, RELATIVE] = None
    for (temperature, count), rows in shown.groupby(["temperature", "count"]):
        title = f"T = {temperature:.5g}: {count} configurations, energies per site"
        found.append(frame_table(title, rows, {"draw": "", **COLUMNS}))
    at_criticality = table[np.abs(table.temperature - T_C) < 1e-6]
    return "\n".join(found + ([_targets(at_criticality)] if len(at_criticality) else []))


def _targets(found: pd.DataFrame) -> str:
    """Targets that were set beforehand, and numbers known beforehand of independent pixels."""
    rows: list[list[Cell]] = []
    for name, row in found.set_index("draw").iterrows():
        for kind, number, target, within in TARGETS:
            if str(name).endswith(kind):
                value = row[number] if isinstance(row[number], Estimate) else None
                if within is not None:
                    rows.append([str(name), COLUMNS[number], target, within, value, verdict(value, target, within)])
                else:
                    allowed = f"3 errors of {SYMMETRY} or less"
                    rows.append([str(name), COLUMNS[number], 0, allowed, value, vanishes(row[number], SYMMETRY)])
    halves = "two Monte Carlo sets, the training half being half as large"
    again = found[found.draw == AGAIN].energies.iloc[0]
    rows.append([halves, COLUMNS["energies"], None, None, again, None])
    title = f"Targets at T_c that were set beforehand, and numbers known beforehand (T = {T_C:.5g})"
    return table(title, ["", "number", "target", "within", "found", "met"], rows)


def _shown(item: Outcome, kinds: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of Monte Carlo and of the first network of each kind."""
    found = {TRUTH: LOOKS[TRUTH]} if TRUTH in kinds else {}
    for kind in (kind for kind in kinds if kind != TRUTH):
        found |= {name: LOOKS[kind] for name in [name for name in item.sets if name.endswith(kind)][:1]}
    return found


def draw_energies(record: Recorder, outcomes: Sequence[Outcome]) -> None:
    """Figure `energies`: P(E) of the draws on the exact one, and below it their ratio."""
    size = (1 + 3 * len(outcomes), 5.2)
    with figure(2, len(outcomes), figsize=size, height_ratios=(3, 2), sharex="col", squeeze=False) as (drawn, axes):
        for item, (top, bottom) in zip(outcomes, axes.T, strict=True):
            centres, exact = _groups(item.exact.levels / item.sets[TRUTH].sites, item.exact.probabilities)
            top.plot(centres, exact, color="0.6", label="exact (Kaufman)")
            bottom.axhline(1, color="0.6")
            for name, (colour, marker) in _shown(item, (TRUTH, SAMPLED, SWEPT)).items():
                counts = _groups(item.exact.levels, energy_histogram(item.sets[name], item.exact))[1]
                shares, bars = counts / counts.sum(), np.sqrt(counts) / counts.sum()
                look = {"marker": marker, "ls": "", "color": colour, "mfc": "white" if name == TRUTH else None}
                seen = counts > 0
                top.errorbar(centres[seen], shares[seen], bars[seen], label=name, **look)
                kept = exact * counts.sum() >= FEWEST
                bottom.errorbar(centres[kept], shares[kept] / exact[kept], bars[kept] / exact[kept], **look)
            wide = exact * len(item.sets[TRUTH]) >= 1
            top.set(title=f"$T$ = {item.temperature:.4g}", xlim=(centres[wide][0] - 0.05, centres[wide][-1] + 0.15))
            bottom.set(xlabel="energy per site ($|J|$)", ylim=(0, 2))
        axes[0, 0].set_ylabel(f"probability of {GROUP} levels")
        axes[1, 0].set_ylabel("ratio to the exact one")
        drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        record.figure(
            "energies", drawn, "Distribution of the energy: exact, Monte Carlo and networks, and ratios to exact"
        )


def _groups(levels: NDArray, values: NDArray) -> tuple[NDArray, NDArray]:
    """Mean level and sum of the values of every `GROUP` neighbouring levels."""
    starts = np.arange(0, len(levels), GROUP)
    return np.add.reduceat(levels, starts) / np.diff([*starts, len(levels)]), np.add.reduceat(values, starts)


def draw_shares(record: Recorder, outcomes: Sequence[Outcome]) -> None:
    """Figure `block_sums`: how many spins of a block are up."""
    kinds, panels, colours = (TRUTH, ROUNDED, SAMPLED, SWEPT), {}, {}
    for item in outcomes:
        looks = _shown(item, kinds)
        colours = {name: colour for name, (colour, _) in looks.items()}
        shares = {name: item.sets[name].sums / item.sets[name].sums.sum(1, keepdims=True) for name in looks}
        panels[item.temperature] = {name: [independent_mean(one) for one in found.T] for name, found in shares.items()}
    draw_block_sums(record, "block_sums", panels, colours)


def draw_pictures(record: Recorder, outcomes: Sequence[Outcome]) -> None:
    """Figure `pictures`: a row for each temperature; the coarse lattice, the true one, and what draws make of it."""
    names = ["coarse", *_shown(outcomes[0], (TRUTH, SAMPLED, ROUNDED, SWEPT))]
    rows = {f"$T$ = {item.temperature:.4g}": {name: item.pictures[name] for name in names} for item in outcomes}
    draw_spins(record, "pictures", rows, "A coarse lattice, the one it came from, and what networks draw from it")
