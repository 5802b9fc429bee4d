"""Markdown tables."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kadanoff.estimate import Estimate

if TYPE_CHECKING:
    import pandas as pd

ERROR = re.compile(r"(.+)_(?:stderr|error)")  # name of a number's error, in a summary and in metrics
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


def cells(values: Mapping[str, float | str]) -> dict[str, str]:
    """Numbers as text, each with its error in parentheses; integers are whole, and text stays."""
    found = {}
    for name, value in values.items():
        error = values.get(f"{name}_stderr", values.get(f"{name}_error"))
        if (base := ERROR.fullmatch(name)) and base[1] in values:
            continue
        if isinstance(value, str):
            found[name] = value
        elif isinstance(error, float):
            found[name] = cell(Estimate(value, error))
        else:
            found[name] = cell(int(value) if value.is_integer() and abs(value) < 1e15 else value)
    return found


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
