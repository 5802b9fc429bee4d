"""Figures without a screen, with one look."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

STYLE = {
    "figure.dpi": 120,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "legend.fontsize": 9,
}
SPIN_COLOURS = "RdBu_r"  # +1 red, -1 blue, in every picture


@contextmanager
def figure(*args: Any, **kwargs: Any) -> Iterator[tuple[Figure, Any]]:
    """`plt.subplots` in the house style; closed at the end of the block."""
    with plt.rc_context(STYLE):
        drawn, axes = plt.subplots(*args, **kwargs)
        try:
            yield drawn, axes
        finally:
            plt.close(drawn)


def show_spins(axes: Any, spins: Any, title: str = "") -> Any:
    """Draw one configuration (y, x) with values from -1 to 1."""
    image = axes.imshow(spins, cmap=SPIN_COLOURS, vmin=-1, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[], title=title)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def draw_history(record: Any, history: Any) -> None:
    """Figure `history`: training and validation loss over the epochs, on a logarithmic axis."""
    epochs = [epoch.epoch for epoch in history]
    with figure(figsize=(5, 3.4)) as (drawn, axis):
        axis.semilogy(epochs, [epoch.train_loss for epoch in history], label="training")
        axis.semilogy(epochs, [epoch.validation_loss for epoch in history], label="validation")
        axis.set(xlabel="epoch", ylabel="mean squared error per site")
        axis.legend()
        record.figure("history", drawn)


def draw_predictions(record: Any, spins: Any, target: Any, predictions: dict[str, Any]) -> None:
    """Figure `predictions`: one row a configuration; spins, target, then each prediction with its error map.

    All arrays are (configuration, y, x). Every error map has its own scale, written above it.
    """
    columns = 2 + 2 * len(predictions)
    with figure(len(spins), columns, figsize=(1.7 * columns, 1.9 * len(spins)), squeeze=False) as (drawn, axes):
        for row, line in enumerate(axes):
            show_spins(line[0], spins[row], "spins" if row == 0 else "")
            show_spins(line[1], target[row], "block average" if row == 0 else "")
            for column, (name, values) in enumerate(predictions.items()):
                error = values[row] - target[row]
                scale = max(float(abs(error).max()), 1e-12)
                show_spins(line[2 + 2 * column], values[row], name if row == 0 else "")
                show_spins(line[3 + 2 * column], error / scale, f"error, ±{scale:.1g}")
        record.figure("predictions", drawn)
