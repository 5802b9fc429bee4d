"""The figures that every trained super-resolution network has."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kadanoff.estimate import Estimate
from kadanoff.inverse.reconstruction import Reconstruction
from kadanoff.inverse.superresolve import Spins
from kadanoff.learning.fit import Fit
from kadanoff.networks.superres import Blocks, SeedKernel
from kadanoff.project.figures import figure, points, show_spins
from kadanoff.project.records import Recorder
from kadanoff.spins.exact import T_C
from kadanoff.spins.statistics import independent_mean

TEMPERATURE = r"temperature $T$ ($|J|/k_B$)"
CORNER = 96  # spins a side: of more, a picture would be grey noise
LINES = {"train_loss": ("training", "-"), "validation_loss": ("validation", "--")}


def nearest(temperatures: Sequence[float] | NDArray[np.float64], wanted: float = T_C) -> int:
    """Index of the temperature nearest to a wanted one."""
    return int(np.abs(np.asarray(temperatures) - wanted).argmin())


def draw_losses(
    record: Recorder,
    fits: Sequence[Fit],
    tests: Sequence[Reconstruction],
    best: Sequence[dict[str, float]],
    network: nn.Module,
) -> None:
    """Figure `losses`: over the epochs for the network nearest to T_c, and at the end for every temperature."""
    shown = tests[nearest([item.temperature for item in tests])]
    panels = 1 if len(tests) == 1 else 2
    with figure(1, panels, figsize=(4.2 * panels, 3.2), squeeze=False) as (drawn, axes):
        left = axes[0, 0]
        for number, fit in enumerate(fits):
            part = f", part {number + 1} of a draw" if len(fits) > 1 else ""
            epochs = [epoch.epoch for epoch in fit.history]
            for key, (name, style) in LINES.items():
                values = [getattr(epoch, key) for epoch in fit.history]
                left.plot(epochs, values, style, color=f"C{number}", label=name + part)
        left.set(xlabel="epoch", ylabel=_loss_label(network), title=f"$T$ = {shown.temperature:.4g}")
        left.xaxis.get_major_locator().set_params(integer=True)
        left.legend()
        if panels == 2:
            _losses_by_temperature(axes[0, 1], tests, best)
        caption = "Losses over the epochs, nearest to T_c" + ", and of the best epoch at every temperature" * (
            panels - 1
        )
        record.figure("losses", drawn, caption)


def _loss_label(network: nn.Module) -> str:
    if isinstance(network, SeedKernel):
        return "squared error per site + energy term"
    return f"loss per {'block' if isinstance(network, Blocks) else 'site'} (nats)"


def _losses_by_temperature(axis: Any, tests: Sequence[Reconstruction], best: Sequence[dict[str, float]]) -> None:
    temperatures = [item.temperature for item in tests]
    for key, (name, style) in LINES.items():
        axis.plot(temperatures, [found[key] for found in best], style, label=f"{name}, best epoch")
    label = r"test, $-\ln P$(fine|coarse)"
    points(axis, temperatures, [independent_mean(item.nats) for item in tests], color="black", label=label)
    axis.set(xlabel=TEMPERATURE, ylabel="nats per site")
    axis.legend()


def draw_configurations(record: Recorder, tests: Sequence[Reconstruction]) -> None:
    """Figure `configurations`: below, at and above T_c, what the rule leaves, and what is made of it."""
    places = sorted({0, nearest([item.temperature for item in tests]), len(tests) - 1})
    part = max(1, tests[0].fine.shape[-1] // CORNER)
    names = {"coarse": "given", "fine": "Monte Carlo", "drawn": "drawn", "rounded": "rounded"}
    rows = {}
    for item in (tests[place] for place in places):
        made = {label + ", corner" * (part > 1): getattr(item, key) for key, label in names.items()}
        rows[f"$T$ = {item.temperature:.4g}"] = {
            label: spins[0, : spins.shape[-2] // part, : spins.shape[-1] // part]
            for label, spins in made.items()
            if spins is not None
        }
    known = ", ".join(f"{tests[place].temperature:.4g}" for place in places)
    caption = f"Configurations at T = {known}: coarse, the fine ones they come from, and those that are drawn"
    draw_spins(record, "configurations", rows, caption)


def draw_spins(record: Recorder, name: str, rows: Mapping[str, Mapping[str, Spins]], caption: str) -> None:
    """A figure of configurations (y, x): rows by what stands beside them, columns by what stands above them."""
    columns = len(next(iter(rows.values())))
    with figure(len(rows), columns, figsize=(2.0 * columns, 2 * len(rows) + 0.5), squeeze=False) as (drawn, axes):
        for row, (line, (label, pictures)) in enumerate(zip(axes, rows.items(), strict=True)):
            for axis, (title, spins) in zip(line, pictures.items(), strict=True):
                above = f"{fill(title, 22)}\n{' x '.join(map(str, spins.shape))}"
                show_spins(axis, spins, "" if row else above)
            line[0].set_ylabel(label)
        record.figure(name, drawn, caption)


def draw_block_sums(
    record: Recorder, name: str, panels: Mapping[float, Mapping[str, Sequence[Estimate]]], colours: Mapping[str, str]
) -> None:
    """A figure of the shares of blocks with 0, 1, ... spins up: a panel a temperature, a bar a set of lattices."""
    with figure(1, len(panels), figsize=(1 + 3 * len(panels), 3.4), sharey=True, squeeze=False) as (drawn, axes):
        for axis, (temperature, sets) in zip(axes[0], panels.items(), strict=True):
            width = 0.8 / len(sets)
            for place, (label, shares) in enumerate(sets.items()):
                values, errors = ([getattr(share, part) for share in shares] for part in ("mean", "error"))
                where = np.arange(len(shares)) + (place - (len(sets) - 1) / 2) * width
                look = {"color": colours[label], "label": label, "error_kw": {"lw": 1}}
                axis.bar(where, values, width, yerr=errors, **look)
            axis.set(title=f"$T$ = {temperature:.4g}", xlabel="spins up in a block", xticks=range(len(shares)))
        axes[0, 0].set(ylabel="share of the blocks", yscale="log", ylim=(3e-3, 2))
        drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        record.figure(name, drawn, "Share of blocks with each number of up spins: Monte Carlo and networks")
