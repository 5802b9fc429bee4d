"""The figures of the stage `grow`."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.pyramid import FACTOR
from kadanoff.data.zoom import means_of, nested_pictures, zoom_page
from kadanoff.inverse.growth import Rows
from kadanoff.inverse.measurement import Survey
from kadanoff.project.figures import figure, show_spins
from kadanoff.project.records import Recorder
from kadanoff.spins.exact import AMPLITUDE, STRUCTURE, critical_row
from kadanoff.studies.grow.tables import Grown

LOOKS = {"Monte Carlo": ("k", "o"), "raw": ("C1", "s"), "refined": ("C0", "o")}
SHIFTS = {"Monte Carlo": 1.03, "raw": 1.0, "refined": 0.97}  # so that error bars do not hide each other
SCALES = 5


def _distances(side: int) -> NDArray[np.int64]:
    return np.unique(np.geomspace(1, side // 4, 40).round().astype(int))


def _mean(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))


def draw_correlations(record: Recorder, found: Grown) -> None:
    """Figure `correlations`: G(r) at every size, and what is left after that of the exact torus."""
    columns = len(found.truth)
    with figure(2, columns, figsize=(5.4 * columns, 6.4), squeeze=False, sharex="col") as (drawn, axes):
        for column, truth in enumerate(found.truth):
            above, below = axes[:, column]
            r = _distances(truth.side)
            exact = np.array([critical_row(place, truth.side) for place in r.tolist()])
            above.plot(r, exact * r**0.25, color="0.5", lw=1, label="exact torus")
            below.axhline(0, color="0.5", lw=1)
            for kind, surveys in found.kinds().items():
                mean, error = _mean(surveys[column].correlation[:, r])
                colour, marker = LOOKS[kind]
                look: dict[str, Any] = {"color": colour, "marker": marker, "ms": 3, "lw": 0, "elinewidth": 1}
                shifted = r * SHIFTS[kind]
                above.errorbar(shifted, mean * r**0.25, error * r**0.25, label=kind, **look)
                below.errorbar(shifted, 100 * (mean / exact - 1), 100 * error / exact, **look)
            above.axhline(AMPLITUDE, color="0.6", lw=1, ls="--", label=r"0.70338, $1 \ll r \ll L$")
            above.set(xscale="log", title=f"L = {truth.side}", ylabel=r"$G(r)\, r^{1/4}$")
            below.set(xlabel="distance r", ylabel="less exact (%)")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        record.figure("correlations", drawn)


def draw_structure(record: Recorder, found: Grown) -> None:
    """Figure `structure`: S(k) k^(7/4) along the axes, which is flat at small k."""
    with figure(1, len(found.truth), figsize=(5.4 * len(found.truth), 3.8), squeeze=False) as (drawn, axes):
        for column, (axis, truth) in enumerate(zip(axes[0], found.truth, strict=True)):
            edges = np.unique(np.geomspace(1, truth.side // 2 + 1, 25).round().astype(int))
            for kind, surveys in found.kinds().items():
                k, mean, error = _binned(surveys[column], edges)
                colour, marker = LOOKS[kind]
                look: dict[str, Any] = {"color": colour, "marker": marker, "ms": 3, "lw": 0, "elinewidth": 1}
                axis.errorbar(k * SHIFTS[kind], mean, error, label=kind, **look)
            axis.axhline(STRUCTURE, color="0.6", lw=1, ls="--", label=rf"{STRUCTURE:.3f}, $1/L \ll k \ll 1$")
            axis.set(xscale="log", xlabel="wave number k", ylabel=r"$S(k)\, k^{7/4}$", title=f"L = {truth.side}")
            axis.set_ylim(bottom=0)
        axes[0, 0].legend(loc="lower right")
        record.figure("structure", drawn)


def _binned(found: Survey, edges: NDArray[np.int64]) -> tuple[NDArray, NDArray, NDArray]:
    k = 2 * np.pi * np.arange(found.structure.shape[1]) / found.side
    scaled = found.structure * k**1.75
    bins = [slice(first, last) for first, last in pairwise(edges)]
    values = np.stack([scaled[:, part].mean(1) for part in bins], 1)
    return np.array([np.exp(np.log(k[part]).mean()) for part in bins]), *_mean(values)


def draw_cascade(record: Recorder, spins: Rows) -> None:
    """Figure `cascade`: one lattice over five scales; each picture is the square in the one before it."""
    pictures = nested_pictures(means_of(spins), len(spins))
    blocks = [FACTOR**level for level in reversed(range(len(pictures)))]
    while len(pictures) < SCALES:
        inner = len(pictures[-1]) // FACTOR
        first = (len(pictures[-1]) - inner) // 2
        pictures.append(pictures[-1][first : first + inner, first : first + inner])
        blocks.append(1)
    with figure(1, SCALES, figsize=(3.4 * SCALES, 3.7), squeeze=False) as (drawn, axes):
        for number, (axis, means, block) in enumerate(zip(axes[0], pictures, blocks, strict=True)):
            side = block * len(means)
            # means of critical spins shrink as b^(-1/8)
            show_spins(axis, np.clip(means * block**0.125, -1, 1), f"{side} x {side} of {len(spins)} x {len(spins)}")
            if number < SCALES - 1:
                width = len(means) / FACTOR
                axis.add_patch(_square((len(means) - width) / 2, width))
        record.figure("cascade", drawn)


def _square(place: float, side: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((place - 0.5, place - 0.5), side, side, fill=False, color="#ffd400", lw=2)


def page(spins: Rows) -> str:
    """A page that zooms into one lattice."""
    return zoom_page(
        nested_pictures(means_of(spins), len(spins)),
        FACTOR,
        f"A critical lattice grown to {len(spins):,} × {len(spins):,}",
    )
