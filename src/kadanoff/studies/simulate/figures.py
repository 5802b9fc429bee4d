"""Figures of stage `simulate`: energies against exact ones, the order parameter, and configurations."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from kadanoff.data.description import Dataset
from kadanoff.data.store import Ensemble
from kadanoff.project.figures import figure, show_spins
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, spontaneous_magnetization

COLUMNS = 8  # pictures of configurations in a row
MARKERS = "osD^v<>P*Xh"  # as eleven are no multiple of ten colours, a hundred datasets differ
FINE = 50  # temperatures: marks of more are small
TEMPERATURE = r"temperature $T$ ($|J|/k_B$)"


def draw_observables(record: Any, table: pd.DataFrame, datasets: Mapping[str, Dataset]) -> None:
    """Deviation of every energy from the exact one, and <|m|>, over temperature."""
    table = table.reindex(columns=table.columns.union(["deviation", "absolute_staggered_magnetization"]))
    with figure(1, 2, figsize=(10.5, 3.8)) as (drawn, (left, right)):
        left.axhspan(-2, 2, color="0.92")
        for index, (name, rows) in enumerate(table.groupby("dataset", sort=False)):
            mark = {"marker": MARKERS[index % len(MARKERS)], "ms": 2 if len(rows) > FINE else 4}
            mark |= {"ls": "", "label": name}
            left.plot(rows.temperature, rows.deviation, **mark)
            order = rows.absolute_staggered_magnetization.fillna(rows.absolute_magnetization)
            right.plot(rows.temperature, order, **mark)
        found = [each.temperatures for each in datasets.values() if orders_as_yang(each.lattice, each.field)]
        if several := [temperatures for temperatures in found if len(temperatures) > 1]:
            grid = np.linspace(min(map(min, several)), max(map(max, several)), 400)
            right.plot(grid, spontaneous_magnetization(grid), color="0.5", lw=1, label="exact, infinite (Yang 1952)")
        left.set(xlabel=TEMPERATURE, ylabel="energy less exact energy (standard errors)")
        right.set(xlabel=TEMPERATURE, ylabel=r"$\langle|m|\rangle$ per site", ylim=(-0.03, 1.05))
        drawn.legend(*right.get_legend_handles_labels(), loc="outside right upper", fontsize=7)
        shows = "Left: energies less the exact ones of the same lattices, two standard errors shaded. Right: the order"
        record.figure("observables", drawn, f"{shows} parameter, of antiferromagnets the staggered magnetization")


def orders_as_yang(lattice: Lattice, field: float) -> bool:
    """Whether the order of large lattices is Yang's: no boundary forces a wall, no odd side frustrates."""
    frustrated = lattice.coupling < 0 and lattice.boundary == "periodic" and any(side % 2 for side in lattice.shape)
    return lattice.dimension == 2 and lattice.boundary in ("periodic", "free") and not field and not frustrated


def draw_configurations(record: Any, ensembles: Mapping[str, Ensemble]) -> None:
    """The first sample of every dataset at its coldest temperature, the one nearest to T_c, and its hottest."""
    pictures = []
    for name, ensemble in ensembles.items():
        known = ensemble.temperatures
        places = {int(known.argmin()), int(np.abs(known - T_C).argmin()), int(known.argmax())}
        pictures += [(f"{name}\n$T$ = {known[place]:.4g}", ensemble, place) for place in sorted(places)]
    rows = -(-len(pictures) // COLUMNS)
    with figure(rows, COLUMNS, figsize=(1.3 * COLUMNS, 1.6 * rows), squeeze=False) as (drawn, axes):
        for axis in axes.flat[len(pictures) :]:
            axis.axis("off")
        for axis, (title, ensemble, place) in zip(axes.flat, pictures, strict=False):
            show_spins(axis, np.atleast_2d(ensemble.read(place, slice(0, 1))[0]), title)
            axis.title.set_fontsize(6)
        record.figure("configurations", drawn, "One configuration of each dataset: coldest, nearest to T_c, hottest")
