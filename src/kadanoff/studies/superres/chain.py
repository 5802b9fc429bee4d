"""Chains that are refined: figures 8, 2 and 3 of Efthymiou, Beach and Melko (2019), against exact rings."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from kadanoff.data.store import Ensemble
from kadanoff.inverse.reconstruction import Reconstruction, superresolve_between
from kadanoff.inverse.superresolve import Spins
from kadanoff.networks.superres import Superresolution
from kadanoff.project.figures import figure, points
from kadanoff.project.records import Recorder
from kadanoff.spins.exact import chain, chain_correlation, ring_order
from kadanoff.spins.observables import two_point
from kadanoff.spins.rescaling import decimated_temperature, restored_temperature
from kadanoff.spins.reweighting import ThermalSample
from kadanoff.spins.statistics import independent_mean
from kadanoff.studies.superresolution import Data
from kadanoff.studies.superresolution_figures import TEMPERATURE

LARGEST = 512  # sites of the last chain of figure 3
GRID = 100  # points of an exact curve
COLDEST = 0.05  # of exact curves: nothing changes below
OBSERVABLES: dict[str, tuple[str, Callable[[int, float], float]]] = {
    "order": (r"$\langle|m|\rangle$", ring_order),
    "mean_energy": ("energy per site ($|J|$)", lambda sites, temperature: chain(sites, temperature).energy),
}
"""What is drawn of a chain: its label, and its exact value for a ring of so many sites."""

Refine = Callable[[float, Spins], Spins]
"""(temperature of the fine chains, coarse chains) -> fine chains."""


def draw_chain(
    record: Recorder,
    model: Superresolution,
    data: Data,
    larger: Ensemble,
    tests: Sequence[Reconstruction],
    seed: int,
) -> None:
    """Figures of chains: the test, one doubling of Monte Carlo chains, and many. `larger` are those of twice the size.

    A chain at T~ is refined by networks around the T of which the decimation makes T~, or by the coldest one.
    """

    def refine(temperature: float, spins: Spins) -> Spins:
        return superresolve_between(model, spins, max(temperature, data.temperatures[0]), seed)

    inputs = [data.test(index) for index in range(len(data.temperatures))]
    _draw_test(record, tests)
    _draw_extrapolated(record, refine, inputs, data, larger)
    _draw_two_point(record, refine, inputs, data)


def _draw_test(record: Recorder, tests: Sequence[Reconstruction]) -> None:
    """Figure `figure8_test_chain`: chains that were decimated and refined again."""
    kinds = {"fine": "MC", "coarse": "decimated", "drawn": "super-resolved"}
    curves = {
        f"{label} {getattr(tests[0], key).shape[-1]}": [
            ThermalSample.of(item.temperature, getattr(item, key)) for item in tests
        ]
        for key, label in kinds.items()
    }
    block, half = tests[0].block, tests[0].coarse.shape[-1]

    def decimated(axis: Any, exact: Callable[[int, float], float]) -> None:
        grid = np.linspace(COLDEST, tests[-1].temperature, GRID)
        values = [exact(half, t) for t in decimated_temperature(grid, block)]
        axis.plot(grid, values, "C1--", lw=1, label=rf"exact {half} at $\tilde T$, eq. (5)")

    _draw_curves(record, "figure8_test_chain", "test configurations, decimated and refined", curves, decimated)


def _draw_curves(
    record: Recorder,
    name: str,
    title: str,
    curves: dict[str, list[ThermalSample]],
    decorate: Callable[[Any, Callable[[int, float], float]], None] = lambda axis, exact: None,
) -> None:
    """Order and energy above; below, of chains as long as those of the last curve, less the exact values."""
    *_, last = curves.values()
    sites = last[0].sites
    grid = np.linspace(COLDEST, max(item.temperature for curve in curves.values() for item in curve), GRID)
    with figure(2, 2, figsize=(9, 5), height_ratios=(2, 1), sharex=True) as (drawn, axes):
        for (top, bottom), (key, (label, exact)) in zip(axes.T, OBSERVABLES.items(), strict=True):
            top.plot(grid, [exact(sites, t) for t in grid], "0.5", lw=1, label=f"exact {sites}")
            decorate(top, exact)
            for kind, curve in curves.items():
                color = "C3" if curve is last else "C0" if curve[0].sites == sites else "C1"
                look: dict[str, Any] = {"color": color, "mfc": "white" if kind.startswith("MC") else None}
                where, values = [item.temperature for item in curve], [getattr(item, key) for item in curve]
                points(top, where, values, label=kind, **look)
                if curve[0].sites == sites:
                    off = [value - exact(sites, t) for value, t in zip(values, where, strict=True)]
                    points(bottom, where, off, **look)
            top.set_ylabel(label)
            top.legend(fontsize=8)
            bottom.axhline(0, color="0.5", lw=0.8)
            bottom.set(xlabel=TEMPERATURE, ylabel=f"minus exact {sites}")
        axes[0, 0].set_title(title)
        record.figure(name, drawn, f"Magnetization and energy of chains over temperature: {title}")


def _draw_extrapolated(record: Recorder, refine: Refine, inputs: Sequence[Spins], data: Data, larger: Ensemble) -> None:
    """Figure `figure2_extrapolated_chain`: Monte Carlo chains refined beyond the trained size."""
    grid, large = data.temperatures, larger.spins.shape[-1]
    small = inputs[0].shape[-1]
    restored = restored_temperature(grid, large // small)
    refined = [ThermalSample.of(t, refine(t, spins)) for t, spins in zip(restored, inputs, strict=True)]
    curves = {
        f"MC {small}": [ThermalSample.of(t, spins) for t, spins in zip(grid, inputs, strict=True)],
        f"MC {large}": [ThermalSample.of(t, larger.read(index)) for index, t in enumerate(grid)],
        f"super-resolved {large}": refined,
    }
    title = f"Monte Carlo {small} refined to {large}, trained at {small}"
    _draw_curves(record, "figure2_extrapolated_chain", title, curves)
    metrics = {}
    for item in refined:
        energy, order = (exact(item.sites, item.temperature) for _, exact in reversed(OBSERVABLES.values()))
        found = {"energy_minus_exact": item.mean_energy - energy, "order_minus_exact": item.order - order}
        metrics[f"T={item.temperature:.6g}"] = found
    record.metrics({"extrapolated": metrics})


def distance(sites: int) -> int:
    """The published j = N^0.8 / 5, rounded."""
    return round(sites**0.8 / 5)


def _draw_two_point(record: Recorder, refine: Refine, inputs: Sequence[Spins], data: Data) -> None:
    """Figure `figure3_two_point`: G(j = N^0.8/5) of chains that are doubled again and again."""
    temperatures, spins, metrics = data.temperatures, list(inputs), {}
    with figure(2, 1, figsize=(5.5, 5.2), height_ratios=(2, 1), sharex=True) as (drawn, (top, bottom)):
        for number in range((LARGEST // inputs[0].shape[-1]).bit_length()):
            if number:
                temperatures = restored_temperature(temperatures)
                spins = [refine(t, rows) for t, rows in zip(temperatures, spins, strict=True)]
            sites = spins[0].shape[-1]
            color, place = f"C{number}", distance(sites)
            exact = partial(_exact_correlation, place, sites)
            values = [independent_mean(two_point(rows, (True,))[:, place]) for rows in spins]
            off = [value - exact(t) for value, t in zip(values, temperatures, strict=True)]
            grid = np.linspace(max(COLDEST, temperatures[0]), temperatures[-1], GRID)
            top.plot(grid, [exact(t) for t in grid], color=color, lw=1)
            label = f"N = {sites}, j = {place}" + ("" if number else ", Monte Carlo")
            points(top, temperatures, values, color=color, label=label)
            points(bottom, temperatures, off, color=color)
            metrics[f"N={sites}"] = {"largest_deviation": max(off, key=lambda item: abs(item.mean))}
        top.set(ylabel=r"$G_N(j)$, $j = N^{0.8}/5$", title="doubled again and again; lines: eq. (6)")
        top.legend()
        bottom.axhline(0, color="0.5", lw=0.8)
        bottom.set(xlabel=TEMPERATURE, ylabel="minus exact")
        record.figure("figure3_two_point", drawn, "Two-point function of chains doubled again and again, less exact")
    record.metrics({"two_point": metrics})


def _exact_correlation(place: int, sites: int, temperature: float) -> float:
    return float(chain_correlation(place, sites, temperature))
