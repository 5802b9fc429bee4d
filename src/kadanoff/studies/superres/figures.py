"""The figures that every variant of `superres` has, and what the others share."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kadanoff.estimate import Estimate
from kadanoff.learning.fit import Fit
from kadanoff.project.figures import figure, show_spins
from kadanoff.project.records import Recorder
from kadanoff.spins.statistics import independent_mean
from kadanoff.studies.superres.measure import Tested, nearest

TEMPERATURE = r"temperature $T$ ($|J|/k_B$)"
MOST = 3  # temperatures of which configurations are shown
LINES = {"train_loss": "-", "validation_loss": "--"}


def points(axis: Any, where: Any, estimates: Sequence[Estimate], scale: float = 1.0, **look: Any) -> None:
    """Draw estimates with their error bars."""
    values, errors = (scale * np.array([getattr(item, key) for item in estimates]) for key in ("mean", "error"))
    axis.errorbar(where, values, errors, **({"fmt": "o", "ms": 3.5, "capsize": 1.5, "lw": 1} | look))


def less(estimates: Sequence[Estimate], exact: Sequence[float]) -> list[Estimate]:
    """Estimates less exact values."""
    return [Estimate(item.mean - value, item.error, n=item.n) for item, value in zip(estimates, exact, strict=True)]


def draw_losses(
    record: Recorder, fits: Sequence[Fit], tested: Sequence[Tested], best: Sequence[dict[str, float]], label: str
) -> None:
    """Figure `losses`: over the epochs for the network nearest to T_c, and at the end for every temperature.

    `label` says what the loss is.
    """
    shown = tested[nearest([item.temperature for item in tested])]
    panels = min(2, len(tested))
    with figure(1, panels, figsize=(5 * panels, 3.7), squeeze=False) as (drawn, axes):
        left = axes[0, 0]
        for number, found in enumerate(fits):
            part = f", part {number + 1} of a draw" if len(fits) > 1 else ""
            epochs = [epoch.epoch for epoch in found.history]
            for key, style in LINES.items():
                values = [getattr(epoch, key) for epoch in found.history]
                left.plot(epochs, values, style, color=f"C{number}", lw=1, label=key.split("_")[0] + part)
        left.set(xlabel="epoch", ylabel=label, title=f"T = {shown.temperature:.4g}")
        left.xaxis.get_major_locator().set_params(integer=True)
        left.legend()
        if panels == 2:
            _losses_by_temperature(axes[0, 1], tested, best)
        record.figure("losses", drawn)


def _losses_by_temperature(axis: Any, tested: Sequence[Tested], best: Sequence[dict[str, float]]) -> None:
    temperatures = [item.temperature for item in tested]
    for key, style in LINES.items():
        label = f"{key.split('_')[0]}, best epoch"
        axis.plot(temperatures, [found[key] for found in best], style, lw=1, label=label)
    label = r"test, $-\ln P$(fine|coarse)"
    points(axis, temperatures, [independent_mean(item.nats) for item in tested], color="C3", label=label)
    axis.set(xlabel=TEMPERATURE, ylabel="nats per site")
    axis.legend()


def draw_configurations(record: Recorder, tested: Sequence[Tested]) -> None:
    """Figure `configurations`: below, at and above T_c, what the rule leaves, and what is made of it."""
    places = {0, nearest([item.temperature for item in tested]), len(tested) - 1}
    shown = [tested[place] for place in sorted(places)][:MOST]
    names = {"coarse": "given", "fine": "Monte Carlo", "drawn": "drawn", "rounded": "rounded"}
    names = {key: label for key, label in names.items() if getattr(shown[0], key) is not None}
    with figure(len(shown), len(names), figsize=(2.1 * len(names), 2.3 * len(shown)), squeeze=False) as (drawn, axes):
        for line, item in zip(axes, shown, strict=True):
            for axis, (key, label) in zip(line, names.items(), strict=True):
                spins = np.atleast_2d(getattr(item, key)[0])
                size = " x ".join(str(side) for side in getattr(item, key).shape[1:])
                title = f"T = {item.temperature:.4g}, {label} {size}" if key == "coarse" else f"{label}, {size}"
                show_spins(axis, spins, title)
        record.figure("configurations", drawn)
