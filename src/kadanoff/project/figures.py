"""Figures without a screen, with one look: that of `kadanoff/style.mplstyle`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure

from kadanoff.estimate import Estimate

MARKERS = "os^Dv<X>P*h"  # no multiple of the seven colours, so that 77 series differ; and up to eleven in grey


@contextmanager
def figure(
    rows: int = 1, columns: int = 1, *, figsize: Any = None, dpi: Any = None, layout: Any = None, **subplots: Any
) -> Iterator[tuple[Figure, Any]]:
    """A figure in the house style and its axes, as `pyplot.subplots` gives them; pyplot would take longer to load."""
    with style.context(["default", "kadanoff.style"]):  # whatever a library or a matplotlibrc has set
        drawn = Figure(figsize, dpi, layout=layout)
        yield drawn, drawn.subplots(rows, columns, **subplots)


def series(number: int) -> dict[str, Any]:
    """Colour and marker of one of several series."""
    return {"color": f"C{number}", "marker": MARKERS[number % len(MARKERS)]}


def points(axes: Any, where: Any, estimates: Sequence[Estimate], scale: float = 1.0, **look: Any) -> None:
    """Draw estimates, times `scale`, with their error bars."""
    values, errors = (scale * np.array([getattr(item, key) for item in estimates]) for key in ("mean", "error"))
    axes.errorbar(where, values, errors, **({"marker": "o", "ls": ""} | look))


def show_spins(axes: Any, spins: Any, title: str = "") -> Any:
    """Draw one configuration (y, x) with values from -1, dark, to 1, light."""
    image = axes.imshow(spins, vmin=-1, vmax=1)
    axes.set(xticks=[], yticks=[], title=title)
    axes.spines[:].set(visible=True, color="0.5", linewidth=0.6)
    return image
