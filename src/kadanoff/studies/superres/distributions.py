"""Distributions on square lattices: figures 5, 7 and 10 of the paper."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.inverse.reconstruction import Reconstruction
from kadanoff.inverse.superresolve import Spins
from kadanoff.project.figures import figure, points
from kadanoff.project.records import Recorder
from kadanoff.spins.exact import kaufman_energy_distribution
from kadanoff.spins.observables import block_sums
from kadanoff.spins.reweighting import ThermalSample
from kadanoff.spins.statistics import independent_mean
from kadanoff.studies.superresolution_figures import nearest

BINS = 20
BLOCK_SUMS = (1.4706, 2.2010, 2.9313)  # temperatures of the paper's figure 7


def draw_block_sums(record: Recorder, tested: Sequence[Reconstruction]) -> None:
    """Figure `figure7_block_sums`: how many blocks have 0, 1, .. spins up: Monte Carlo, rounded and sampled output."""
    shown = [tested[nearest([item.temperature for item in tested], wanted)] for wanted in BLOCK_SUMS]
    names = {"fine": "Monte Carlo", "rounded": "rounded", "drawn": "sampled"}
    names = {key: label for key, label in names.items() if getattr(shown[0], key) is not None}
    with figure(1, len(shown), figsize=(12, 3.6), sharey=True) as (drawn, axes):
        for axis, item in zip(axes, shown, strict=True):
            width = 0.8 / len(names)
            for number, (key, label) in enumerate(names.items()):
                shares = _shares(getattr(item, key), item.block)
                where = np.arange(len(shares)) + (number - (len(names) - 1) / 2) * width
                values, errors = ([getattr(share, part) for share in shares] for part in ("mean", "error"))
                axis.bar(where, values, width, yerr=errors, color=f"C{number}", label=label, error_kw={"lw": 1})
            axis.set(xlabel="spins up in a block", title=f"T = {item.temperature:.4g}", xticks=range(len(shares)))
        axes[0].set(ylabel="share of the blocks")
        axes[0].legend()
        record.figure("figure7_block_sums", drawn)


def _shares(spins: Spins, block: int) -> list[Estimate]:
    """Share of the blocks with 0, 1, .. block^2 spins up."""
    up = (block_sums(spins, block) + block**2) // 2
    return [independent_mean((up == number).mean((1, 2))) for number in range(block**2 + 1)]


def draw_histograms(
    record: Recorder, name: str, labels: Sequence[str], panels: Sequence[Sequence[ThermalSample]]
) -> None:
    """Histograms of m and e, a row a temperature: one line a kind, and the exact P(e) of the last.

    Both take discrete values, other ones at other sizes. Each is spread evenly up to the middle between it and the
    next, so that no bin of the 20 holds more of them than another by chance.
    """
    looks = ({"color": "C0"}, {"color": "C1"}, {"color": "C3"})
    with figure(len(panels), 2, figsize=(10, 3.5 * len(panels)), squeeze=False) as (drawn, axes):
        for (left, right), items in zip(axes, panels, strict=True):
            lowest = min(float(item.energy.min()) for item in items) - 0.02
            edges = np.linspace(lowest, max(float(item.energy.max()) for item in items) + 0.02, BINS + 1)
            signed = np.linspace(-1.02, 1.02, BINS + 1)
            for item, label, look in zip(items, labels, looks, strict=True):
                title = f"{label}, T = {item.temperature:.4g}"
                for axis, bins, values, step in (
                    (left, signed, item.magnetization, 2 / item.sites),
                    (right, edges, item.energy, 4 / item.sites),
                ):
                    middles, width = (bins[1:] + bins[:-1]) / 2, bins[1] - bins[0]
                    points(axis, middles, spread(values, step, bins), 1 / width, fmt="o-", label=title, **look)
            last = items[-1]
            name_exact = f"exact {_side(last)}, T = {last.temperature:.4g}"
            right.plot(*_exact(last, edges), "k--", lw=1, label=name_exact, zorder=3)
            left.set(xlabel="magnetization per site $m$", ylabel="density")
            right.set(xlabel="energy per site $e$ ($|J|$)", ylabel="density ($1/|J|$)")
            for axis in (left, right):
                axis.set_ylim(0, 1.4 * axis.get_ylim()[1])  # room for the legend
                axis.legend(fontsize=8)
        record.figure(name, drawn)


def spread(values: NDArray[np.float64], step: float, edges: NDArray[np.float64]) -> list[Estimate]:
    """Share of each bin, of values that are multiples of `step` and stand for the interval around them."""
    below = np.clip((edges - values[:, None]) / step + 0.5, 0, 1)
    return [independent_mean(column) for column in np.diff(below, axis=1).T]


def _side(item: ThermalSample) -> int:
    return int(np.sqrt(item.sites))


def _exact(item: ThermalSample, edges: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Exact density of the energy per site in the same bins."""
    found = kaufman_energy_distribution(_side(item), _side(item), item.temperature)
    levels = np.asarray(found.levels, float) / item.sites
    below = np.clip((edges - levels[:, None]) / (4 / item.sites) + 0.5, 0, 1)
    shares = np.asarray(found.probabilities, float) @ np.diff(below, axis=1)
    return (edges[1:] + edges[:-1]) / 2, shares / np.diff(edges)
