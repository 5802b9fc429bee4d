"""The figures of the coarse-graining study."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kadanoff.data.store import Ensemble
from kadanoff.learning.coarse import Coarsener
from kadanoff.learning.data import coarse_task
from kadanoff.learning.metrics import spatial_correlation
from kadanoff.learning.training import Epoch
from kadanoff.project.figures import figure, show_spins
from kadanoff.project.records import Recorder
from kadanoff.spins.exact import T_C, spontaneous_magnetization
from kadanoff.studies.coarsen.literature import REPORT_HISTORY
from kadanoff.studies.coarsen.tables import Critical

TEMPERATURE = r"temperature $T$ ($|J|/k_B$)"


def draw_history(record: Recorder, history: Sequence[Epoch], reported: str | None) -> None:
    """Figure `history`: losses over the epochs, with the report's if it has some for this network."""
    epochs = [epoch.epoch for epoch in history]
    with figure(figsize=(5, 3.4)) as (drawn, axis):
        axis.semilogy(epochs, [epoch.train_loss for epoch in history], color="C0", label="training")
        axis.semilogy(epochs, [epoch.validation_loss for epoch in history], color="C1", label="validation")
        if reported in REPORT_HISTORY:
            table = REPORT_HISTORY[reported]
            for part, (colour, name) in enumerate((("C0", "training"), ("C1", "validation"))):
                values = [losses[part] for losses in table.values()]
                axis.semilogy(list(table), values, "o", mfc="white", color=colour, label=f"report, {name}")
        axis.set(xlabel="epoch", ylabel="mean squared error per site")
        axis.legend()
        record.figure("history", drawn)


def draw_predictions(record: Recorder, spins: Any, target: Any, predictions: dict[str, Any]) -> None:
    """Figure `predictions`: a row for each configuration; spins, target, then each prediction with its error map.

    All arrays are (configuration, y, x). Every error map has its own scale, written above it.
    """
    columns = 2 + 2 * len(predictions)
    with figure(len(spins), columns, figsize=(1.5 * columns, 1.75 * len(spins)), squeeze=False) as (drawn, axes):
        for row, line in enumerate(axes):
            show_spins(line[0], spins[row], "" if row else "spins")
            show_spins(line[1], target[row], "" if row else "target")
            for column, (name, values) in enumerate(predictions.items()):
                error = values[row] - target[row]
                scale = max(float(abs(error).max()), 1e-12)
                show_spins(line[2 + 2 * column], values[row], "" if row else name)
                show_spins(line[3 + 2 * column], error / scale, f"error, ±{scale:.1g}")
        record.figure("predictions", drawn)


def draw_magnetization(record: Recorder, ensemble: Ensemble, coarseners: dict[str, Coarsener]) -> None:
    """Figure `magnetization`: <|m|> of the spins and of the coarse configurations, with Yang's exact curve."""
    grid = np.linspace(ensemble.temperatures[0], ensemble.temperatures[-1], 400)
    count = np.sqrt(ensemble.spins.shape[1])
    orders = {"spins": np.abs(ensemble.magnetization)}
    for name in ("cnn", "mlp", "exact"):
        if name in coarseners:
            coarse = [coarseners[name].apply(ensemble.read(index)) for index in range(len(ensemble.temperatures))]
            orders[name] = np.abs([configurations.mean((1, 2)) for configurations in coarse])
    with figure(figsize=(6, 4)) as (drawn, axis):
        axis.plot(grid, spontaneous_magnetization(grid), color="0.6", label="exact, infinite lattice (Yang)")
        for (name, order), marker, size in zip(orders.items(), "so^.", (9, 6, 5, 4), strict=False):
            look = {"fmt": marker, "ms": size, "mfc": "white" if marker == "s" else None}
            axis.errorbar(ensemble.temperatures, order.mean(1), order.std(1, ddof=1) / count, label=name, **look)
        axis.set(xlabel=TEMPERATURE, ylabel=r"$\langle|m|\rangle$ per site", ylim=(-0.03, 1.05))
        axis.legend()
        record.figure("magnetization", drawn)


def draw_physics(record: Recorder, ensemble: Ensemble, seed: int, coarseners: dict[str, Coarsener]) -> None:
    """Figure `physics`: magnetization, error and spatial correlation of `cnn` and `mlp` on the test configurations."""
    with figure(1, 3, figsize=(11, 3.5)) as (drawn, (scatter, histogram, correlation)):
        for colour, name in enumerate(name for name in ("cnn", "mlp") if name in coarseners):
            item = coarseners[name]
            task = coarse_task(ensemble, item.rule, item.block, seed)
            prediction, target = item.apply(task.spins[task.split.test]), task.target[task.split.test]
            look: dict[str, Any] = {"color": f"C{colour}", "label": name}
            bars = look | {"histtype": "step"}
            scatter.plot(target.mean((1, 2)), prediction.mean((1, 2)), ".", ms=4, **look)
            histogram.hist((prediction - target).ravel(), bins=np.linspace(-2, 2, 81), density=True, **bars)
            found = spatial_correlation(prediction, target)
            correlation.hist(found[~np.isnan(found)], bins=np.linspace(-0.2, 1, 49), **bars)
        scatter.axline((0, 0), slope=1, color="0.6", lw=0.8, zorder=0)
        scatter.set(xlabel="magnetization of the target", ylabel="magnetization of the prediction")
        histogram.set(xlabel="error of a site", ylabel="density", yscale="log")
        correlation.set(xlabel="spatial correlation with the target", ylabel="test configurations", yscale="log")
        for axis in (scatter, histogram, correlation):
            axis.legend(loc="upper left")
        record.figure("physics", drawn)


def draw_criticality(record: Recorder, critical: Critical, sides: dict[str, int], networks: Sequence[str]) -> None:
    """Figure `criticality`: error against lattice size, and the kept share of G(r) on the largest lattice."""
    largest = max(critical, key=lambda dataset: sides[dataset])
    with figure(1, 2, figsize=(10, 3.8)) as (drawn, (left, right)):
        for colour, name in enumerate(networks):
            points = {sides[dataset]: found[name] for dataset, found in critical.items()}
            errors = {side: point[0] for side, point in points.items() if point is not None}
            values, bars = ([getattr(error, key) for error in errors.values()] for key in ("mean", "error"))
            left.errorbar(list(errors), values, bars, fmt="o-", ms=4, color=f"C{colour}", label=name)
            if (point := critical[largest][name]) is not None:
                values, bars = ([getattr(ratio, key) for ratio in point[1]] for key in ("mean", "error"))
                right.errorbar(range(len(values)), values, bars, fmt=".-", ms=4, color=f"C{colour}", label=name)
        left.set(xscale="log", yscale="log", xlabel="lattice size $L$ (trained at 16)")
        left.set_ylabel("mean squared error per site at $T_c$")
        left.set_xticks(list(sides.values()), list(map(str, sides.values())))
        left.minorticks_off()
        right.set(xlabel="distance $r$ on the coarse lattice", ylabel="$G(r)$ / $G(r)$ of the target")
        right.set_title(f"L = {sides[largest]}")
        for axis in (left, right):
            axis.legend(fontsize=8)
        record.figure("criticality", drawn)


def draw_flow(record: Recorder, ensemble: Ensemble, coarsener: Coarsener, steps: int = 3) -> None:
    """Figure `flow`: a coarsener applied again and again, below, at and above T_c, on the sample of median |m|."""
    shown = [0, int(np.abs(ensemble.temperatures - T_C).argmin()), len(ensemble.temperatures) - 1]
    with figure(len(shown), steps + 1, figsize=(2.2 * (steps + 1), 2.35 * len(shown))) as (drawn, axes):
        for line, index in zip(axes, shown, strict=True):
            order = np.abs(ensemble.magnetization[index])
            typical = int(np.abs(order - np.median(order)).argmin())
            spins = ensemble.read(index, slice(typical, typical + 1))
            for step, axis in enumerate(line):
                show_spins(axis, spins[0], f"T = {ensemble.temperatures[index]:.4g}" if step == 0 else "")
                if index == shown[0] and step > 0:
                    axis.set_title(f"{spins.shape[-2]} x {spins.shape[-1]}")
                spins = coarsener.apply(spins) if step < steps else spins
        record.figure("flow", drawn)


def draw_curve(record: Recorder, points: dict[str, dict[int, tuple[Any, Any]]]) -> None:
    """Figure `learning_curve`: errors on training and test configurations against the number of the former."""
    with figure(figsize=(5.4, 3.8)) as (drawn, axis):
        for colour, (name, found) in enumerate(points.items()):
            for part, (label, style) in enumerate((("training", "o--"), ("test", "o-"))):
                values, bars = ([getattr(point[part], key) for point in found.values()] for key in ("mean", "error"))
                look = {"fmt": style, "ms": 5, "color": f"C{colour}", "mfc": None if part else "white"}
                axis.errorbar(list(found), values, bars, label=f"{name}, {label}", **look)
        axis.set(xscale="log", yscale="log", xlabel="training configurations", ylabel="mean squared error per site")
        axis.legend(ncols=2)
        record.figure("learning_curve", drawn)
