"""Thermal averages of square lattices over the temperature: figures 4 and 9 of the paper."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kadanoff.estimate import Estimate
from kadanoff.project.figures import figure, points
from kadanoff.project.records import Recorder
from kadanoff.spins.exact import T_C, kaufman, spontaneous_magnetization
from kadanoff.spins.reweighting import ThermalSample, reweighted
from kadanoff.studies.superresolution_figures import TEMPERATURE

Line = list[ThermalSample]
COLDEST = 0.3  # of exact tori: nothing changes below, and digits grow with 1/T
GRID = 120

OBSERVABLES: dict[str, Callable[[ThermalSample], Estimate]] = {
    r"$\langle|m|\rangle$": lambda item: item.order,
    r"susceptibility $\chi$ ($1/|J|$)": lambda item: item.susceptibility,
    "energy per site ($|J|$)": lambda item: item.mean_energy,
    "specific heat ($k_B$)": lambda item: item.heat,
}
HEAT = 3
EXACT = {2: "energy", HEAT: "specific_heat"}
"""Observables of a torus that are known exactly (Kaufman), by their place above."""


def draw_thermal(record: Recorder, name: str, title: str, lines: dict[str, Line]) -> None:
    """Order, susceptibility, energy and specific heat over T; the last line is the one that is tested.

    The lower panels show it and Monte Carlo of its size less exact values, where there are some, or less Monte Carlo
    that is reweighted to the same temperature. The error of a temperature is a horizontal bar above, and is a part of
    the error of the difference below.
    """
    colours = dict(zip(lines, ("C0", "C1", "C3"), strict=True))
    *_, last = lines.values()
    sites, side = last[0].sites, int(np.sqrt(last[0].sites))
    reference = next(line for line in lines.values() if line[0].sites == sites)
    where = [item.temperature for item in last]
    with figure(2, 4, figsize=(15, 5.8), height_ratios=(2, 1), sharex=True) as (drawn, axes):
        for column, label in enumerate(OBSERVABLES):
            top, bottom = axes[:, column]
            _exact_curves(top, column, side, reference[-1].temperature)
            for kind, line in lines.items():
                look = {"color": colours[kind], "mfc": "white" if line is not last else None, "label": kind}
                _draw_line(top, column, line, look)
            if column in EXACT:
                _draw_less_exact(bottom, column, [(reference, "C0"), (last, "C3")])
                bottom.set_ylabel(f"minus exact {side}")
            else:
                differences = [_difference(column, item, reference) for item in last]
                points(bottom, where, differences, color="C3")
                bottom.set_ylabel(f"minus MC {side}")
            bottom.axhline(0, color="0.5", lw=0.8)
            bottom.set_xlabel(TEMPERATURE)
            top.set(ylabel=label)
            top.axvline(T_C, color="0.8", lw=0.8, zorder=0)
        axes[0, 0].legend(fontsize=8)
        drawn.suptitle(title)
        record.figure(name, drawn)


def _draw_line(axis, column: int, line: Line, look: dict[str, Any]) -> None:
    """One observable of a line; the specific heat not below `COLDEST`, where one spin turned over in vain has 1/T^2."""
    items = [item for item in line if column != HEAT or item.temperature >= COLDEST]
    values = [list(OBSERVABLES.values())[column](item) for item in items]
    across = [item.uncertainty for item in items]
    points(axis, [item.temperature for item in items], values, xerr=across if any(across) else None, **look)


def _exact_curves(axis, column: int, side: int, hottest: float) -> None:
    grid = np.linspace(COLDEST, hottest, GRID)
    if column in EXACT:
        axis.plot(grid, [_exact(side, column, t) for t in grid], color="0.5", lw=1, label=f"exact {side} x {side}")
        if column == 2:
            axis.legend(fontsize=8)
    elif column == 0:
        axis.plot(grid, spontaneous_magnetization(grid), color="0.5", lw=1, label="exact, infinite (Yang)")


def _draw_less_exact(axis, column: int, lines: list[tuple[Line, str]]) -> None:
    function = list(OBSERVABLES.values())[column]
    for line, colour in lines:
        side = int(np.sqrt(line[0].sites))
        warm = [item for item in line if item.temperature >= COLDEST]
        differences = [item.minus(function(item), partial(_exact, side, column)) for item in warm]
        look: dict[str, Any] = {"color": colour, "mfc": "white" if colour == "C0" else None}
        points(axis, [item.temperature for item in warm], differences, **look)


def _exact(side: int, column: int, temperature: float) -> float:
    return getattr(kaufman(side, side, temperature), EXACT[column])


def _difference(column: int, item: ThermalSample, reference: Line) -> Estimate:
    """Order or susceptibility less that of Monte Carlo, as if the two were independent."""
    near = min(reference, key=lambda other: abs(other.temperature - item.temperature))
    mine = list(OBSERVABLES.values())[column](item)
    other = reweighted(near, item.temperature)[column]
    found = item.minus(mine, lambda temperature: reweighted(near, temperature, blocks=2)[column].mean)
    return Estimate(found.mean, float(np.hypot(found.error, other.error)), n=mine.n)
