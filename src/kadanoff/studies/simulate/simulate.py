"""Stage `simulate`: one entry of `datasets` becomes data/NAME.zarr, validated against exact results."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from kadanoff.data.description import Dataset
from kadanoff.data.store import write_group
from kadanoff.montecarlo.quality import FINE, compare
from kadanoff.montecarlo.runner import run
from kadanoff.montecarlo.starts import compare_starts
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.runtime.files import disk_errors, replace_folder, working_folder


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
        record.metrics(_metrics(rows, compare_starts(dataset, name, ensemble), ensemble.provenance))
        if len(rows) > 1:
            from kadanoff.studies.simulate.figures import draw_configurations, draw_observables  # loads Matplotlib

            draw_observables(record, rows, dataset)
            draw_configurations(record, ensemble)
        # last, so that the data and their record change together
        with disk_errors(target):
            shutil.rmtree(folder / target.name, ignore_errors=True)  # left by a run that was killed while writing
            write_group(folder / target.name, ensemble)
            replace_folder(folder / target.name, target)


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
