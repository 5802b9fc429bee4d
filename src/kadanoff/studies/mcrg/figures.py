"""Figures of the stage `mcrg`: exponents by step and by number of interactions, beside exact lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from kadanoff.project.figures import figure, points, series
from kadanoff.project.records import Recorder
from kadanoff.studies.mcrg.analysis import EXACT

LABELS = {"y_T": r"$y_T$ (line: exact)", "y_H": r"$y_H$ (line: exact)"}


@contextmanager
def _panels(record: Recorder, name: str, caption: str, xlabel: str) -> Iterator[dict[str, Any]]:
    """Axes by the exponent that they show, with one legend below."""
    with figure(1, 2, figsize=(9, 4.2)) as (drawn, axes):
        for axis, (kind, exact) in zip(axes, EXACT.items(), strict=True):
            axis.axhline(exact, color="0.6", lw=0.9)
            axis.set(xlabel=xlabel, ylabel=LABELS[kind])
            axis.xaxis.get_major_locator().set_params(integer=True)
        yield dict(zip(EXACT, axes, strict=True))
        drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        record.figure(name, drawn, caption)


def draw_steps(record: Recorder, full: pd.DataFrame) -> None:
    """Figure `steps`: exponents by step for each rule, on its largest lattice."""
    largest = full[full.groupby("rule").L.transform("max") == full.L]
    with _panels(record, "steps", "Exponents by step for each block rule, largest lattices", "step") as axes:
        groups = list(largest.groupby("rule", sort=False))
        for number, (rule, rows) in enumerate(groups):
            shift = 0.3 * (number / max(1, len(groups) - 1) - 0.5)  # so that points lie beside each other
            for kind, axis in axes.items():
                points(axis, rows.step + shift, rows[kind], label=f"{rule}, $L$ = {rows.L.iloc[0]}", **series(number))


def draw_interactions(record: Recorder, found: pd.DataFrame) -> None:
    """Figure `interactions`: exponents of one rule by the number of interactions, for each step of the largest size."""
    largest = found[found.L.max() == found.L]
    caption = f"Exponents of {largest.rule.iloc[0]} by number of interactions, L = {largest.L.iloc[0]}"
    with _panels(record, "interactions", caption, "interactions") as axes:
        for kind, axis in axes.items():
            for step, rows in largest[largest.kind == kind].groupby("step"):
                points(axis, rows.interactions, rows.value, label=f"step {step}", **series(step - 1))
