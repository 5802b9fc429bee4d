"""Stage `simulate`: the entries of datasets.STUDY become data/STUDY/NAME.zarr, validated against exact results."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from kadanoff.data.description import Dataset
from kadanoff.data.store import open_dataset, write_group
from kadanoff.montecarlo.quality import FINE, compare
from kadanoff.montecarlo.runner import run
from kadanoff.montecarlo.starts import compare_starts
from kadanoff.project.params import entry, section
from kadanoff.project.records import recorded
from kadanoff.runtime.files import disk_errors, fingerprint, folder_digest, replace_folder, working_folder, write_atomic

SAMPLING = ("spins", "data", "montecarlo")  # the packages that decide what is simulated


def simulate(root: Path, study: str) -> None:
    """Simulate the datasets of a study into data/STUDY, validated against the exact energies of their lattices.

    A dataset that is there already, from the same parameters and code, stays as it is.

    Raises
    ------
    KadanoffError
        If an entry breaks a rule, or its sweeps are too few for equilibrium.
    """
    datasets = {name: entry(root, Dataset, "datasets", study, name) for name in section(root, "datasets", study)}
    targets = {name: root / "data" / study / f"{name}.zarr" for name in datasets}
    described = {name: dataset.model_dump() for name, dataset in datasets.items()}
    with recorded("simulate", study, parameters=described) as record:
        for stale in {*(root / "data" / study).glob("*.zarr")} - {*targets.values()}:
            shutil.rmtree(stale)
        table = pd.concat([_simulated(targets[name], name, dataset) for name, dataset in datasets.items()])
        record.metrics({name: _summary(rows) for name, rows in table.groupby("dataset", sort=False)})
        record.text("temperatures.csv", table.to_csv(index=False, float_format="%.7g", lineterminator="\n"))
        from kadanoff.studies.simulate.figures import draw_configurations, draw_observables  # loads Matplotlib

        draw_observables(record, table, datasets)
        draw_configurations(record, {name: open_dataset(target) for name, target in targets.items()})


def _simulated(target: Path, name: str, dataset: Dataset) -> pd.DataFrame:
    """A row a temperature of one dataset: as it is, if what made it is what would make it now; else simulated."""
    key = fingerprint(dataset.model_dump(), packages=SAMPLING)
    with working_folder("simulate", name, dataset.model_dump()) as work:
        kept = work.parent / f"simulated-{name}.json"
        known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        if known.get("key") != key or known["digest"] != folder_digest(target):
            known = {"key": key, **_make(work, target, name, dataset)}
            with disk_errors(kept):
                write_atomic(kept, json.dumps(known))
    rows = pd.DataFrame(known["rows"])
    if known["starts"]:
        rows = rows.merge(pd.DataFrame(known["starts"]), on="temperature", how="left")
    rows.insert(0, "dataset", name)
    return rows


def _make(work: Path, target: Path, name: str, dataset: Dataset) -> dict[str, Any]:
    ensemble = run(dataset, name, None, work)
    quenched = dataset.allow_unequilibrated and dataset.sampler == "metropolis"
    rows = compare(ensemble, dataset.lattice, dataset.field, quenched)
    rows = [row | {"sweeps": sweeps} for row, sweeps in zip(rows, ensemble.provenance["sweeps"], strict=True)]
    starts = compare_starts(dataset, name, ensemble)
    with disk_errors(target):
        shutil.rmtree(work / target.name, ignore_errors=True)  # left by a run that was killed while writing
        write_group(work / target.name, ensemble)
        replace_folder(work / target.name, target)
    return {"digest": folder_digest(target), "rows": rows, "starts": starts}


def _summary(rows: pd.DataFrame) -> dict[str, float]:
    """What one dataset is judged by."""
    deviations, differences = (
        rows.get(name, pd.Series(dtype=float)).dropna() for name in ("deviation", "difference_in_standard_errors")
    )
    found: dict[str, float] = {"most_sweeps": int(rows.sweeps.max()), "compared_with_exact": len(deviations)}
    if len(deviations) > FINE:  # the largest of so many is large
        found["mean_square_deviation_from_exact_energy_in_standard_errors"] = float((deviations**2).mean())
    elif len(deviations):
        found["largest_deviation_from_exact_energy_in_standard_errors"] = float(deviations.abs().max())
    if len(differences):
        found["largest_difference_of_starts_in_standard_errors"] = float(differences.abs().max())
    return found
