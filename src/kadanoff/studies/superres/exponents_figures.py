"""The figures of the exponents: lattices, scaling plots, and what every size says."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.inverse.superresolve import Spins
from kadanoff.project.figures import figure, show_spins
from kadanoff.project.records import Recorder
from kadanoff.spins.exact import BINDER
from kadanoff.studies.superres.exponents_tables import EXACT, Line, Summary

MARKERS = "so^vD<>P"
SIDE = "lattice size $L$"


def draw_lattices(record: Recorder, lattices: dict[str, list[Spins]]) -> None:
    """Figure `figure1_lattices`: one critical seed after some doublings, by the paper's network and by ours."""
    last = list(lattices)[-1]
    kinds = {kind: lattices[kind] for kind in ("pixels", last)}
    shown = [level for level in (0, 1, 3, 5) if level < len(kinds["pixels"])]
    with figure(len(kinds), len(shown), figsize=(2.4 * len(shown), 2.6 * len(kinds)), squeeze=False) as (drawn, axes):
        for line, (kind, found) in zip(axes, kinds.items(), strict=True):
            for axis, level in zip(line, shown, strict=True):
                side = len(found[level])
                what = "Monte Carlo" if level == 0 else kind
                show_spins(axis, found[level], f"{what}, {side} x {side}")
        record.figure("figure1_lattices", drawn)


def _lines(summary: Summary) -> dict[str, Line]:
    return summary.chains | {"Monte Carlo": summary.truth}


def _look(shift: int, kind: str, line: Line) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Where the points of a line stand, beside those of the others, and how they are drawn."""
    truth = kind == "Monte Carlo"
    look = {"fmt": "x" if truth else MARKERS[shift], "color": "black" if truth else f"C{shift}", "ms": 5, "label": kind}
    return np.array(line.sizes) * 1.025 ** (shift - 2), look


def draw_scaling(record: Recorder, summary: Summary) -> None:
    """Figure `figure6_scaling`: two-point functions and susceptibility over the size, with exact slopes.

    Below each, the ratio to the exact power law that goes through Monte Carlo at the smallest size.
    """
    with figure(2, 3, figsize=(12, 5.6), height_ratios=(2, 1), sharex=True) as (drawn, axes):
        panels = (
            ("susceptibility", EXACT["gamma"], r"$\chi' = L^2\langle m^2\rangle$"),
            ("half", -EXACT["eta_half"], "$G(L/2)$"),
            ("quarter", -EXACT["eta_quarter"], "$G(L/4)$"),
        )
        for column, (name, power, label) in enumerate(panels):
            top, bottom = axes[:, column]
            reference = getattr(summary.truth, name)[0].mean / summary.truth.sizes[0] ** power
            sizes = np.array([summary.truth.sizes[0], max(line.sizes[-1] for line in summary.chains.values())])
            top.plot(sizes, reference * sizes**power, color="0.6", lw=1, label=f"exact slope {power:g}")
            bottom.axhline(1, color="0.6", lw=1)
            for shift, (kind, line) in enumerate(_lines(summary).items()):
                where, look = _look(shift, kind, line)
                _points(top, where, getattr(line, name), look)
                scale = reference * np.array(line.sizes, float) ** power
                _points(bottom, where, getattr(line, name), look, scale)
            top.set(xscale="log", yscale="log", ylabel=label)
            bottom.set(xlabel=SIDE, ylabel="ratio to the exact law")
            _size_ticks(bottom, summary)
        axes[0, 0].legend()
        record.figure("figure6_scaling", drawn)


def draw_levels(record: Recorder, summary: Summary) -> None:
    """Figure `levels`: slope of the susceptibility, energy and Binder ratio at every size, against exact values."""
    with figure(1, 3, figsize=(12, 3.6)) as (drawn, (left, middle, right)):
        for shift, (kind, line) in enumerate(_lines(summary).items()):
            where, look = _look(shift, kind, line)
            _points(left, np.sqrt(where[1:] * where[:-1]), line.slopes, look)
            _points(middle, where, line.energy, look)
            _points(right, where, line.binder, look)
        left.axhspan(1.75 * 0.999, 1.75 * 1.001, color="0.85", label="exact within 0.1%")
        middle.axhspan(-0.002, 0.002, color="0.85", label="within 0.002")
        right.axhline(BINDER, color="0.6", lw=1, label="infinite torus")
        left.set(ylabel=r"$\gamma/\nu$ between successive sizes")
        middle.set(ylabel="energy per site minus exact ($|J|$)")
        middle.set_yscale("symlog", linthresh=0.005)
        right.set(ylabel="Binder ratio $U_4$")
        for axis in (left, middle, right):
            axis.set(xscale="log", xlabel=SIDE)
            _size_ticks(axis, summary)
        left.legend()
        record.figure("levels", drawn)


def _points(axis, where, estimates: Sequence[Estimate], look, scale=1.0) -> None:
    values, errors = (np.array([getattr(item, key) for item in estimates]) / scale for key in ("mean", "error"))
    axis.errorbar(where, values, errors, capsize=2, **look)


def _size_ticks(axis, summary: Summary) -> None:
    sizes = sorted({size for line in _lines(summary).values() for size in line.sizes})
    axis.set_xticks(sizes, [str(size) for size in sizes])
    axis.minorticks_off()
