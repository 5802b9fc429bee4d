"""Figures of stage `simulate`: energies against exact ones, the order parameter, and configurations."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.description import Dataset
from kadanoff.data.store import Ensemble
from kadanoff.project.figures import figure, show_spins
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, spontaneous_magnetization

COLUMNS = 8  # pictures of configurations in a row
MARKERS = "osD^v<>P*Xh"  # as eleven are no multiple of ten colours, a hundred datasets differ
FINE = 50  # temperatures: marks of more are small
TEMPERATURE = r"temperature $T$ ($|J|/k_B$)"

Rows = Sequence[Mapping[str, Any]]


def draw_observables(record: Any, rows: Mapping[str, Rows], datasets: Mapping[str, Dataset]) -> None:
    """Deviation of every energy from the exact one, and <|m|>, over temperature."""
    with figure(1, 2, figsize=(10.5, 3.8)) as (drawn, (left, right)):
        left.axhspan(-2, 2, color="0.92")
        for index, (name, own) in enumerate(rows.items()):
            mark = {"marker": MARKERS[index % len(MARKERS)], "ms": 2 if len(own) > FINE else 4, "ls": "", "label": name}
            known = [(row["temperature"], row["deviation"]) for row in own if "deviation" in row]
            left.plot(*np.array(known or np.empty((0, 2))).T, **mark)
            right.plot(*np.array([(row["temperature"], _order(row)) for row in own]).T, **mark)
        _draw_exact(right, datasets.values())
        left.set(xlabel=TEMPERATURE, ylabel="energy less exact energy (standard errors)")
        right.set(xlabel=TEMPERATURE, ylabel=r"$\langle|m|\rangle$ per site", ylim=(-0.03, 1.05))
        drawn.legend(*right.get_legend_handles_labels(), loc="outside right upper", fontsize=7)
        shows = "Left: energies less the exact ones of the same lattices, two standard errors shaded. Right: the order"
        record.figure("observables", drawn, f"{shows} parameter, of antiferromagnets the staggered magnetization")


def _order(row: Mapping[str, Any]) -> float:
    return row.get("absolute_staggered_magnetization", row["absolute_magnetization"])


def _draw_exact(axis: Any, datasets: Iterable[Dataset]) -> None:
    """Yang's curve, where lattices that order like the infinite one have several temperatures."""
    found = [each.temperatures for each in datasets if orders_as_yang(each.lattice, each.field)]
    several = [temperatures for temperatures in found if len(temperatures) > 1]
    if several:
        grid = np.linspace(min(map(min, several)), max(map(max, several)), 400)
        axis.plot(grid, spontaneous_magnetization(grid), color="0.5", lw=1, label="exact, infinite (Yang 1952)")


def orders_as_yang(lattice: Lattice, field: float) -> bool:
    """Whether the order of large lattices is Yang's: no boundary forces a wall, no odd side frustrates."""
    frustrated = lattice.coupling < 0 and lattice.boundary == "periodic" and any(side % 2 for side in lattice.shape)
    return lattice.dimension == 2 and lattice.boundary in ("periodic", "free") and not field and not frustrated


def draw_configurations(record: Any, ensembles: Mapping[str, Ensemble]) -> None:
    """The first sample of every dataset at its coldest temperature, the one nearest to T_c, and its hottest."""
    pictures = [(name, place) for name, ensemble in ensembles.items() for place in _places(ensemble.temperatures)]
    rows = -(-len(pictures) // COLUMNS)
    with figure(rows, COLUMNS, figsize=(1.3 * COLUMNS, 1.6 * rows), squeeze=False) as (drawn, axes):
        for axis in axes.flat[len(pictures) :]:
            axis.axis("off")
        for axis, (name, place) in zip(axes.flat, pictures, strict=False):
            spins = np.atleast_2d(ensembles[name].read(place, slice(0, 1))[0])
            show_spins(axis, spins, f"{name}\n$T$ = {ensembles[name].temperatures[place]:.4g}")
            axis.title.set_fontsize(6)
        record.figure("configurations", drawn, "One configuration of each dataset: coldest, nearest to T_c, hottest")


def _places(temperatures: NDArray[np.float64]) -> list[int]:
    return sorted({int(temperatures.argmin()), int(np.abs(temperatures - T_C).argmin()), int(temperatures.argmax())})
