"""The figures of the coarse-graining study."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kadanoff.data.store import Ensemble
from kadanoff.learning.coarse import Coarsener
from kadanoff.learning.training import Epoch
from kadanoff.project.figures import figure, points, series, show_spins
from kadanoff.project.records import Recorder
from kadanoff.spins.exact import T_C, spontaneous_magnetization
from kadanoff.spins.statistics import independent_mean

if TYPE_CHECKING:
    import pandas as pd

TEMPERATURE = r"temperature $T$ ($|J|/k_B$)"
ROUNDING = 1e-13  # mean squared errors below are of 32-bit numbers, and say nothing of a network
# epochs, training and validation losses of the 2025 report, sections 4.1 and 4.2
REPORT_HISTORY = {
    "cnn": (
        [1, 11, 21, 31, 50],
        [0.257210, 0.023090, 0.007273, 0.003388, 0.001164],
        [0.153770, 0.009468, 0.002415, 0.001149, 0.000314],
    ),
    "mlp": (
        [1, 11, 21, 31, 41, 50],
        [0.591634, 0.243991, 0.183852, 0.155200, 0.140614, 0.118895],
        [0.429228, 0.288063, 0.267693, 0.254787, 0.243350, 0.239916],
    ),
}


def draw_history(record: Recorder, name: str, history: Sequence[Epoch], reported: bool) -> None:
    """Figure `history`: losses over the epochs, with the report's if it has some for this network and task."""
    epochs = [epoch.epoch for epoch in history]
    published = REPORT_HISTORY.get(name) if reported else None
    with figure(figsize=(5, 3.4)) as (drawn, axis):
        for part, label in enumerate(("training", "validation")):
            ours = [(epoch.train_loss, epoch.validation_loss)[part] for epoch in history]
            axis.semilogy(epochs, ours, ("-", "--")[part], color=f"C{part}", label=label)
            if published:
                look = series(part) | {"ls": "", "mfc": "white", "label": f"report, {label}"}
                axis.semilogy(published[0], published[1 + part], **look)
        axis.set(xlabel="epoch", ylabel="mean squared error per site")
        low, high = axis.get_ylim()
        if low < ROUNDING:
            axis.axhspan(low, ROUNDING, color="0.92", label="rounding of 32-bit numbers")
            axis.set_ylim(low, high)
        axis.legend()
        record.figure("history", drawn, f"Training and validation loss of {name} over the epochs")


def draw_predictions(
    record: Recorder, temperatures: Any, spins: Any, target: Any, prediction: Any, caption: str
) -> None:
    """Figure `predictions`: a row a temperature; configurations, targets, predictions, and errors with a scale each.

    All arrays are (configuration, y, x).
    """
    titles, count = ("spins", "target", "prediction", "prediction less target"), len(spins)
    with figure(count, len(titles), figsize=(8.6, 2 * count + 0.6), squeeze=False) as (drawn, axes):
        for title, axis in zip(titles, axes[0], strict=True):
            axis.set_title(title)
        for row, line in enumerate(axes):
            for axis, values in zip(line, (spins[row], target[row], prediction[row]), strict=False):
                shown = show_spins(axis, values, axis.get_title())
            error = prediction[row] - target[row]
            scale = max(float(abs(error).max()), 1e-7)  # zero but for rounding
            wrong = line[-1].imshow(error, cmap="RdBu_r", vmin=-scale, vmax=scale)
            line[-1].set(xticks=[], yticks=[])
            line[-1].spines[:].set_visible(False)
            drawn.colorbar(wrong, ax=line[-1], shrink=0.8, format="%.1g", ticks=[-scale, 0, scale])
            line[0].set_ylabel(f"$T$ = {temperatures[row]:.4g}")
        drawn.colorbar(
            shown, ax=axes[-1, :3], location="bottom", aspect=40, ticks=[-1, 0, 1], label="value of a spin or block"
        )
        record.figure("predictions", drawn, caption)


def draw_magnetization(record: Recorder, ensemble: Ensemble, coarseners: dict[str, Coarsener]) -> None:
    """Figure `magnetization`: <|m|> of the spins and of the coarse configurations, with Yang's exact curve."""
    grid = np.linspace(ensemble.temperatures[0], ensemble.temperatures[-1], 400)
    orders = {"spins": ensemble.magnetization}
    for name in ("cnn", "mlp", "exact"):
        if name in coarseners:
            coarse = [coarseners[name].apply(ensemble.read(index)) for index in range(len(ensemble.temperatures))]
            orders[name] = np.array([configurations.mean((1, 2)) for configurations in coarse])
    with figure(figsize=(6, 4)) as (drawn, axis):
        axis.plot(grid, spontaneous_magnetization(grid), color="0.6", label="exact, infinite lattice (Yang)")
        for number, ((name, order), size) in enumerate(zip(orders.items(), (10, 7, 6, 5), strict=False)):
            look = series(number) | {"ms": size, "mfc": "none", "label": name}  # one is seen inside of another
            points(axis, ensemble.temperatures, [independent_mean(np.abs(row)) for row in order], **look)
        axis.set(xlabel=TEMPERATURE, ylabel=r"$\langle|m|\rangle$ per site", ylim=(-0.03, 1.05))
        axis.legend()
        record.figure("magnetization", drawn, "Magnetization of the spins and of the block spins over temperature")


def draw_criticality(record: Recorder, critical: "pd.DataFrame") -> None:
    """Figure `criticality`: error against lattice size, and the kept share of G(r) on the largest lattice.

    Errors of rounding alone are marked at the lower edge, whatever they are.
    """
    networks, sides = critical[critical.parameters.notna()], sorted(critical.side.unique())
    with figure(1, 2, figsize=(10, 4.2)) as (drawn, (left, right)):
        for number, (name, rows) in enumerate(networks.groupby("network", sort=False)):
            look: dict[str, Any] = series(number) | {"ls": "-", "label": name}
            if max(error.mean for error in rows.mse) < ROUNDING:
                look["label"] = f"{name}: below {ROUNDING:g}, rounding"
                left.plot(rows.side, [0.015] * len(rows), transform=left.get_xaxis_transform(), **look | {"ls": ""})
            else:
                points(left, rows.side, rows.mse, **look)
            for ratio in rows.ratio[rows.side == sides[-1]]:
                points(right, range(len(ratio)), ratio, **look)
        left.set(xscale="log", yscale="log", xlabel="lattice size $L$ (trained at 16)")
        left.set_ylabel("mean squared error per site at $T_c$")
        left.set_xticks(sides, list(map(str, sides)))
        left.minorticks_off()
        right.set(xlabel="distance $r$ on the coarse lattice", ylabel="$G(r)$ / $G(r)$ of the target")
        right.set_title(f"$L$ = {sides[-1]}")
        drawn.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        caption = (
            "Error at the critical temperature over lattice size, and the share of the correlations that is kept. An "
            "error of rounding alone is a mark at the lower edge"
        )
        record.figure("criticality", drawn, caption)


def draw_flow(record: Recorder, ensemble: Ensemble, coarsener: Coarsener, steps: int = 3) -> None:
    """Figure `flow`: a coarsener applied again and again, below, at and above T_c, on the sample of median |m|."""
    shown = [0, int(np.abs(ensemble.temperatures - T_C).argmin()), len(ensemble.temperatures) - 1]
    with figure(len(shown), steps + 1, figsize=(2.2 * (steps + 1), 2.2 * len(shown))) as (drawn, axes):
        for line, index in zip(axes, shown, strict=True):
            order = np.abs(ensemble.magnetization[index])
            typical = int(np.abs(order - np.median(order)).argmin())
            spins = ensemble.read(index, slice(typical, typical + 1))
            for step, axis in enumerate(line):
                show_spins(axis, spins[0], "" if index > shown[0] else f"{spins.shape[-2]} x {spins.shape[-1]}")
                spins = coarsener.apply(spins) if step < steps else spins
            line[0].set_ylabel(f"$T$ = {ensemble.temperatures[index]:.4g}")
        caption = f"Configurations below, at and above the critical temperature, coarse-grained {steps} times"
        record.figure("flow", drawn, f"{caption} by {coarsener.name}")


def draw_curve(record: Recorder, errors: "pd.DataFrame") -> None:
    """Figure `learning_curve`: errors on training and test configurations against the number of the former."""
    with figure(figsize=(5.4, 3.8)) as (drawn, axis):
        for number, (name, rows) in enumerate(errors.groupby("network", sort=False)):
            for key, part, style, fill in (("train_mse", "training", "--", "white"), ("test_mse", "test", "-", None)):
                look = series(number) | {"ls": style, "mfc": fill, "label": f"{name}, {part}"}
                points(axis, rows.configurations, rows[key], **look)
        axis.set(xscale="log", yscale="log", xlabel="training configurations", ylabel="mean squared error per site")
        axis.legend(ncols=2)
        caption = "Errors on training and test configurations over the number of the former"
        record.figure("learning_curve", drawn, caption)
