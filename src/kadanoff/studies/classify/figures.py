"""The figures of the stage `classify`: losses, confusions, and the learning curve."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kadanoff.learning.training import Epoch
from kadanoff.phases.regions import REGIONS
from kadanoff.project.figures import figure
from kadanoff.project.records import Recorder

MARKERS = "os^vDP"
TICKS = [name.replace("-critical", "-\ncritical") for name in REGIONS]
"""The regions in the width of a cell."""
LABELLED = "labelled images"


def draw_history(record: Recorder, history: Mapping[str, Sequence[Epoch]]) -> None:
    """Figure `history`: the losses of each epoch, a panel a system."""
    count = len(history)
    size = (1 + 2.6 * count, 3.1)
    with figure(1, count, figsize=size, sharex=True, sharey=True, squeeze=False) as (drawn, axes):
        for axis, (system, epochs) in zip(axes[0], history.items(), strict=True):
            numbers = [epoch.epoch for epoch in epochs]
            axis.plot(numbers, [epoch.train_loss for epoch in epochs], "o-", ms=3, color="0.6", label="training")
            axis.plot(numbers, [epoch.validation_loss for epoch in epochs], "o-", ms=3, color="C0", label="validation")
            axis.set(title=system, xlabel="epoch")
            axis.margins(y=0.1)
            axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes[0, 0].set_ylim(bottom=0)
        axes[0, 0].set_ylabel("cross-entropy (nats per image)")
        axes[0, -1].legend()
        record.figure("history", drawn, "Training and validation loss of the first trial on each system, over epochs")


def draw_confusions(record: Recorder, confusions: Mapping[str, NDArray[np.int64]]) -> None:
    """Figure `confusions`: images (4, 4) [true, predicted] in per cent of each true region, a panel a system."""
    count = len(confusions)
    size = (1 + 2.75 * count, 3.8)
    with figure(1, count, figsize=size, sharey=True, squeeze=False) as (drawn, axes):
        for axis, (system, table) in zip(axes[0], confusions.items(), strict=True):
            shares = 100 * table / np.maximum(table.sum(1, keepdims=True), 1)
            texts = [
                [f"{share:.1f}%\n{images}" if images else "0" for share, images in zip(*rows, strict=True)]
                for rows in zip(shares, table, strict=True)
            ]
            draw_matrix(axis, shares, texts, (0, 100), "Blues")
            axis.set(title=system, xlabel="predicted region")
            axis.set_xticks(range(len(TICKS)), TICKS, fontsize=8)
            axis.set_yticks(range(len(TICKS)), TICKS, fontsize=8)
        axes[0, 0].set_ylabel("true region")
        record.figure("confusions", drawn, "Predicted against true temperature region, all trials and test sets")


def draw_matrix(
    axis: Any, values: NDArray, texts: Sequence[Sequence[str]], limits: tuple[float, float], colours: str
) -> None:
    """Values (rows, columns) as colours between the limits, light ones low, with a text in each cell."""
    axis.imshow(values, cmap=colours, vmin=limits[0], vmax=limits[1])
    middle = sum(limits) / 2
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            ink = "white" if values[row, column] > middle else "black"
            axis.text(column, row, text, ha="center", va="center", fontsize=8, color=ink)
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)


def draw_curve(record: Recorder, curves: pd.DataFrame) -> None:
    """Figure `learning_curve`: macro-F1 over labelled images, a line for each kind of initial weights."""
    with figure(figsize=(5.2, 3.6)) as (drawn, axis):
        for number, (start, points) in enumerate(curves.groupby("start", sort=False)):
            draw_points(axis, points, f"initial weights: {start}", color=f"C{number}", fmt=f"{MARKERS[number % 6]}-")
        finish_curve(axis, set(curves.images))
        axis.legend()
        caption = "Macro-F1 over the number of labelled training images, for each kind of initial weights"
        record.figure("learning_curve", drawn, caption)


def draw_points(axis: Any, points: pd.DataFrame, label: str, beside: float = 1.0, **look: Any) -> None:
    """One learning curve (columns images, macro_f1) with its error bars, moved aside by a factor."""
    values, bars = ([getattr(score, key) for score in points.macro_f1] for key in ("mean", "error"))
    axis.errorbar(beside * points.images, values, bars, label=label, ms=5, capsize=2, **look)


def finish_curve(axis: Any, images: set[int]) -> None:
    """A logarithmic axis with the measured numbers of images as ticks."""
    axis.set(xscale="log", xlabel=LABELLED, ylabel="macro-F1")
    axis.set_xticks(sorted(images), [str(number) for number in sorted(images)])
    axis.minorticks_off()
    axis.margins(x=0.1)
