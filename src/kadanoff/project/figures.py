"""Figures without a screen, with one look."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure

from kadanoff.estimate import Estimate

STYLE: Any = {
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
def figure(
    rows: int = 1, columns: int = 1, *, figsize: Any = None, dpi: Any = None, layout: Any = None, **subplots: Any
) -> Iterator[tuple[Figure, Any]]:
    """A figure in the house style and its axes, as `pyplot.subplots` gives them; pyplot would take longer to load."""
    with style.context(["default", STYLE]):  # whatever a library or a matplotlibrc has set
        drawn = Figure(figsize, dpi, layout=layout)
        yield drawn, drawn.subplots(rows, columns, **subplots)


def points(axes: Any, where: Any, estimates: Sequence[Estimate], scale: float = 1.0, **look: Any) -> None:
    """Draw estimates, times `scale`, with their error bars."""
    values, errors = (scale * np.array([getattr(item, key) for item in estimates]) for key in ("mean", "error"))
    axes.errorbar(where, values, errors, **({"fmt": "o", "ms": 3.5, "capsize": 1.5, "lw": 1} | look))


def show_spins(axes: Any, spins: Any, title: str = "") -> Any:
    """Draw one configuration (y, x) with values from -1 to 1."""
    image = axes.imshow(spins, cmap=SPIN_COLOURS, vmin=-1, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[], title=title)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image
