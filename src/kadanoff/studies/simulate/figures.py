"""The figures of a dataset with several temperatures."""

from typing import Any

import numpy as np

from kadanoff.data.description import Dataset
from kadanoff.data.store import Ensemble
from kadanoff.montecarlo.quality import FINE, exact_energy
from kadanoff.project.figures import figure, show_spins
from kadanoff.project.records import Recorder
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import spontaneous_magnetization

MOST_SHOWN = 8  # configurations in a figure
CURVE = 30  # temperatures of an exact curve, each a sum over the modes of the lattice
TEMPERATURE = r"temperature $T$ ($|J|/k_B$)"
Rows = list[dict[str, Any]]


def draw_observables(record: Recorder, rows: Rows, dataset: Dataset) -> None:
    """Figure `observables`: energy and order of the rows of `montecarlo.quality.compare`, with exact curves."""
    lattice = dataset.lattice
    with figure(1, 2, figsize=(9, 3.6)) as (drawn, (left, right)):
        _draw_energy(left, rows, lattice, dataset.field)
        _draw_order(right, rows, lattice, dataset.field)
        for axis, corner in ((left, "upper left"), (right, "upper right")):
            axis.set_xlabel(TEMPERATURE)
            axis.legend(loc=corner)
        record.figure("observables", drawn, "Energy and order per site over temperature, beside exact curves")


def draw_configurations(record: Recorder, ensemble: Ensemble) -> None:
    """Figure `configurations`: the first sample at up to eight temperatures, from cold to hot."""
    temperatures = ensemble.temperatures
    places = np.linspace(0, len(temperatures) - 1, min(len(temperatures), MOST_SHOWN)).round().astype(int)
    with figure(1, len(places), figsize=(1.5 * len(places), 1.9), squeeze=False) as (drawn, axes):
        for place, axis in zip(np.argsort(temperatures)[places], axes[0], strict=True):
            show_spins(axis, np.atleast_2d(ensemble.spins[place, 0]), f"T = {temperatures[place]:.4g}")
        record.figure("configurations", drawn, "One configuration at each of some temperatures")


def _points(axis: Any, rows: Rows, name: str, colour: str) -> None:
    values, errors = ([row[f"{name}{end}"] for row in rows] for end in ("", "_error"))
    size = 4 if len(rows) <= FINE else 1.5
    axis.errorbar(
        [row["temperature"] for row in rows], values, errors, fmt="o", ms=size, color=colour, label="simulated"
    )


def _draw_energy(axis: Any, rows: Rows, lattice: Lattice, field: float) -> None:
    temperatures = [row["temperature"] for row in rows]
    if len(rows) > FINE:  # fine enough to be the curve themselves
        exact = [(row["temperature"], row.get("energy_exact")) for row in rows]
    else:
        grid = np.linspace(min(temperatures), max(temperatures), CURVE)
        exact = [(temperature, exact_energy(lattice, temperature, field)) for temperature in grid]
    if all(value is not None for _, value in exact):
        axis.plot(*zip(*exact, strict=True), color="0.5", label=f"exact, {lattice.height} x {lattice.width}")
    _points(axis, rows, "energy", "C0")
    axis.set_ylabel(r"energy per site $e$ ($|J|$)")


def _draw_order(axis: Any, rows: Rows, lattice: Lattice, field: float) -> None:
    staggered = lattice.coupling < 0
    if orders_as_yang(lattice, field):
        temperatures = [row["temperature"] for row in rows]
        grid = np.linspace(min(temperatures), max(temperatures), 400)
        axis.plot(grid, spontaneous_magnetization(grid), color="0.5", label="exact, infinite lattice (Yang)")
    _points(axis, rows, "absolute_staggered_magnetization" if staggered else "absolute_magnetization", "C3")
    axis.set_ylim(-0.03, 1.05)
    axis.set_ylabel(r"staggered $\langle|m|\rangle$ per site" if staggered else r"$\langle|m|\rangle$ per site")


def orders_as_yang(lattice: Lattice, field: float) -> bool:
    """Whether the order of large lattices is Yang's: no boundary forces a wall, no odd side frustrates."""
    frustrated = lattice.coupling < 0 and lattice.boundary == "periodic" and any(side % 2 for side in lattice.shape)
    return lattice.dimension == 2 and lattice.boundary in ("periodic", "free") and not field and not frustrated
