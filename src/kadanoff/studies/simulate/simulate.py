"""Stage `simulate`: the entries of datasets.STUDY become data/STUDY/NAME.zarr, validated against exact results."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kadanoff.data.description import Dataset
from kadanoff.data.store import Ensemble, open_dataset, write_group
from kadanoff.montecarlo.quality import FINE, compare, compare_starts
from kadanoff.montecarlo.runner import run
from kadanoff.project.params import entry, section
from kadanoff.project.records import recorded
from kadanoff.runtime.files import disk_errors, fingerprint, folder_digest, replace_folder, working_folder, write_atomic

SAMPLING = ("spins", "data", "montecarlo")  # the packages that decide what is simulated
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Simulated:
    """A dataset in its place, with a row a temperature, and one of each temperature where starts were compared."""

    ensemble: Ensemble
    rows: Rows
    starts: Rows


def simulate(root: Path, study: str) -> None:
    """Simulate the datasets of a study into data/STUDY, validated against the exact energies of their lattices.

    A dataset that is there already, from the same parameters and code, stays as it is.

    Raises
    ------
    KadanoffError
        If an entry breaks a rule, or its sweeps are too few for equilibrium.
    """
    datasets = {name: entry(root, Dataset, "datasets", study, name) for name in section(root, "datasets", study)}
    folder = root / "data" / study
    described = {name: dataset.model_dump() for name, dataset in datasets.items()}
    with recorded("simulate", study, parameters=described) as record:
        for stale in set(folder.glob("*.zarr")) - {folder / f"{name}.zarr" for name in datasets}:
            shutil.rmtree(stale)
        simulated = {name: _simulated(folder, name, dataset) for name, dataset in datasets.items()}
        record.metrics({name: _summary(each) for name, each in simulated.items()})
        record.text("temperatures.csv", _csv(simulated))
        from kadanoff.studies.simulate.figures import draw_configurations, draw_observables  # loads Matplotlib

        draw_observables(record, {name: each.rows for name, each in simulated.items()}, datasets)
        draw_configurations(record, {name: each.ensemble for name, each in simulated.items()})


def _simulated(folder: Path, name: str, dataset: Dataset) -> Simulated:
    """One dataset: as it is, if what made it is what would make it now; else simulated."""
    target, key = folder / f"{name}.zarr", fingerprint(dataset.model_dump(), packages=SAMPLING)
    with working_folder("simulate", name, dataset.model_dump()) as work:
        kept = work.parent / f"simulated-{name}.json"
        known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        if known.get("key") != key or known["digest"] != folder_digest(target):
            known = {"key": key, **_make(work, target, name, dataset)}
            with disk_errors(kept):
                write_atomic(kept, json.dumps(known))
    return Simulated(open_dataset(target), known["rows"], known["starts"])


def _make(work: Path, target: Path, name: str, dataset: Dataset) -> dict[str, Any]:
    ensemble = run(dataset, name, None, work)
    quenched = dataset.allow_unequilibrated and dataset.sampler == "metropolis"
    rows = compare(ensemble, dataset.lattice, dataset.field, quenched)
    for row, sweeps in zip(rows, ensemble.provenance["sweeps"], strict=True):
        row["sweeps"] = sweeps
    starts = compare_starts(dataset, name, ensemble)
    with disk_errors(target):
        shutil.rmtree(work / target.name, ignore_errors=True)  # left by a run that was killed while writing
        write_group(work / target.name, ensemble)
        replace_folder(work / target.name, target)
    return {"digest": folder_digest(target), "rows": rows, "starts": starts}


def _summary(simulated: Simulated) -> dict[str, float]:
    """What one dataset is judged by."""
    deviations = np.abs([row["deviation"] for row in simulated.rows if "deviation" in row])
    found: dict[str, float] = {"most_sweeps": max(row["sweeps"] for row in simulated.rows)}
    found["compared_with_exact"] = len(deviations)
    if len(deviations) > FINE:  # the largest of so many is large
        found["mean_square_deviation_from_exact_energy_in_standard_errors"] = float((deviations**2).mean())
    elif len(deviations):
        found["largest_deviation_from_exact_energy_in_standard_errors"] = float(deviations.max())
    if simulated.starts:
        differences = [abs(row["difference_in_standard_errors"]) for row in simulated.starts]
        found["largest_difference_of_starts_in_standard_errors"] = max(differences)
    return found


def _csv(simulated: dict[str, Simulated]) -> str:
    """All temperatures of all datasets as one tidy table."""
    import pandas as pd

    tables = []
    for name, each in simulated.items():
        rows = pd.DataFrame(each.rows)
        if each.starts:
            rows = rows.merge(pd.DataFrame(each.starts), on="temperature", how="left")
        rows.insert(0, "dataset", name)
        tables.append(rows)
    return pd.concat(tables).to_csv(index=False, float_format="%.7g", lineterminator="\n")
