"""Exponents of all rules, sizes, steps and numbers of interactions: one tidy table, and what is shown of it."""

from collections.abc import Mapping, Sequence

import pandas as pd

from kadanoff.estimate import Estimate
from kadanoff.project.tables import Cell, frame_table, table
from kadanoff.renormalization.flow import Flow
from kadanoff.renormalization.stability import exponents

EXACT = {"y_T": 1.0, "y_H": 15 / 8}
NEXT = {"y_T": "next_even", "y_H": "next_odd"}
KEYS = ["rule", "L", "step"]
FEW = 3
"""Even interactions of the next even exponent: with more, levels cross, and its errors do not cover."""
COLUMNS = ["y_T", "y_H", *NEXT.values()]
NOTE = """Exponents y = ln |lambda| / ln b of all even and of all odd interactions. Exact are y_T = 1 and y_H = 15/8.
In parentheses: one standard error, by a jackknife over independent chains; in brackets: distance from exact in standard
errors. `next_even` is that of the first three even interactions alone: with more of them levels cross, and a jackknife
does not cover (with three its errors are some 30% too small). Twins are one rule and step on two lattices: what differs
between them by more than their errors is finite size.
What does not, and is not exact, is left of irrelevant operators after so few steps, or cut off with the interactions
that are not measured. Decimation is a control: it has no fixed point, and must fail.
"""


def analysed(flows: Mapping[tuple[str, int], Flow], even: Sequence[str], odd: Sequence[str]) -> pd.DataFrame:
    """Exponents of the flows by rule and size: a row for each step, kind, and number of first interactions.

    Columns: rule, L, step, kind (`y_T` or `y_H`), interactions, value, and next (None of a single interaction).
    """
    rows = []
    for (rule, size), flow in flows.items():
        for step in range(1, flow.setup.steps + 1):
            for kind, names in (("y_T", even), ("y_H", odd)):
                for count in range(1, len(names) + 1):
                    value, *more = exponents(flow, step, names[:count])
                    rows.append((rule, size, step, kind, count, value, more[0] if more else None))
    return pd.DataFrame(rows, columns=["rule", "L", "step", "kind", "interactions", "value", "next"])


def summarized(found: pd.DataFrame) -> pd.DataFrame:
    """With all interactions, but for the next even exponent: rule, L, step and the `COLUMNS`."""
    parts = []
    for kind, following in NEXT.items():
        rows = found[found.kind == kind].set_index(KEYS)
        most = rows.interactions.max()
        few = min(FEW, most) if kind == "y_T" else most
        parts.append(rows[rows.interactions == most].value.rename(kind))
        parts.append(rows[rows.interactions == few].next.rename(following))
    return pd.concat(parts, axis=1).reset_index()[KEYS + COLUMNS]


def twins(full: pd.DataFrame) -> pd.DataFrame:
    """What exponents on the largest lattice differ from those on the smallest, at each step that both have."""
    rows = []
    for (rule, step), sizes in full.groupby(["rule", "step"], sort=False):
        if len(sizes) > 1:
            small, large = sizes.iloc[0], sizes.iloc[-1]
            differences = (off(large[kind] - small[kind], 0.0) for kind in EXACT)
            rows.append((rule, f"{large.L} - {small.L}", step, *differences))
    return pd.DataFrame(rows, columns=[*KEYS, *EXACT])


def tables_text(found: pd.DataFrame, by_step: Mapping[str, tuple[Sequence[Estimate], float]]) -> str:
    """All tables: exponents by step and by number of interactions, twins, and numbers by step with exact ones."""
    full, shown = summarized(found), []
    for kind in COLUMNS:
        values = full.set_index(KEYS)[kind]
        exact = EXACT.get(kind)
        shown.append(_wide(f"{kind} by step", values if exact is None else values.map(lambda y, of=exact: off(y, of))))
    shown.append(frame_table("Twins", twins(full), {name: name for name in (*KEYS, *EXACT)}))
    for kind, rows in found.groupby("kind", sort=False):
        most = rows.interactions.max()
        some = rows[rows.interactions.isin([1, 2, *range(3, most, 3), most])]  # a figure has all
        shown.append(_wide(f"{kind} by number of interactions", some.set_index([*KEYS, "interactions"]).value))
    for title, (values, exact) in by_step.items():
        lines: list[list[Cell]] = [[str(step), off(value, exact)] for step, value in enumerate(values, 1)]
        shown.append(table(title, ["step", "value"], [*lines, ["exact", f"{exact:.8g}"]]))
    return "\n".join([*shown, "## In words\n", NOTE])


def _wide(title: str, values: pd.Series) -> str:
    """A table with a column for each value of the last key."""
    frame = values.unstack(sort=False).reset_index()
    return frame_table(title, frame, {name: str(name) for name in frame.columns})


def off(found: Estimate, exact: float) -> str:
    """An estimate, and in brackets its distance from the exact value in standard errors."""
    return f"{found} [{found.sigmas(exact):+.1f}]"
