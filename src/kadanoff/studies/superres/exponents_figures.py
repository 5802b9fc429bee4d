"""The figures of the exponents: lattices, scaling plots, and deviations at every size."""

from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator

from kadanoff.inverse.chains import EXACT
from kadanoff.inverse.superresolve import Spins
from kadanoff.project.figures import figure, points, series
from kadanoff.project.records import Recorder
from kadanoff.studies.superres.exponents_tables import NAMES, PIXELS, TRUTH, Summary
from kadanoff.studies.superresolution_figures import draw_spins

SCALING = {
    "susceptibility": (EXACT["gamma"], r"$\chi' = L^2\langle m^2\rangle$"),
    "half": (-EXACT["eta_half"], "$G(L/2)$"),
    "quarter": (-EXACT["eta_quarter"], "$G(L/4)$"),
}
"""Observables that are powers of the size, with the exact one, and their labels."""


def draw_lattices(record: Recorder, lattices: dict[str, list[Spins]]) -> None:
    """Figure `figure1_lattices`: one critical seed after some doublings, by the published network and by ours."""
    shown = [level for level in (0, 1, 3, 5) if level < len(lattices[PIXELS])]
    titles = {level: f"doublings: {level}" if level else "Monte Carlo" for level in shown}
    rows = {kind: {titles[level]: lattices[kind][level] for level in shown} for kind in (PIXELS, list(lattices)[-1])}
    caption = "One critical seed, doubled again and again: by independent pixels and by blocks"
    draw_spins(record, "figure1_lattices", rows, caption)


def _draw(axis: Any, summary: Summary, observable: str, law: Any = None) -> None:
    """An observable of all methods over the size, beside each other; its ratio to a law where one is given."""
    for place, method in enumerate((*summary.chains, TRUTH)):
        found = summary.at(method, observable)
        sizes = np.array(list(found), float) * 1.03 ** (place - 2)
        values = [value / law(size) if law else value for size, value in found.items()]
        look = {"marker": "x", "color": "black"} if method == TRUTH else series(place)
        points(axis, sizes, values, label=NAMES.get(method, method), **look)


def draw_scaling(record: Recorder, summary: Summary) -> None:
    """Figure `figure6_scaling`: two-point functions and susceptibility over the size, with exact slopes.

    Below each, the ratio to the exact power law that goes through Monte Carlo at the smallest size.
    """
    with figure(2, 3, figsize=(10, 5.4), height_ratios=(2, 1), sharex=True) as (drawn, axes):
        for (top, bottom), (observable, (power, label)) in zip(axes.T, SCALING.items(), strict=True):
            first, value = next(iter(summary.at(TRUTH, observable).items()))

            def law(size: Any, scale: float = value.mean / first**power, power: float = power) -> Any:
                return scale * size**power

            ends = np.array([first, max(summary.sizes(summary.chains[0])[-1], summary.sizes(TRUTH)[-1])], float)
            top.plot(ends, law(ends), color="0.6", lw=1, label="exact power law")
            bottom.axhline(1, color="0.6", lw=1)
            _draw(top, summary, observable)
            _draw(bottom, summary, observable, law)
            top.set(xscale="log", yscale="log", ylabel=label, title=f"exact power ${power:g}$")
            top.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 4, 5)))
            top.yaxis.set_major_formatter("{x:g}")
            top.minorticks_off()
            _size_ticks(bottom, summary)
        axes[1, 0].set_ylabel("ratio to the exact law")
        drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        caption = "Susceptibility and two-point functions over the size, and exact laws; below, their ratios"
        record.figure("figure6_scaling", drawn, f"{caption}. Points of one size stand beside each other")


def _size_ticks(axis: Any, summary: Summary) -> None:
    """Ticks at the powers of 2 among the sizes."""
    sizes = {size for method in (*summary.chains, TRUTH) for size in summary.sizes(method)}
    powers = sorted(size for size in sizes if size & (size - 1) == 0)
    axis.set_xticks(powers, [str(size) for size in powers])
    axis.minorticks_off()
    axis.set_xlabel("lattice size $L$")
