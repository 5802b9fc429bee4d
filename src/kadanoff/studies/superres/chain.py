"""Chains that are refined: figures 8, 2 and 3 of Efthymiou, Beach and Melko (the paper), held against exact rings."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.store import Ensemble
from kadanoff.estimate import Estimate
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
GRID = 200  # points of an exact curve
COLDEST = 0.05  # of exact curves: nothing changes below


def draw_chain(
    record: Recorder, model: Superresolution, data: Data, larger: Ensemble, tested: Sequence[Reconstruction], seed: int
) -> None:
    """Figures of chains: the test, one doubling of Monte Carlo chains, and many."""
    _draw_test(record, tested)
    draw = partial(superresolve_between, model, seed=seed)
    inputs = [data.test(index) for index in range(len(data.temperatures))]
    _draw_extrapolated(record, draw, inputs, data.temperatures, larger)
    _draw_two_point(record, draw, inputs, data)


def _draw_test(record: Recorder, tested: Sequence[Reconstruction]) -> None:
    """Figure `figure8_test_chain`: the paper's figure 8, chains that were decimated and refined again.

    The lower panels show deviations from the exact ring.
    """
    kinds = {"fine": "MC", "coarse": "decimated", "drawn": "super-resolved"}
    temperatures = [item.temperature for item in tested]
    lines = {
        f"{label} {getattr(tested[0], key).shape[-1]}": [
            ThermalSample.of(item.temperature, getattr(item, key)) for item in tested
        ]
        for key, label in kinds.items()
    }
    sites = tested[0].fine.shape[-1]
    curve = np.linspace(COLDEST, temperatures[-1], GRID)
    decimated = decimated_temperature(curve, tested[0].block)
    block = tested[0].block
    with figure(2, 2, figsize=(10, 5.6), height_ratios=(2, 1), sharex=True) as (drawn, axes):
        for column, exact in enumerate((ring_order, lambda size, t: chain(size, t).energy)):
            axes[0, column].plot(curve, [exact(sites, t) for t in curve], "C0", lw=1, label=f"exact {sites}")
            halves = [exact(sites // block, t) for t in decimated]
            axes[0, column].plot(curve, halves, "C1--", lw=1, label=rf"exact {sites // block} at $\tilde T$, eq. (5)")
        _panels(axes, lines, sites, shown={"MC": "C0", "super-resolved": "C3"})
        axes[0, 0].set_title("test configurations, decimated and refined")
        record.figure("figure8_test_chain", drawn)


def _panels(axes: Any, lines: dict[str, list[ThermalSample]], sites: int, shown: dict[str, str]) -> None:
    """Order and energy above, and for lines of `sites` spins their deviations from the exact ring below."""
    exacts = ring_order, lambda size, t: chain(size, t).energy
    for number, (label, line) in enumerate(lines.items()):
        where = [item.temperature for item in line]
        kind = label.rpartition(" ")[0]
        colour = shown.get(kind, f"C{number}")
        look: dict[str, Any] = {
            "color": colour if line[0].sites == sites else "C1",
            "mfc": "white" if kind == "MC" else None,
        }
        for column, key in enumerate(("order", "mean_energy")):
            values = [getattr(item, key) for item in line]
            points(axes[0, column], where, values, label=label, **look)
            if line[0].sites == sites:
                exact = [exacts[column](sites, t) for t in where]
                points(
                    axes[1, column],
                    where,
                    [item - known for item, known in zip(values, exact, strict=True)],
                    label=label,
                    **look,
                )
    for column, name in enumerate((r"$\langle|m|\rangle$", "energy per site ($|J|$)")):
        axes[0, column].set_ylabel(name)
        axes[0, column].legend(fontsize=8)
        axes[1, column].axhline(0, color="0.5", lw=0.8)
        axes[1, column].set(xlabel=TEMPERATURE, ylabel=f"minus exact {sites}")


def _draw_extrapolated(
    record: Recorder, draw: Any, inputs: Sequence[Spins], temperatures: NDArray[np.float64], larger: Ensemble
) -> None:
    """Figure `figure2_extrapolated_chain`: the paper's figure 2, Monte Carlo chains refined beyond the trained size.

    A chain at T~ is refined by networks around the T of which eq. (5) makes T~, and is held against rings at T.
    """
    block = len(larger.spins[0, 0]) // len(inputs[0][0])
    given = [ThermalSample.of(t, spins) for t, spins in zip(temperatures, inputs, strict=True)]
    restored = restored_temperature(temperatures, block)
    found = [
        ThermalSample.of(t, draw(spins, max(t, temperatures[0]))) for t, spins in zip(restored, inputs, strict=True)
    ]
    large = [ThermalSample.of(t, larger.read(index)) for index, t in enumerate(temperatures)]
    sites = large[0].sites
    curve = np.linspace(COLDEST, temperatures[-1], GRID)
    with figure(2, 2, figsize=(10, 5.6), height_ratios=(2, 1), sharex=True) as (drawn, axes):
        for column, exact in enumerate((ring_order, lambda size, t: chain(size, t).energy)):
            axes[0, column].plot(curve, [exact(sites, t) for t in curve], "0.5", lw=1, label=f"exact {sites}")
        lines = {f"MC {given[0].sites}": given, f"MC {sites}": large, f"super-resolved {sites}": found}
        _panels(axes, lines, sites, shown={"MC": "C0", "super-resolved": "C3"})
        axes[0, 0].set_title(f"Monte Carlo {given[0].sites} refined to {sites}, trained at {given[0].sites}")
        record.figure("figure2_extrapolated_chain", drawn)
    record.metrics({"extrapolated": {f"T={item.temperature:.6g}": _deviations(item) for item in found}})


def _deviations(item: ThermalSample) -> dict[str, Estimate]:
    exact = chain(item.sites, item.temperature).energy, ring_order(item.sites, item.temperature)
    return {"energy_minus_exact": item.mean_energy - exact[0], "order_minus_exact": item.order - exact[1]}


def distance(sites: int) -> int:
    """The paper's j = N^0.8 / 5, rounded."""
    return round(sites**0.8 / 5)


def _draw_two_point(record: Recorder, draw: Any, inputs: Sequence[Spins], data: Data) -> None:
    """Figure `figure3_two_point`: the paper's figure 3, G(j = N^0.8/5) of chains that are doubled again and again."""
    temperatures: NDArray[np.float64] = data.temperatures
    spins, found = list(inputs), {}
    while True:
        sites = len(spins[0][0])
        place = distance(sites)
        values = [independent_mean(two_point(rows, (True,))[:, place]) for rows in spins]
        found[sites] = temperatures, values, [float(chain_correlation(place, sites, t)) for t in temperatures]
        if sites >= LARGEST:
            break
        temperatures = restored_temperature(temperatures)
        spins = [draw(rows, max(t, data.temperatures[0])) for t, rows in zip(temperatures, spins, strict=True)]
    with figure(2, 1, figsize=(6.5, 6), height_ratios=(2, 1), sharex=True) as (drawn, (top, bottom)):
        for number, (sites, (where, values, exact)) in enumerate(found.items()):
            colour, place = f"C{number}", distance(sites)
            curve = np.linspace(max(COLDEST, where[0]), where[-1], GRID)
            top.plot(curve, [float(chain_correlation(place, sites, t)) for t in curve], color=colour, lw=1)
            label = f"N = {sites}, j = {place}" + (", Monte Carlo" if number == 0 else "")
            points(top, where, values, color=colour, label=label)
            points(bottom, where, [item - known for item, known in zip(values, exact, strict=True)], color=colour)
        top.set(ylabel=r"$G_N(j)$, $j = N^{0.8}/5$", title="doubled again and again; lines: eq. (6)")
        top.legend()
        bottom.axhline(0, color="0.5", lw=0.8)
        bottom.set(xlabel=TEMPERATURE, ylabel="minus exact")
        record.figure("figure3_two_point", drawn)
    record.metrics({"two_point": {f"N={sites}": _worst(*line[1:]) for sites, line in found.items()}})


def _worst(values: Sequence[Estimate], exact: Sequence[float]) -> dict[str, Estimate]:
    """The deviation from eq. (6) that is largest in absolute value."""
    return {
        "largest_deviation": max(
            [item - known for item, known in zip(values, exact, strict=True)], key=lambda item: abs(item.mean)
        )
    }
