"""What the stage `grow` measures, as tidy tables, metrics and text: one row per size, method and number of sweeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kadanoff.estimate import Estimate
from kadanoff.inverse.measurement import (
    Measurements,
    block_sums_variation,
    compared_with_source,
    differences,
    estimates,
    exact_decay,
)
from kadanoff.project.tables import frame_table, nested, table
from kadanoff.spins.exact import BINDER, SQUARE, critical_diagonal, critical_row
from kadanoff.spins.statistics import independent_mean
from kadanoff.studies.targets import vanishes, verdict

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
SYMMETRIES = {"between_minus_inside": "c10 between - inside", "x_minus_y": "c10 x - y"}
SYMMETRY = 2e-4  # the error with which a broken symmetry is to be seen
PERCENT = ("paired_square_off", "paired_ratio_off", "paired_ratio_off_by_chance")
PAIRED = {
    "c10_excess": "c10 - exact", "c11_excess": "c11 - exact", "paired_square_off": "&lt;m²&gt; ratio - exact, %",
    "paired_ratio_off": "G(3r)/G(r) 3^(1/4) - 1, worst, %", "paired_ratio_off_by_chance": "by chance, %",
}  # fmt: skip
ALONE = {
    "c10_excess": "c10 - exact", "c11": "c11", "order": "&lt;abs m&gt; L^(1/8)", "square": "&lt;m²&gt; L^(1/4)",
    "binder": "U4", "exponent": "exponent of G", **SYMMETRIES,
}  # fmt: skip
PLACE = ["side", "method", "sweeps"]


@dataclass(frozen=True)
class Grown:
    """Measurements: of the seeds, and at every larger size of lattices as drawn, refined, and of Monte Carlo.

    The larger the size, the fewer may have grown so far: they are the first of those before.
    """

    seeds: Measurements
    raw: list[Measurements]
    refined: list[Measurements]
    truth: list[Measurements]

    def kinds(self) -> dict[str, list[Measurements]]:
        """The three kinds of lattices by their names."""
        return {"raw": self.raw, "refined": self.refined, "Monte Carlo": self.truth}

    def source(self, level: int) -> Measurements:
        """The lattices that those of a level (0 is the first enlargement) grew from."""
        found = self.refined[level - 1] if level else self.seeds
        return found.first(len(self.refined[level]))


def missed(found: Mapping[str, Any]) -> str:
    """Names of the targets that a row misses, and of those that its errors leave open."""
    verdicts = {name: verdict(found[key], 0.0, within) for name, (key, within) in TARGETS.items()}
    verdicts |= dict(zip(("grid", "axes"), (vanishes(found[key], SYMMETRY) for key in SYMMETRIES), strict=True))
    marks = [name if text == "no" else f"{name} (open)" for name, text in verdicts.items() if text != "yes"]
    return ", ".join(marks) or "–"


def grown_table(found: Grown) -> pd.DataFrame:
    """One row per size and kind of lattices: estimates, and of grown ones what pairs with their sources tell.

    `less_refined` are estimates of lattices as drawn less those after the sweeps, in pairs.
    """
    rows = []
    for level, truth in enumerate(found.truth):
        for kind, levels in found.kinds().items():
            row = {"side": truth.side, "method": kind, "lattices": len(levels[level])} | estimates(levels[level])
            if kind != "Monte Carlo":
                row |= compared_with_source(found.source(level), levels[level], found.seeds)
                row |= {"block_sums_variation": block_sums_variation(levels[level], truth), "missed": missed(row)}
            if kind == "raw":
                row["less_refined"] = differences(levels[level], found.refined[level])
            rows.append(row)
    return pd.DataFrame(rows)


def metrics(frame: pd.DataFrame, keys: Sequence[str]) -> dict[str, Any]:
    """Metrics of the record, of a table of estimates, by the columns `keys`; the first of them is `side`."""
    return nested(frame.assign(side=[f"L={side}" for side in frame.side]).drop(columns=["lattices", "missed"]), keys)


def in_percent(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with relative deviations in percent."""
    return frame.assign(**{name: 100 * frame[name] for name in PERCENT})


def tables_text(found: Grown, frame: pd.DataFrame, sweeps: int) -> str:
    """Tables in Markdown, of `grown_table`."""
    parts, names = [NOTE], {"refined": f"refined by {sweeps} sweeps"}
    paired = {"method": "", **PAIRED, "paired_ratio_distance": "at r", "block_sums_variation": "TV of block sums"}
    for level, (side, own) in enumerate(frame.groupby("side")):
        raw, *_ = own.to_dict("records")
        less = raw["less_refined"] | {"method": "raw less refined, in pairs", "lattices": raw["lattices"]}
        exact: dict[str, Any] = {"c10_excess": 0, "c11": critical_diagonal(side), "square": SQUARE, "binder": BINDER}
        exact |= {"exponent": exact_decay(side), **dict.fromkeys(SYMMETRIES, 0), "method": "exact, large torus"}
        rows = own.replace({"method": names}), pd.DataFrame([exact]), pd.DataFrame([less])
        columns = {"method": "", **ALONE, "lattices": "lattices"}
        parts.append(frame_table(f"L = {side}", pd.concat([each.astype(object) for each in rows]), columns))
        grown = in_percent(own[own.method != "Monte Carlo"])
        title = f"L = {side}: paired with {found.source(level).side}"
        parts += [frame_table(title, grown, paired | {"missed": "missed"}), _correlation_text(found, level)]
    return "\n".join(parts)


def _correlation_text(found: Grown, level: int) -> str:
    """G(r) of grown lattices against that of Monte Carlo and of the exact torus, in percent."""
    side, rows = found.truth[level].side, []
    for distance in (1 << power for power in range((side // 4).bit_length())):
        exact = Estimate(critical_row(distance, side), 0.0)
        known = {name: independent_mean(kind[level].correlation[:, distance]) for name, kind in found.kinds().items()}
        truth = known.pop("Monte Carlo")
        row: dict[str, Any] = {"r": distance}
        for name, grown in known.items():
            row[f"{name} / Monte Carlo - 1, %"] = 100 * (grown / truth - 1)
            row[f"{name} / exact - 1, %"] = 100 * (grown / exact - 1)
        rows.append(row | {"Monte Carlo / exact - 1, %": 100 * (truth / exact - 1)})
    return table(f"L = {side}: G(r)", list(rows[0]), [list(row.values()) for row in rows])
