"""The figures of the stage `classify`: losses, confusions, and the learning curve."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.phases.regions import REGIONS
from kadanoff.project.figures import figure
from kadanoff.project.records import Recorder

MARKERS = "os^vDP"
TICKS = [name.replace("-critical", "-\ncritical") for name in REGIONS]
"""The regions in the width of a cell."""
LABELLED = "labelled images"


def draw_history(record: Recorder, history: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Figure `history`: `train_loss` and `validation_loss` of each epoch, a panel a system."""
    count = len(history)
    size = (1 + 2.6 * count, 3.1)
    with figure(1, count, figsize=size, sharex=True, sharey=True, squeeze=False) as (drawn, axes):
        for axis, (system, epochs) in zip(axes[0], history.items(), strict=True):
            numbers = range(1, len(epochs) + 1)
            axis.plot(numbers, [losses["train_loss"] for losses in epochs], "o-", ms=3, color="0.6", label="training")
            validation = [losses["validation_loss"] for losses in epochs]
            axis.plot(numbers, validation, "o-", ms=3, color="C0", label="validation")
            axis.set(title=system, xlabel="epoch")
            axis.margins(y=0.1)
            axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes[0, 0].set_ylim(bottom=0)
        axes[0, 0].set_ylabel("cross-entropy (nats an image)")
        axes[0, -1].legend()
        record.figure("history", drawn)


def draw_confusions(record: Recorder, confusions: Mapping[str, NDArray[np.int64]]) -> None:
    """Figure `confusions`: images (4, 4) [true, said] in per cent of each true region, a panel a system."""
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
            axis.set(title=system, xlabel="region said")
            axis.set_xticks(range(len(TICKS)), TICKS, fontsize=8)
            axis.set_yticks(range(len(TICKS)), TICKS, fontsize=8)
        axes[0, 0].set_ylabel("true region")
        record.figure("confusions", drawn)


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


def draw_curve(record: Recorder, curve: Mapping[str, Mapping[int, Estimate]]) -> None:
    """Figure `learning_curve`: macro-F1 over labelled images, a line for each kind of first weights."""
    with figure(figsize=(5.2, 3.6)) as (drawn, axis):
        for number, (weights, points) in enumerate(curve.items()):
            draw_points(axis, points, f"weights: {weights}", color=f"C{number}", fmt=f"{MARKERS[number % 6]}-")
        finish_curve(axis, {images for points in curve.values() for images in points})
        axis.legend()
        record.figure("learning_curve", drawn)


def draw_points(axis: Any, points: Mapping[int, Estimate], label: str, beside: float = 1.0, **look: Any) -> None:
    """One learning curve with its error bars, moved aside by a factor."""
    values, bars = ([getattr(points[images], key) for images in sorted(points)] for key in ("mean", "error"))
    axis.errorbar(beside * np.array(sorted(points)), values, bars, label=label, ms=5, capsize=2, **look)


def finish_curve(axis: Any, images: set[int]) -> None:
    """A logarithmic axis with the measured numbers of images as ticks."""
    axis.set(xscale="log", xlabel=LABELLED, ylabel="macro-F1")
    axis.set_xticks(sorted(images), [str(number) for number in sorted(images)])
    axis.minorticks_off()
    axis.margins(x=0.1)
