"""The figures of the stage `grow`."""

from typing import Any

import numpy as np
from matplotlib.patches import Rectangle

from kadanoff.data.pyramid import FACTOR
from kadanoff.data.zoom import means_of, nested_pictures
from kadanoff.inverse.growth import Rows
from kadanoff.project.figures import figure, points, show_spins
from kadanoff.project.records import Recorder
from kadanoff.spins.exact import AMPLITUDE, critical_row
from kadanoff.spins.statistics import independent_mean
from kadanoff.studies.grow.tables import Grown

LOOKS: dict[str, dict[str, Any]] = {
    "Monte Carlo": {"color": "black", "marker": "o"},
    "raw": {"color": "C1", "marker": "s"},
    "refined": {"color": "C0", "marker": "^"},
}
SHIFTS = {"Monte Carlo": 1.03, "raw": 1.0, "refined": 0.97}  # so that error bars do not hide each other
PIXELS, GAP, MARGIN = 256, 16, 28  # of a picture of the cascade: its side, and what is beside and above it
DOTS = 120  # per inch


def draw_correlations(record: Recorder, found: Grown) -> None:
    """Figure `correlations`: G(r) at every size, and its deviation from that of the exact torus."""
    columns = len(found.truth)
    with figure(2, columns, figsize=(5 * columns, 6.4), squeeze=False, sharex="col") as (drawn, axes):
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
            above.set(xscale="log", title=f"$L$ = {truth.side}", ylabel=r"$G(r)\, r^{1/4}$")
            below.set_yscale("symlog", linthresh=1, linscale=1)  # tenths of a percent at small r, tens at large
            below.set_yticks([-10, -1, 0, 1, 10], ["-10", "-1", "0", "1", "10"])
            below.set(xlabel="distance $r$", ylabel="deviation from exact (%)")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        caption = (
            "Spin correlation G(r) of grown lattices and of Monte Carlo at each size, and its deviation from exact"
        )
        record.figure("correlations", drawn, caption)


def draw_cascade(record: Recorder, spins: Rows) -> None:
    """Figure `cascade`: a lattice, its middle, and the middle of that; a pixel is the majority of a block of spins.

    Pictures are drawn pixel by pixel: what is scaled by other factors is grey noise at T_c.
    """
    pictures = nested_pictures(means_of(spins), len(spins), pixels=PIXELS)
    count, height = len(pictures), PIXELS + MARGIN
    whole = {"left": 0, "right": 1, "bottom": 0, "top": PIXELS / height, "wspace": GAP / PIXELS}
    size = ((count * (PIXELS + GAP) - GAP) / DOTS, height / DOTS)
    with figure(1, count, figsize=size, layout="none", dpi=DOTS, gridspec_kw=whole, squeeze=False) as (drawn, axes):
        for number, (axis, picture) in enumerate(zip(axes[0], pictures, strict=True)):
            side = len(picture) * FACTOR ** (count - 1 - number)
            show_spins(axis, np.where(picture > 0, 1, -1), f"{side} x {side} of {len(spins)} x {len(spins)}")
            if number < count - 1:
                inner = len(picture) / FACTOR
                corner = (len(picture) - inner) / 2 - 0.5
                axis.add_patch(Rectangle((corner, corner), inner, inner, fill=False, color="C1", lw=2))
        record.figure("cascade", drawn, "One grown lattice over some scales, each picture the square in the one before")
