"""Chains that are refined: figures 8, 2 and 3 of Efthymiou, Beach and Melko (2019), against exact rings."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from kadanoff.data.store import Ensemble
from kadanoff.estimate import Estimate
from kadanoff.inverse.reconstruction import Reconstruction, superresolve_between
from kadanoff.inverse.superresolve import Spins
from kadanoff.networks.superres import Superresolution
from kadanoff.project.figures import figure, points, series
from kadanoff.project.records import Recorder
from kadanoff.spins.exact import chain, chain_correlation, ring_order
from kadanoff.spins.observables import two_point
from kadanoff.spins.rescaling import restored_temperature
from kadanoff.spins.reweighting import ThermalSample
from kadanoff.spins.statistics import independent_mean
from kadanoff.studies.superres.curves import GRID, Exact, curves_of, draw_thermal, summarize
from kadanoff.studies.superresolution_figures import TEMPERATURE

LARGEST = 512  # sites of the last chain of figure 3
COLDEST = 0.01  # of exact curves
RINGS: dict[str, Callable[[int, float], float]] = {
    "order": ring_order,
    "mean_energy": lambda sites, temperature: chain(sites, temperature).energy,
}
"""Exact values of rings of so many sites."""

Refine = Callable[[float, Spins], Spins]
"""(temperature of the fine chains, coarse chains) -> fine chains."""


def draw_chain(
    record: Recorder, model: Superresolution, larger: Ensemble, tests: Sequence[Reconstruction], seed: int
) -> None:
    """Figures of chains: the test, one doubling of Monte Carlo chains, and many. `larger` are those of twice the size.

    A chain at T~ is refined by networks around the T of which the decimation makes T~, or by the coldest one.
    """

    def refine(temperature: float, spins: Spins) -> Spins:
        return superresolve_between(model, spins, max(temperature, model.temperatures[0]), seed)

    curves, title = curves_of(tests, "decimated"), "test configurations, decimated and refined"
    draw_thermal(record, "figure8_test_chain", title, curves, _exact(tests[0].fine.shape[-1]), COLDEST)
    _draw_extrapolated(record, refine, tests, larger)
    _draw_two_point(record, refine, tests)


def _exact(sites: int) -> dict[str, Exact | None]:
    return {observable: partial(exact, sites) for observable, exact in RINGS.items()}


def _draw_extrapolated(record: Recorder, refine: Refine, tests: Sequence[Reconstruction], larger: Ensemble) -> None:
    """Figure `figure2_extrapolated_chain`: Monte Carlo chains refined beyond the trained size."""
    grid, small, large = larger.temperatures, tests[0].fine.shape[-1], larger.spins.shape[-1]
    restored = restored_temperature(grid, large // small)
    refined = [ThermalSample.of(t, refine(t, item.fine)) for t, item in zip(restored, tests, strict=True)]
    curves = {
        f"MC {large}": [ThermalSample.of(t, larger.read(index)) for index, t in enumerate(grid)],
        f"MC {small}": [ThermalSample.of(item.temperature, item.fine) for item in tests],
        f"super-resolved {large}": refined,
    }
    title = f"Monte Carlo {small} refined to {large}, trained at {small}"
    draw_thermal(record, "figure2_extrapolated_chain", title, curves, _exact(large), COLDEST)
    metrics: dict[str, dict[str, Estimate]] = {}
    for item in refined:
        off = {key: getattr(item, key) - RINGS[key](large, item.temperature) for key in RINGS}
        numbers = {"energy_minus_exact": off["mean_energy"], "order_minus_exact": off["order"]}
        metrics[f"T={item.temperature:.6g}"] = numbers
    record.metrics({"extrapolated": metrics})
    summarize(
        record, [each["energy_minus_exact"] for each in metrics.values()], small, large, "figure2_extrapolated_chain"
    )


def distance(sites: int) -> int:
    """The published j = N^0.8 / 5, rounded."""
    return round(sites**0.8 / 5)


def _draw_two_point(record: Recorder, refine: Refine, tests: Sequence[Reconstruction]) -> None:
    """Figure `figure3_two_point`: G(j = N^0.8/5) of chains that are doubled again and again."""
    temperatures, spins, metrics = np.array([item.temperature for item in tests]), [item.fine for item in tests], {}
    with figure(2, 1, figsize=(7, 5.6), height_ratios=(2, 1), sharex=True) as (drawn, (top, bottom)):
        for number in range((LARGEST // spins[0].shape[-1]).bit_length()):
            if number:
                temperatures = restored_temperature(temperatures)
                spins = [refine(t, rows) for t, rows in zip(temperatures, spins, strict=True)]
            sites = spins[0].shape[-1]
            look, place = series(number), distance(sites)

            def exact(temperature: float, place: int = place, sites: int = sites) -> float:
                return float(chain_correlation(place, sites, temperature))

            values = [independent_mean(two_point(rows, (True,))[:, place]) for rows in spins]
            off = [value - exact(t) for value, t in zip(values, temperatures, strict=True)]
            grid = np.linspace(max(COLDEST, temperatures[0]), temperatures[-1], GRID)
            top.plot(grid, [exact(t) for t in grid], color=look["color"], lw=1)
            label = f"N = {sites}, j = {place}" + ("" if number else ", Monte Carlo")
            points(top, temperatures, values, label=label, **look)
            points(bottom, temperatures, off, **look)
            metrics[f"N={sites}"] = {"largest_deviation": max(off, key=lambda item: abs(item.mean))}
        top.set(ylabel=r"$G_N(j)$, $j = N^{0.8}/5$", title="doubled again and again; lines: exact")
        top.legend()
        bottom.axhline(0, color="0.5", lw=0.8)
        bottom.set(xlabel=TEMPERATURE, ylabel="minus exact")
        record.figure("figure3_two_point", drawn, "Two-point function of chains doubled again and again, less exact")
    record.metrics({"two_point": metrics})
