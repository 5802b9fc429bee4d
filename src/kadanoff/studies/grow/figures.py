"""The figures of the stage `grow`."""

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from kadanoff.data.pyramid import FACTOR
from kadanoff.data.zoom import means_of, nested_pictures, zoom_page
from kadanoff.estimate import Estimate
from kadanoff.inverse.growth import Rows
from kadanoff.inverse.measurement import Measurements
from kadanoff.project.figures import figure, points, show_spins
from kadanoff.project.records import Recorder
from kadanoff.spins.exact import AMPLITUDE, STRUCTURE, critical_row
from kadanoff.spins.statistics import independent_mean
from kadanoff.studies.grow.tables import Grown

LOOKS: dict[str, dict[str, Any]] = {
    "Monte Carlo": {"color": "k", "fmt": "o"},
    "raw": {"color": "C1", "fmt": "s"},
    "refined": {"color": "C0", "fmt": "o"},
}
SHIFTS = {"Monte Carlo": 1.03, "raw": 1.0, "refined": 0.97}  # so that error bars do not hide each other
PIXELS, PICTURES = 256, 5  # side of a picture of the cascade, and their number
DOTS = 120  # per inch


def draw_correlations(record: Recorder, found: Grown) -> None:
    """Figure `correlations`: G(r) at every size, and its deviation from that of the exact torus."""
    columns = len(found.truth)
    with figure(2, columns, figsize=(5.4 * columns, 6.4), squeeze=False, sharex="col") as (drawn, axes):
        for column, truth in enumerate(found.truth):
            above, below = axes[:, column]
            r = np.unique(np.geomspace(1, truth.side // 4, 40).round().astype(int))
            exact = np.array([critical_row(distance, truth.side) for distance in r.tolist()])
            above.plot(r, exact * r**0.25, color="0.5", lw=1, label="exact torus")
            below.axhline(0, color="0.5", lw=1)
            for kind, levels in found.kinds().items():
                means = [independent_mean(levels[column].correlation[:, distance]) for distance in r]
                scaled = [mean * distance**0.25 for mean, distance in zip(means, r.tolist(), strict=True)]
                off = [mean / value - 1 for mean, value in zip(means, exact.tolist(), strict=True)]
                points(above, r * SHIFTS[kind], scaled, label=kind, ms=3, **LOOKS[kind])
                points(below, r * SHIFTS[kind], off, 100, ms=3, **LOOKS[kind])
            above.axhline(AMPLITUDE, color="0.6", lw=1, ls="--", label=r"0.70338, $1 \ll r \ll L$")
            above.set(xscale="log", title=f"L = {truth.side}", ylabel=r"$G(r)\, r^{1/4}$")
            below.set(xlabel="distance r", ylabel="deviation from exact (%)")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        caption = (
            "Spin correlation G(r) of grown lattices and of Monte Carlo at each size, and its deviation from exact"
        )
        record.figure("correlations", drawn, caption)


def draw_structure(record: Recorder, found: Grown) -> None:
    """Figure `structure`: S(k) k^(7/4) along the axes, which is flat at small k."""
    with figure(1, len(found.truth), figsize=(5.4 * len(found.truth), 3.8), squeeze=False) as (drawn, axes):
        for column, (axis, truth) in enumerate(zip(axes[0], found.truth, strict=True)):
            edges = np.unique(np.geomspace(1, truth.side // 2 + 1, 25).round().astype(int))
            for kind, levels in found.kinds().items():
                k, values = _binned(levels[column], edges)
                points(axis, k * SHIFTS[kind], values, label=kind, ms=3, **LOOKS[kind])
            axis.axhline(STRUCTURE, color="0.6", lw=1, ls="--", label=rf"{STRUCTURE:.3f}, $1/L \ll k \ll 1$")
            axis.set(xscale="log", xlabel="wave number k", ylabel=r"$S(k)\, k^{7/4}$", title=f"L = {truth.side}")
            axis.set_ylim(bottom=0)
        axes[0, 0].legend(loc="lower right")
        caption = (
            "Structure factor S(k), times its critical power of k, of grown lattices and of Monte Carlo at each size"
        )
        record.figure("structure", drawn, caption)


def _binned(found: Measurements, edges: NDArray[np.int64]) -> tuple[NDArray[np.float64], list[Estimate]]:
    k = 2 * np.pi * np.arange(found.structure.shape[1]) / found.side
    scaled = found.structure * k**1.75
    bins = [slice(first, last) for first, last in pairwise(edges)]
    centres = np.array([np.exp(np.log(k[part]).mean()) for part in bins])
    return centres, [independent_mean(scaled[:, part].mean(1)) for part in bins]


def draw_cascade(record: Recorder, spins: Rows) -> None:
    """Figure `cascade`: one lattice over five scales; a pixel is the majority of a block, or a part of a spin.

    Pictures are drawn pixel by pixel: what is scaled by other factors is grey noise at T_c.
    """
    gap, margin = 16, 28
    width, height = PICTURES * PIXELS + (PICTURES - 1) * gap, PIXELS + margin
    with figure(1, PICTURES, figsize=(width / DOTS, height / DOTS), layout="none", dpi=DOTS) as (drawn, axes):
        for number, (axis, (picture, side)) in enumerate(zip(axes, _cascade(spins), strict=True)):
            axis.set_position([number * (PIXELS + gap) / width, 0, PIXELS / width, PIXELS / height])
            show_spins(axis, picture, f"{side} x {side} of {len(spins)} x {len(spins)}")
            axis.title.set_fontsize(8)
            if number < PICTURES - 1:
                inner = PIXELS / FACTOR
                corner = (PIXELS - inner) / 2 - 0.5
                axis.add_patch(Rectangle((corner, corner), inner, inner, fill=False, color="#ffd400", lw=2))
        record.figure("cascade", drawn, "One grown lattice over five scales, each picture the square in the one before")


def _cascade(spins: Rows) -> list[tuple[Rows, int]]:
    """Pictures of the middle of a lattice, each of a third of the side before, and their sides in spins."""
    pictures = []
    for level in range(PICTURES):
        side = max(1, len(spins) // FACTOR**level)
        block = max(1, side // PIXELS)
        shown = min(side // block, PIXELS)
        first = (len(spins) - block * shown) // 2
        part = spins[first : first + block * shown, first : first + block * shown]
        blocks = part.reshape(shown, block, shown, block)
        total = blocks.sum((1, 3), dtype=np.int64)
        majority = np.where(total == 0, blocks[:, 0, :, 0], np.sign(total)).astype(np.int8)
        pixels = np.arange(PIXELS) * shown // PIXELS
        pictures.append((majority[np.ix_(pixels, pixels)], block * shown))
    return pictures


def zoom_page_of(spins: Rows) -> str:
    """A page that zooms into one lattice."""
    pictures = nested_pictures(means_of(spins), len(spins))
    return zoom_page(pictures, FACTOR, f"A critical lattice grown to {len(spins):,} × {len(spins):,}")
