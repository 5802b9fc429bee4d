"""Stage `simulate`: one entry of `datasets` becomes data/NAME.zarr, held against exact results."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from kadanoff.data.description import Dataset
from kadanoff.data.store import Ensemble, write_group
from kadanoff.montecarlo.quality import FINE, compare, exact_energy
from kadanoff.montecarlo.runner import run
from kadanoff.montecarlo.starts import compared_places, squared_order
from kadanoff.project.figures import figure, show_spins
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.runtime.files import disk_errors, replace_folder, working_folder
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import spontaneous_magnetization

MOST_SHOWN = 32  # configurations in a figure


def simulate(root: Path, name: str, workers: int | None = None) -> None:
    """Simulate a dataset into data/NAME.zarr, validated against exact energies of its own lattice."""
    dataset = entry(root, Dataset, "datasets", name)
    target = root / "data" / f"{name}.zarr"
    with (
        working_folder("simulate", name, dataset.model_dump()) as folder,
        recorded("simulate", name, parameters=dataset.model_dump(), inputs=[]) as record,
    ):
        ensemble = run(dataset, name, workers, folder)
        quenched = dataset.allow_unequilibrated and dataset.sampler == "metropolis"
        rows = compare(ensemble, dataset.lattice, dataset.field, quenched)
        starts = compare_starts(dataset, name, ensemble) if ensemble.provenance["equilibrated"] else []
        record.metrics(_metrics(rows, starts, ensemble.provenance))
        draw(record, ensemble, rows, dataset)
        # last, so that the data and their record change together
        with disk_errors(target):
            shutil.rmtree(folder / target.name, ignore_errors=True)  # left by a run that was killed while writing
            write_group(folder / target.name, ensemble)
            replace_folder(folder / target.name, target)


def compare_starts(dataset: Dataset, name: str, ensemble: Ensemble) -> list[dict[str, float]]:
    """<m^2> from random spins and from ground states after the sweeps of the dataset, at some temperatures."""

    def measured(place: int) -> dict[str, float]:
        temperature, sweeps = dataset.temperatures[place], ensemble.provenance["sweeps"][place]
        sampler = ensemble.provenance["sampler"]
        hot = squared_order(dataset, name, sampler, temperature, sweeps, "hot")
        ground = squared_order(dataset, name, sampler, temperature, sweeps, "ground")
        return {
            "temperature": temperature,
            "squared_order_from_hot": hot.mean,
            "squared_order_from_hot_error": hot.error,
            "squared_order_from_ground": ground.mean,
            "squared_order_from_ground_error": ground.error,
            "difference_in_standard_errors": hot.sigmas(ground),
        }

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(measured, compared_places(dataset.temperatures)))


def _metrics(rows: list[dict[str, Any]], starts: list[dict[str, float]], provenance: dict[str, Any]) -> dict[str, Any]:
    deviations = np.abs([row["deviation"] for row in rows if "deviation" in row])
    summary: dict[str, Any] = {"most_sweeps": max(provenance["sweeps"]), "compared_with_exact": len(deviations)}
    if len(deviations) > FINE:  # the largest of so many is large
        summary["mean_square_deviation_from_exact_energy_in_standard_errors"] = float((deviations**2).mean())
    elif len(deviations):
        summary["largest_deviation_from_exact_energy_in_standard_errors"] = float(deviations.max())
    if starts:
        differences = [abs(row["difference_in_standard_errors"]) for row in starts]
        summary["largest_difference_of_starts_in_standard_errors"] = max(differences)
    listed = _by_temperature(rows[:: -(-len(rows) // FINE)])
    for name, row in _by_temperature(starts).items():
        listed[name] = listed.get(name, {}) | row
    return summary | listed


def _by_temperature(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        f"T={row['temperature']:.4g}": {key: value for key, value in row.items() if key != "temperature"}
        for row in rows
    }


def draw(record: Any, ensemble: Ensemble, rows: list[dict[str, Any]], dataset: Dataset) -> None:
    """Figures `observables` (energy and magnetization with exact curves) and `configurations` (the first samples)."""
    lattice = dataset.lattice
    with figure(1, 2, figsize=(9, 3.6)) as (drawn, (left, right)):
        _draw_energy(left, rows, lattice, dataset.field)
        _draw_magnetization(right, rows, lattice, dataset.field)
        record.figure("observables", drawn)
    count = min(len(ensemble.temperatures), MOST_SHOWN)
    shown = np.linspace(0, len(ensemble.temperatures) - 1, count).round().astype(int)
    with figure(1, count, figsize=(1.5 * count, 1.9), squeeze=False) as (drawn, axes):
        for index, axis in zip(shown, axes[0], strict=True):
            block = ensemble.spins[index, 0]
            show_spins(axis, np.atleast_2d(block), f"T = {ensemble.temperatures[index]:.4g}")
        record.figure("configurations", drawn)


def _grid(rows: list[dict[str, Any]]) -> np.ndarray:
    temperatures = [row["temperature"] for row in rows]
    if len(temperatures) == 1:  # a short piece of the curve, around the point
        return temperatures[0] * np.linspace(0.95, 1.05, 11)
    return np.linspace(min(temperatures), max(temperatures), 60)


def _dot(rows: list[dict[str, Any]]) -> float:
    return 4 if len(rows) <= FINE else 1.5


def _draw_energy(axis: Any, rows: list[dict[str, Any]], lattice: Lattice, field: float) -> None:
    temperatures = [row["temperature"] for row in rows]
    if len(rows) > FINE:  # fine enough to be the curve themselves
        exact = [(row["temperature"], row.get("energy_exact")) for row in rows]
    else:
        exact = [(t, exact_energy(lattice, t, field)) for t in _grid(rows)]
    if all(value is not None for _, value in exact):
        axis.plot(*zip(*exact, strict=True), color="0.5", label=f"exact, {lattice.height} x {lattice.width}")
    values, errors = ([row[key] for row in rows] for key in ("energy", "energy_error"))
    axis.errorbar(temperatures, values, errors, fmt="o", ms=_dot(rows), color="C0", label="simulated")
    axis.set(xlabel=r"temperature $T$ ($|J|/k_B$)", ylabel=r"energy per site $e$ ($|J|$)")
    axis.legend()


def _draw_magnetization(axis: Any, rows: list[dict[str, Any]], lattice: Lattice, field: float) -> None:
    temperatures = [row["temperature"] for row in rows]
    if lattice.dimension == 2 and lattice.coupling == 1 and not field:
        first, *_, last = _grid(rows)
        grid = np.linspace(first, last, 400)
        axis.plot(grid, spontaneous_magnetization(grid), color="0.5", label="exact, infinite lattice (Yang)")
    values, errors = ([row[f"absolute_magnetization{end}"] for row in rows] for end in ("", "_error"))
    axis.errorbar(temperatures, values, errors, fmt="o", ms=_dot(rows), color="C3", label="simulated")
    axis.set(xlabel=r"temperature $T$ ($|J|/k_B$)", ylabel=r"$\langle|m|\rangle$ per site", ylim=(-0.03, 1.05))
    axis.legend(loc="upper right")
