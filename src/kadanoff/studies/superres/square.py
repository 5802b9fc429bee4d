"""Square lattices that are refined: figures 4, 5, 7, 9 and 10 of Efthymiou, Beach and Melko (2019)."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.inverse.reconstruction import Reconstruction, superresolve_between
from kadanoff.inverse.superresolve import Spins
from kadanoff.inverse.training import coarsened
from kadanoff.networks.superres import Superresolution
from kadanoff.project.figures import figure, points
from kadanoff.project.records import Recorder
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, exact_energy_distribution, kaufman, spontaneous_magnetization
from kadanoff.spins.observables import block_sums
from kadanoff.spins.rescaling import Collapse, collapse, inversion_error, invert_collapse
from kadanoff.spins.reweighting import ThermalSample, interval_shares, minus_reweighted
from kadanoff.spins.statistics import independent_mean
from kadanoff.studies.superresolution import Data
from kadanoff.studies.superresolution_figures import TEMPERATURE, nearest

HISTOGRAMS = (2.2010, 2.9313)  # temperatures of the published histograms
BLOCK_SUMS = (1.4706, 2.2010, 2.9313)  # and of figure 7
BINS = 20
COLDEST = 0.3  # of exact tori, and of specific heats: nothing changes below, and one flipped spin has 1/T^2
GRID = 60  # points of an exact curve
OBSERVABLES = {
    "order": r"$\langle|m|\rangle$",
    "susceptibility": r"susceptibility $\chi$ ($1/|J|$)",
    "mean_energy": "energy per site ($|J|$)",
    "heat": "specific heat ($k_B$)",
}
KAUFMAN = {"mean_energy": "energy", "heat": "specific_heat"}
"""Observables of a torus that are known exactly."""

Curve = list[ThermalSample]


def draw_square(
    record: Recorder,
    model: Superresolution,
    data: Data,
    beside: tuple[Ensemble, Ensemble],
    tests: Sequence[Reconstruction],
    seed: int,
) -> None:
    """Figures of square lattices: the test, and Monte Carlo lattices refined beyond the trained size.

    `beside` are Monte Carlo lattices of a smaller and of a larger size.
    """
    _draw_block_sums(record, tests)
    kinds = {"fine": "MC", "coarse": "coarsened", "drawn": "super-resolved"}
    curves = {
        f"{label} {getattr(tests[0], key).shape[-1]}": [
            ThermalSample.of(item.temperature, getattr(item, key)) for item in tests
        ]
        for key, label in kinds.items()
    }
    _draw_thermal(record, "figure9_test_square", "test configurations, coarsened and refined", curves)
    panels = [[curve[nearest(data.temperatures, wanted)] for curve in curves.values()] for wanted in HISTOGRAMS]
    _draw_histograms(record, "figure10_histograms_test", list(curves), panels)
    _extrapolate(record, model, data, beside, seed)


def _extrapolate(
    record: Recorder, model: Superresolution, data: Data, beside: tuple[Ensemble, Ensemble], seed: int
) -> None:
    """Refine Monte Carlo lattices of the trained size, their temperature T~ rescaled to T by the collapse of curves."""
    grid = data.temperatures

    def measured(read: Any) -> Curve:
        return [ThermalSample.of(temperature, read(index)) for index, temperature in enumerate(grid)]

    small, large = (measured(ensemble.read) for ensemble in beside)
    coarse = measured(lambda index: coarsened(data.fine.read(index), model.rule, model.block))
    given = measured(data.test)
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
        ThermalSample.of(restored[i], refine(data.test(i), temperature=restored[i]), uncertainty[i]) for i in known
    ]
    low, high = _side(given[0]), _side(refined[0])
    curves = {f"MC {high}": large, f"MC {low}": given, f"super-resolved {high}": refined}
    title = f"Monte Carlo {low} refined to {high}, trained at {low}"
    _draw_thermal(record, "figure4_extrapolated_square", title, curves)
    panels = []
    for wanted in HISTOGRAMS:
        place = nearest([item.temperature for item in refined], wanted)
        panels.append([large[nearest(grid, refined[place].temperature)], given[known[place]], refined[place]])
    _draw_histograms(record, "figure5_histograms_extrapolated", list(curves), panels)
    exact = partial(_exact, high, "mean_energy")
    record.metrics(
        {
            "extrapolated": {
                f"T={item.temperature:.6g}": {"energy_minus_exact": item.minus(item.mean_energy, exact)}
                for item in refined
            }
        }
    )


def _side(item: ThermalSample) -> int:
    return int(np.sqrt(item.sites))


def _exact(side: int, observable: str, temperature: float) -> float:
    return float(getattr(kaufman(side, side, temperature), KAUFMAN[observable]))


def _order_and_energy(curve: Curve) -> tuple[list[list[float]], list[list[float]]]:
    """<|m|> and <e>, values and errors, as `collapse` takes them."""
    rows = [[item.order for item in curve], [item.mean_energy for item in curve]]
    return [[point.mean for point in row] for row in rows], [[point.error for point in row] for row in rows]


def _draw_collapse(record: Recorder, collapsed: Collapse, small: Curve, coarse: Curve) -> None:
    """Figure `collapse`: the map from T to T~ (section IV), and the curves that it lays on each other."""
    temperatures, side = np.array([item.temperature for item in small]), _side(small[0])
    with figure(1, 3, figsize=(11, 3.2)) as (drawn, axes):
        left, *others = axes
        left.plot(temperatures, temperatures, color="0.6", lw=1, label=r"$\tilde T = T$")
        left.errorbar(temperatures, collapsed.rescaled, collapsed.error, fmt="o", ms=3, label="collapse of curves")
        left.set(xlabel=TEMPERATURE, ylabel=r"$\tilde T$ ($|J|/k_B$)")
        for axis, key in zip(others, ("order", "mean_energy"), strict=True):
            points(axis, temperatures, [getattr(item, key) for item in small], color="C0", label=f"MC {side}")
            values = [getattr(item, key) for item in coarse]
            points(axis, temperatures, values, color="C1", mfc="white", label=f"coarsened to {side}, at $T$")
            points(axis, collapsed.rescaled, values, color="C3", fmt="x", label=rf"coarsened to {side}, at $\tilde T$")
            axis.set(xlabel=TEMPERATURE, ylabel=OBSERVABLES[key])
        for axis in axes:
            axis.legend(fontsize=8)
        record.figure(
            "collapse", drawn, "Rescaled temperature of coarse lattices, and the curves of Monte Carlo that it meets"
        )


def _draw_thermal(record: Recorder, name: str, title: str, curves: dict[str, Curve]) -> None:
    """Order, susceptibility, energy and specific heat over T; the last curve is the one that is tested.

    The lower panels show it and Monte Carlo of its size less exact values, where there are some, or less Monte Carlo
    that is reweighted to the same temperature. The error of a temperature is a horizontal bar above, and is a part of
    the error of the difference below.
    """
    looks: list[dict[str, Any]] = [
        {"color": color, "mfc": "white", "label": kind} for kind, color in zip(curves, ("C0", "C1"), strict=False)
    ]
    looks.append({"color": "C3", "label": list(curves)[-1]})
    *_, last = curves.values()
    side, reference = _side(last[0]), next(curve for curve in curves.values() if curve[0].sites == last[0].sites)
    with figure(2, 4, figsize=(13, 5), height_ratios=(2, 1), sharex=True) as (drawn, axes):
        for (top, bottom), (observable, label) in zip(axes.T, OBSERVABLES.items(), strict=True):
            _draw_exact(top, observable, side, reference[-1].temperature)
            for curve, look in zip(curves.values(), looks, strict=True):
                _draw_curve(top, observable, curve, look)
            if observable in KAUFMAN:
                for curve, look in ((reference, looks[0]), (last, looks[-1])):
                    warm = [item for item in curve if item.temperature >= COLDEST]
                    exact = partial(_exact, side, observable)
                    off = [item.minus(getattr(item, observable), exact) for item in warm]
                    points(bottom, [item.temperature for item in warm], off, **look)
            else:
                nearby = [reference[nearest([mc.temperature for mc in reference], item.temperature)] for item in last]
                off = [minus_reweighted(item, observable, mc) for item, mc in zip(last, nearby, strict=True)]
                points(bottom, [item.temperature for item in last], off, **looks[-1])
            bottom.axhline(0, color="0.5", lw=0.8)
            bottom.set(xlabel=TEMPERATURE, ylabel=f"minus {'exact' if observable in KAUFMAN else 'MC'} {side}")
            top.set(ylabel=label)
            top.axvline(T_C, color="0.8", lw=0.8, zorder=0)
        axes[0, 0].legend(fontsize=8)
        drawn.suptitle(title)
        record.figure(name, drawn, f"Order, susceptibility, energy and specific heat over temperature: {title}")


def _draw_curve(axis: Any, observable: str, curve: Curve, look: dict[str, Any]) -> None:
    items = [item for item in curve if observable != "heat" or item.temperature >= COLDEST]
    across = [item.uncertainty for item in items]
    values = [getattr(item, observable) for item in items]
    points(axis, [item.temperature for item in items], values, xerr=across if any(across) else None, **look)


def _draw_exact(axis: Any, observable: str, side: int, hottest: float) -> None:
    grid = np.linspace(COLDEST, hottest, GRID)
    if observable in KAUFMAN:
        axis.plot(grid, [_exact(side, observable, t) for t in grid], color="0.5", lw=1, label=f"exact {side} x {side}")
    elif observable == "order":
        axis.plot(grid, spontaneous_magnetization(grid), color="0.5", lw=1, label="exact, infinite (Yang)")


def _draw_block_sums(record: Recorder, tests: Sequence[Reconstruction]) -> None:
    """Figure `figure7_block_sums`: how many blocks have 0, 1, .. spins up: Monte Carlo, rounded and sampled output."""
    shown = [tests[nearest([item.temperature for item in tests], wanted)] for wanted in BLOCK_SUMS]
    names = {"fine": "Monte Carlo", "rounded": "rounded", "drawn": "sampled"}
    names = {key: label for key, label in names.items() if getattr(shown[0], key) is not None}
    with figure(1, len(shown), figsize=(10, 3), sharey=True) as (drawn, axes):
        for axis, item in zip(axes, shown, strict=True):
            width = 0.8 / len(names)
            for number, (key, label) in enumerate(names.items()):
                shares = _block_sum_shares(getattr(item, key), item.block)
                where = np.arange(len(shares)) + (number - (len(names) - 1) / 2) * width
                values, errors = ([getattr(share, part) for share in shares] for part in ("mean", "error"))
                axis.bar(where, values, width, yerr=errors, color=f"C{number}", label=label, error_kw={"lw": 1})
            axis.set(xlabel="spins up in a block", title=f"T = {item.temperature:.4g}", xticks=range(len(shares)))
        axes[0].set(ylabel="share of the blocks")
        axes[0].legend()
        record.figure("figure7_block_sums", drawn, "Share of blocks with each number of up spins, by temperature")


def _block_sum_shares(spins: Spins, block: int) -> list[Estimate]:
    """Share of the blocks with 0, 1, .. block^2 spins up."""
    up = (block_sums(spins, block) + block**2) // 2
    return [independent_mean((up == number).mean((1, 2))) for number in range(block**2 + 1)]


def _draw_histograms(
    record: Recorder, name: str, labels: Sequence[str], panels: Sequence[Sequence[ThermalSample]]
) -> None:
    """Histograms of m and e, a row a temperature: one line a kind, and the exact P(e) of the last."""
    with figure(len(panels), 2, figsize=(9, 3 * len(panels)), squeeze=False) as (drawn, axes):
        for (left, right), items in zip(axes, panels, strict=True):
            energies = np.concatenate([item.energy for item in items])
            edges = np.linspace(energies.min() - 0.02, energies.max() + 0.02, BINS + 1)
            signed = np.linspace(-1.02, 1.02, BINS + 1)
            for item, label, color in zip(items, labels, ("C0", "C1", "C3"), strict=True):
                look = {"fmt": "o-", "color": color, "label": f"{label}, T = {item.temperature:.4g}"}
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
            label = f"exact {side}, T = {temperature:.4g}"
            right.plot((edges[1:] + edges[:-1]) / 2, density, "k--", lw=1, label=label, zorder=3)
            left.set(xlabel="magnetization per site $m$", ylabel="density")
            right.set(xlabel="energy per site $e$ ($|J|$)", ylabel="density ($1/|J|$)")
            for axis in (left, right):
                axis.set_ylim(0, 1.4 * axis.get_ylim()[1])  # room for the legend
                axis.legend(fontsize=8)
        record.figure(name, drawn, f"Distributions of magnetization and energy: {', '.join(labels)}, and exact")
