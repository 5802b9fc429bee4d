"""The figures of the exponents: lattices, scaling plots, and deviations at every size."""

from typing import Any

import numpy as np
from matplotlib.ticker import FixedLocator

from kadanoff.inverse.chains import EXACT
from kadanoff.inverse.superresolve import Spins
from kadanoff.project.figures import figure, points, show_spins
from kadanoff.project.records import Recorder
from kadanoff.spins.exact import BINDER
from kadanoff.studies.superres.exponents_tables import NAMES, TRUTH, Summary

MARKERS = "so^vD<>P"
SCALING = {
    "susceptibility": (EXACT["gamma"], r"$\chi' = L^2\langle m^2\rangle$"),
    "half": (-EXACT["eta_half"], "$G(L/2)$"),
    "quarter": (-EXACT["eta_quarter"], "$G(L/4)$"),
}
"""Observables that are powers of the size, with the exact one, and their labels."""


def draw_lattices(record: Recorder, lattices: dict[str, list[Spins]]) -> None:
    """Figure `figure1_lattices`: one critical seed after some doublings, by the published network and by ours."""
    kinds = {kind: lattices[kind] for kind in ("pixels", list(lattices)[-1])}
    shown = [level for level in (0, 1, 3, 5) if level < len(kinds["pixels"])]
    with figure(len(kinds), len(shown), figsize=(2.2 * len(shown), 2.4 * len(kinds)), squeeze=False) as (drawn, axes):
        for line, (kind, levels) in zip(axes, kinds.items(), strict=True):
            for axis, level in zip(line, shown, strict=True):
                side = len(levels[level])
                show_spins(axis, levels[level], f"{'Monte Carlo' if level == 0 else kind}, {side} x {side}")
        record.figure(
            "figure1_lattices", drawn, "One critical seed, doubled again and again: by independent pixels and by blocks"
        )


def _looks(summary: Summary) -> dict[str, dict[str, Any]]:
    """How each method is drawn; `shift` moves its points beside those of the others."""
    looks = {
        kind: {"fmt": marker, "color": f"C{place}", "shift": 1.03 ** (place - 2)}
        for place, (kind, marker) in enumerate(zip(summary.chains, MARKERS, strict=False))
    }
    return looks | {TRUTH: {"fmt": "x", "color": "black", "shift": 1.03 ** (len(looks) - 2)}}


def _draw(axis: Any, summary: Summary, observable: str, law: Any = None) -> None:
    """An observable of all methods over the size; its ratio to a law where one is given."""
    for method, look in _looks(summary).items():
        found = summary.at(method, observable)
        sizes = np.array(list(found), float)
        values = [value / law(size) if law else value for size, value in found.items()]
        style = {key: value for key, value in look.items() if key != "shift"}
        points(axis, sizes * look["shift"], values, ms=4.5, label=NAMES.get(method, method), **style)


def draw_scaling(record: Recorder, summary: Summary) -> None:
    """Figure `figure6_scaling`: two-point functions and susceptibility over the size, with exact slopes.

    Below each, the ratio to the exact power law that goes through Monte Carlo at the smallest size.
    """
    with figure(2, 3, figsize=(11, 5), height_ratios=(2, 1), sharex=True) as (drawn, axes):
        for (top, bottom), (observable, (power, label)) in zip(axes.T, SCALING.items(), strict=True):
            first, value = next(iter(summary.at(TRUTH, observable).items()))

            def law(size: Any, scale: float = value.mean / first**power, power: float = power) -> Any:
                return scale * size**power

            ends = np.array([first, max(summary.sizes(summary.chains[0])[-1], summary.sizes(TRUTH)[-1])], float)
            top.plot(ends, law(ends), color="0.6", lw=1, label=f"exact slope {power:g}")
            bottom.axhline(1, color="0.6", lw=1)
            _draw(top, summary, observable)
            _draw(bottom, summary, observable, law)
            top.set(xscale="log", yscale="log", ylabel=label)
            _size_ticks(bottom, summary)
            if power < 0:  # less than a decade: plain numbers
                _plain_ticks(top)
            top.tick_params(axis="y", which="minor", labelleft=False)
            bottom.set_ylabel("ratio to the exact law")
        axes[0, 0].legend()
        record.figure("figure6_scaling", drawn, "Susceptibility and two-point functions over the size, and exact laws")


def draw_levels(record: Recorder, summary: Summary) -> None:
    """Figure `levels`: slope of the susceptibility, energy and Binder ratio at every size, against exact values."""
    with figure(1, 3, figsize=(11, 3.9)) as (drawn, (left, middle, right)):
        left.axhspan(1.75 * 0.999, 1.75 * 1.001, color="0.85", label="exact within 0.1%")
        middle.axhspan(-0.002, 0.002, color="0.85", label="exact within 0.002")
        right.axhline(BINDER, color="0.6", lw=1, label="infinite torus")
        for axis, observable in ((left, "slope"), (middle, "energy"), (right, "binder")):
            _draw(axis, summary, observable)
            axis.set_xscale("log")
            _size_ticks(axis, summary)
        left.set(ylabel=r"$\gamma/\nu$ from the size before")
        middle.set(ylabel="energy per site minus exact ($|J|$)")
        middle.set_yscale("symlog", linthresh=0.005)
        middle.yaxis.set_major_locator(FixedLocator([-0.1, -0.01, -0.002, 0, 0.002, 0.01, 0.1]))
        middle.yaxis.set_major_formatter("{x:g}")
        right.set(ylabel="Binder ratio $U_4$")
        handles, labels = left.get_legend_handles_labels()
        drawn.legend(handles[1:], labels[1:], loc="outside lower center", ncols=len(handles) - 1)
        for axis in (left, middle, right):
            axis.set_title(f"grey: {axis.get_legend_handles_labels()[1][0]}", color="0.4")
        record.figure(
            "levels", drawn, "gamma/nu, energy and Binder ratio at every size; grey: the exact value, as its title says"
        )


def _size_ticks(axis: Any, summary: Summary) -> None:
    """Ticks at the powers of 2 among the sizes."""
    sizes = {size for method in (*summary.chains, TRUTH) for size in summary.sizes(method)}
    powers = sorted(size for size in sizes if size & (size - 1) == 0)
    axis.set_xticks(powers, [str(size) for size in powers])
    axis.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    axis.set_xlabel("lattice size $L$")


def _plain_ticks(axis: Any) -> None:
    low, high = axis.get_ylim()
    ticks = [tick for tick in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0) if low <= tick <= high]
    axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
