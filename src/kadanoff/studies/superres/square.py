"""Square lattices that are refined: figures 4, 5, 7, 9 and 10 of Efthymiou, Beach and Melko (2019)."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.inverse.reconstruction import Reconstruction, superresolve_between
from kadanoff.inverse.superresolve import Spins
from kadanoff.inverse.training import coarsened
from kadanoff.networks.superres import Superresolution
from kadanoff.project.figures import figure, points, series
from kadanoff.project.records import Recorder
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import exact_energy_distribution, kaufman
from kadanoff.spins.observables import block_sums
from kadanoff.spins.rescaling import Collapse, collapse, inversion_error, invert_collapse
from kadanoff.spins.reweighting import ThermalSample, interval_shares
from kadanoff.spins.statistics import independent_mean
from kadanoff.studies.superres.curves import LABELS, Curve, Exact, curves_of, draw_thermal, summarize
from kadanoff.studies.superresolution_figures import TEMPERATURE, draw_block_sums, nearest

HISTOGRAMS = (2.2010, 2.9313)  # temperatures of the published histograms
BLOCK_SUMS = (1.4706, 2.2010, 2.9313)  # and of figure 7
BINS = 20
COLDEST = 0.3  # of exact tori, and of specific heats: nothing changes below
KAUFMAN = {"mean_energy": "energy", "heat": "specific_heat"}
"""Observables of a torus that are known exactly."""


def draw_square(
    record: Recorder, model: Superresolution, fine: Ensemble, beside: tuple[Ensemble, Ensemble],
    tests: Sequence[Reconstruction], seed: int,
) -> None:  # fmt: skip
    """Figures of square lattices: the test, and Monte Carlo lattices refined beyond the trained size.

    `beside` are Monte Carlo lattices of a smaller and of a larger size.
    """
    _draw_test_sums(record, tests)
    curves = curves_of(tests, "coarsened")
    title = "test configurations, coarsened and refined"
    draw_thermal(record, "figure9_test_square", title, curves, _exact(tests[0].fine.shape[-1]), COLDEST)
    panels = [[curve[nearest(model.temperatures, wanted)] for curve in curves.values()] for wanted in HISTOGRAMS]
    _draw_histograms(record, "figure10_histograms_test", list(curves), panels)
    _extrapolate(record, model, fine, beside, tests, seed)


def _exact(side: int) -> dict[str, Exact | None]:
    """Exact averages of tori, of those of all observables that are known."""

    def exact(observable: str, temperature: float) -> float:
        return float(getattr(kaufman(side, side, temperature), KAUFMAN[observable]))

    return {observable: partial(exact, observable) if observable in KAUFMAN else None for observable in LABELS}


def _extrapolate(
    record: Recorder, model: Superresolution, fine: Ensemble, beside: tuple[Ensemble, Ensemble],
    tests: Sequence[Reconstruction], seed: int,
) -> None:  # fmt: skip
    """Refine Monte Carlo lattices of the trained size, their temperature T~ rescaled to T by the collapse of curves."""
    grid = fine.temperatures

    def measured(read: Any) -> Curve:
        return [ThermalSample.of(temperature, read(index)) for index, temperature in enumerate(grid)]

    small, large = (measured(ensemble.read) for ensemble in beside)
    coarse = measured(lambda index: coarsened(fine.read(index), model.rule, model.block))
    given = measured(lambda index: tests[index].fine)
    collapsed = collapse(grid, _order_and_energy(small), _order_and_energy(coarse))
    _draw_collapse(record, collapsed, small, coarse)
    restored = invert_collapse(grid, collapsed, grid)
    uncertainty = inversion_error(grid, collapsed, grid)
    known = [index for index in range(len(grid)) if np.isfinite(restored[index])]
    if not known:
        raise KadanoffError(
            "no temperature of the dataset can be rescaled: between no two of them do the curves of Monte Carlo and of "
            "decimated lattices collapse. Take more temperatures, above and below T_c."
        )
    refine = partial(superresolve_between, model, seed=seed)
    refined = [
        ThermalSample.of(restored[i], refine(tests[i].fine, temperature=restored[i]), uncertainty[i]) for i in known
    ]
    low, high = _side(given[0]), _side(refined[0])
    curves = {f"MC {high}": large, f"MC {low}": given, f"super-resolved {high}": refined}
    title, exact = f"Monte Carlo {low} refined to {high}, trained at {low}", _exact(high)
    draw_thermal(record, "figure4_extrapolated_square", title, curves, exact, COLDEST)
    panels = []
    for wanted in HISTOGRAMS:
        place = nearest([item.temperature for item in refined], wanted)
        panels.append([large[nearest(grid, refined[place].temperature)], given[known[place]], refined[place]])
    _draw_histograms(record, "figure5_histograms_extrapolated", list(curves), panels)
    energy = exact["mean_energy"]
    assert energy is not None
    off = {f"T={item.temperature:.6g}": item.minus(item.mean_energy, energy) for item in refined}
    record.metrics({"extrapolated": {name: {"energy_minus_exact": value} for name, value in off.items()}})
    summarize(record, list(off.values()), low, high, "figure4_extrapolated_square")


def _side(item: ThermalSample) -> int:
    return int(np.sqrt(item.sites))


def _order_and_energy(curve: Curve) -> tuple[list[list[float]], list[list[float]]]:
    """<|m|> and <e>, values and errors, as `collapse` takes them."""
    rows = [[item.order for item in curve], [item.mean_energy for item in curve]]
    return [[point.mean for point in row] for row in rows], [[point.error for point in row] for row in rows]


def _draw_collapse(record: Recorder, collapsed: Collapse, small: Curve, coarse: Curve) -> None:
    """Figure `collapse`: the map from T to T~ (section IV), and the curves that it lays on each other."""
    temperatures, side = np.array([item.temperature for item in small]), _side(small[0])
    with figure(1, 3, figsize=(10, 3.4)) as (drawn, axes):
        left, *others = axes
        left.plot(temperatures, temperatures, color="0.6", lw=1, label=r"$\tilde T = T$")
        left.errorbar(temperatures, collapsed.rescaled, collapsed.error, ls="", marker="o", label="collapse of curves")
        left.set(xlabel=TEMPERATURE, ylabel=r"$\tilde T$ ($|J|/k_B$)")
        for axis, key in zip(others, ("order", "mean_energy"), strict=True):
            points(axis, temperatures, [getattr(item, key) for item in small], color="C0", label=f"MC {side}")
            values = [getattr(item, key) for item in coarse]
            points(axis, temperatures, values, **series(1) | {"mfc": "white"}, label=f"coarsened to {side}, at $T$")
            points(
                axis, collapsed.rescaled, values, color="C2", marker="x", label=rf"coarsened to {side}, at $\tilde T$"
            )
            axis.set(xlabel=TEMPERATURE, ylabel=LABELS[key])
        for axis in axes:
            axis.legend()
        record.figure(
            "collapse", drawn, "Rescaled temperature of coarse lattices, and the curves of Monte Carlo that it meets"
        )


def _draw_test_sums(record: Recorder, tests: Sequence[Reconstruction]) -> None:
    """Figure `figure7_block_sums`: how many blocks have 0, 1, .. spins up: Monte Carlo, rounded and sampled output."""
    panels: dict[float, dict[str, list[Estimate]]] = {}
    for item in (tests[nearest([item.temperature for item in tests], wanted)] for wanted in BLOCK_SUMS):
        sets = {"Monte Carlo": item.fine, "rounded": item.rounded, "sampled": item.drawn}
        panels[item.temperature] = {
            name: [independent_mean(share) for share in _shares(spins, item.block).T]
            for name, spins in sets.items()
            if spins is not None
        }
    colours = {"Monte Carlo": "black", "rounded": "C5", "sampled": "C1"}
    draw_block_sums(record, "figure7_block_sums", panels, colours)


def _shares(spins: Spins, block: int) -> NDArray[np.float64]:
    """Share of the blocks of each lattice with 0, 1, .. block^2 spins up: (n, block^2 + 1)."""
    up = (block_sums(spins, block) + block**2) // 2
    return np.stack([(up == number).mean((1, 2)) for number in range(block**2 + 1)], axis=1)


def _draw_histograms(
    record: Recorder, name: str, labels: Sequence[str], panels: Sequence[Sequence[ThermalSample]]
) -> None:
    """Histograms of m and e, a row a temperature: one line a kind, and the exact P(e) of the last."""
    with figure(len(panels), 2, figsize=(9, 3.3 * len(panels)), squeeze=False) as (drawn, axes):
        for (left, right), items in zip(axes, panels, strict=True):
            energies = np.concatenate([item.energy for item in items])
            edges = np.linspace(energies.min() - 0.02, energies.max() + 0.02, BINS + 1)
            signed = np.linspace(-1.02, 1.02, BINS + 1)
            for item, label, number in zip(items, labels, (0, 2, 1), strict=True):
                look = series(number) | {"ls": "-", "label": f"{label}, $T$ = {item.temperature:.4g}"}
                for axis, bins, values, step in (
                    (left, signed, item.magnetization, 2 / item.sites),
                    (right, edges, item.energy, 4 / item.sites),
                ):
                    middles, width = (bins[1:] + bins[:-1]) / 2, bins[1] - bins[0]
                    points(axis, middles, interval_shares(values, step, bins), 1 / width, **look)
            side, temperature, sites = _side(items[-1]), items[-1].temperature, items[-1].sites
            levels, probabilities = exact_energy_distribution(Lattice(side, side), temperature)
            below = np.clip((edges - np.asarray(levels, float)[:, None] / sites) / (4 / sites) + 0.5, 0, 1)
            density = np.asarray(probabilities, float) @ np.diff(below, axis=1) / np.diff(edges)
            label = f"exact {side}, $T$ = {temperature:.4g}"
            right.plot((edges[1:] + edges[:-1]) / 2, density, "k--", lw=1, label=label, zorder=3)
            left.set(xlabel="magnetization per site $m$", ylabel="density")
            right.set(xlabel="energy per site $e$ ($|J|$)", ylabel="density ($1/|J|$)")
            for axis in (left, right):
                axis.set_ylim(0, 1.5 * axis.get_ylim()[1])  # room for the legend
                axis.legend()
        record.figure(name, drawn, f"Distributions of magnetization and energy: {', '.join(labels)}, and exact")
