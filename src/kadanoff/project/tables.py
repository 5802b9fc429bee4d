"""Markdown tables."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kadanoff.estimate import Estimate

if TYPE_CHECKING:
    import pandas as pd

Cell = str | int | float | Estimate | None


def cell(value: Cell) -> str:
    """A number as it should be read: estimates as 0.123(45), small ones as 1.23(45)e-7, nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, Estimate):
        return _estimate(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _estimate(value: Estimate) -> str:
    if not 1e-300 < abs(value.mean) < 1e-3:  # smaller ones have no scale
        return str(value)
    exponent = int(f"{value.mean:e}".split("e")[1])
    scaled = Estimate(value.mean / 10.0**exponent, value.error / 10.0**exponent, value.n)
    return f"{scaled}e{exponent}"


def estimates(summary: Mapping[str, float]) -> dict[str, float | Estimate]:
    """Headline numbers, each with its NAME_stderr where it has one."""
    errors = {name: f"{name}_stderr" for name in summary if f"{name}_stderr" in summary}
    alone = {name: value for name, value in summary.items() if name not in errors.values()}
    return {name: Estimate(value, summary[errors[name]]) if name in errors else value for name, value in alone.items()}


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A titled Markdown table; the first column is text, the others are numbers."""
    lines = [f"## {title}", "", "| " + " | ".join(columns) + " |", "|---" + "|--:" * (len(columns) - 1) + "|"]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def frame_table(title: str, frame: "pd.DataFrame", columns: Mapping[str, str]) -> str:
    """A Markdown table of some columns of a frame, by their names, under headings; an empty cell is a dash."""
    shown = frame[list(columns)].astype(object)
    rows = shown.where(shown.notna(), None).to_numpy().tolist()
    return table(title, list(columns.values()), rows)


def nested(frame: "pd.DataFrame", keys: Sequence[str]) -> dict[str, Any]:
    """The rows as mappings of mappings, by the columns `keys`: metrics of a record. Empty cells are left out."""
    found: dict[str, Any] = {}
    for known, row in zip(frame.notna().to_dict("records"), frame.to_dict("records"), strict=True):
        at = found
        for key in keys:
            at = at.setdefault(str(row.pop(key)), {})
        at.update((str(name), value) for name, value in row.items() if known[name])
    return found
