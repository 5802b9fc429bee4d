"""The figures that every trained super-resolution network has."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kadanoff.inverse.reconstruction import Reconstruction
from kadanoff.learning.fit import Fit
from kadanoff.networks.superres import Blocks, SeedKernel
from kadanoff.project.figures import figure, points, show_spins
from kadanoff.project.records import Recorder
from kadanoff.spins.exact import T_C
from kadanoff.spins.statistics import independent_mean

TEMPERATURE = r"temperature $T$ ($|J|/k_B$)"
MOST = 3  # temperatures of which configurations are shown
LINES = {"train_loss": "-", "validation_loss": "--"}


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
            for key, style in LINES.items():
                values = [getattr(epoch, key) for epoch in fit.history]
                left.plot(epochs, values, style, color=f"C{number}", lw=1, label=key.split("_")[0] + part)
        left.set(xlabel="epoch", ylabel=_loss_label(network), title=f"T = {shown.temperature:.4g}")
        left.xaxis.get_major_locator().set_params(integer=True)
        left.legend()
        if panels == 2:
            _losses_by_temperature(axes[0, 1], tests, best)
        record.figure(
            "losses", drawn, "Losses over the epochs nearest to T_c, and of the best epoch at every temperature"
        )


def _loss_label(network: nn.Module) -> str:
    if isinstance(network, SeedKernel):
        return "squared error per site + energy term"
    return f"loss per {'block' if isinstance(network, Blocks) else 'site'} (nats)"


def _losses_by_temperature(axis: Any, tests: Sequence[Reconstruction], best: Sequence[dict[str, float]]) -> None:
    temperatures = [item.temperature for item in tests]
    for key, style in LINES.items():
        label = f"{key.split('_')[0]}, best epoch"
        axis.plot(temperatures, [found[key] for found in best], style, lw=1, label=label)
    label = r"test, $-\ln P$(fine|coarse)"
    points(axis, temperatures, [independent_mean(item.nats) for item in tests], color="C3", label=label)
    axis.set(xlabel=TEMPERATURE, ylabel="nats per site")
    axis.legend()


def draw_configurations(record: Recorder, tests: Sequence[Reconstruction]) -> None:
    """Figure `configurations`: below, at and above T_c, what the rule leaves, and what is made of it."""
    places = {0, nearest([item.temperature for item in tests]), len(tests) - 1}
    shown = [tests[place] for place in sorted(places)][:MOST]
    names = {"coarse": "given", "fine": "Monte Carlo", "drawn": "drawn", "rounded": "rounded"}
    names = {key: label for key, label in names.items() if getattr(shown[0], key) is not None}
    with figure(len(shown), len(names), figsize=(1.8 * len(names), 2.0 * len(shown)), squeeze=False) as (drawn, axes):
        for line, item in zip(axes, shown, strict=True):
            for axis, (key, label) in zip(line, names.items(), strict=True):
                spins = getattr(item, key)
                size = " x ".join(map(str, spins.shape[1:]))
                title = f"T = {item.temperature:.4g}, {label} {size}" if key == "coarse" else f"{label}, {size}"
                show_spins(axis, spins[0], title)
        record.figure(
            "configurations",
            drawn,
            "Configurations below, at and above T_c: coarse, the fine ones they come from, and those that are drawn",
        )
