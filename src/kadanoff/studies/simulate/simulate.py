"""Stage `simulate`: the entries of datasets.STUDY become data/STUDY/NAME.zarr, validated against exact results."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kadanoff.data.description import Dataset
from kadanoff.data.store import Ensemble, open_dataset, write_group
from kadanoff.montecarlo.quality import FINE, compare, compare_starts
from kadanoff.montecarlo.runner import run
from kadanoff.project.figures import figure, show_spins
from kadanoff.project.params import entry, section
from kadanoff.project.records import Recorder, recorded
from kadanoff.project.records.dvclock import content_md5
from kadanoff.runtime.files import disk_errors, fingerprint, replace_folder, working_folder, write_atomic
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, spontaneous_magnetization

SMALL_MARKS = 50  # for more temperatures
COLUMNS = 8  # pictures of configurations in a row
MARKERS = "osD^v<>P*Xh"  # as eleven are no multiple of ten colours, a hundred datasets differ
TEMPERATURE = r"temperature $T$ ($|J|/k_B$)"
SAMPLING = ("spins", "data", "montecarlo")  # the packages that decide what is simulated


def simulate(root: Path, study: str) -> None:
    """Simulate the datasets of a study into data/STUDY, validated against the exact energies of their lattices.

    A dataset that is there already, from the same parameters and code, stays as it is. KadanoffError if an entry breaks
    a rule, or its sweeps are too few for equilibrium.
    """
    datasets = {name: entry(root, Dataset, "datasets", study, name) for name in section(root, "datasets", study)}
    targets = {name: root / "data" / study / f"{name}.zarr" for name in datasets}
    described = {name: dataset.model_dump() for name, dataset in datasets.items()}
    with recorded("simulate", study, parameters=described) as record:
        for stale in {*(root / "data" / study).glob("*.zarr")} - {*targets.values()}:
            shutil.rmtree(stale)
        table = pd.concat([_simulated(targets[name], name, dataset) for name, dataset in datasets.items()])
        found = {str(name): _summary(rows) for name, rows in table.groupby("dataset", sort=False)}
        off = table.reindex(columns=["deviation"]).deviation.dropna().to_numpy()
        known: dict[str, float] = {"datasets": len(found), "compared_with_exact": len(off)}
        known |= {"mean_square_deviation": float((off**2).mean())} if len(off) else {}
        record.metrics(found | {"all": known})
        record.summary(
            "{datasets} datasets. Mean square deviation of {compared_with_exact} energies from the exact ones, in "
            "squared standard errors (1 is expected): {mean_square_deviation}.",
            "observables",
            **{name: f"all/{name}" for name in (*known, "mean_square_deviation")},
        )
        record.text("temperatures.csv", table.to_csv(index=False, float_format="%.7g", lineterminator="\n"))
        _draw_observables(record, table, datasets)
        _draw_configurations(record, {name: open_dataset(target) for name, target in targets.items()})


def _simulated(target: Path, name: str, dataset: Dataset) -> pd.DataFrame:
    """A row a temperature of one dataset: as it is, if what made it is what would make it now; else simulated."""
    key = fingerprint(dataset.model_dump(), packages=SAMPLING)
    with working_folder("simulate", name, dataset.model_dump()) as work:
        kept = work.parent / f"simulated-{name}.json"
        known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        if known.get("key") != key or known["digest"] != content_md5(target):
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
    return {"digest": content_md5(target), "rows": rows, "starts": starts}


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


def _draw_observables(record: Recorder, table: pd.DataFrame, datasets: dict[str, Dataset]) -> None:
    """Deviation of every energy from the exact one, and <|m|>, over temperature."""
    table = table.reindex(columns=table.columns.union(["deviation", "absolute_staggered_magnetization"]))
    with figure(1, 2, figsize=(10.5, 3.8)) as (drawn, (left, right)):
        left.axhspan(-2, 2, color="0.92")
        for index, (name, rows) in enumerate(table.groupby("dataset", sort=False)):
            mark = {"marker": MARKERS[index % len(MARKERS)], "ms": 2 if len(rows) > SMALL_MARKS else 4}
            mark |= {"ls": "", "label": name}
            left.plot(rows.temperature, rows.deviation, **mark)
            order = rows.absolute_staggered_magnetization.fillna(rows.absolute_magnetization)
            right.plot(rows.temperature, order, **mark)
        found = [each.temperatures for each in datasets.values() if _orders_as_yang(each.lattice, each.field)]
        if several := [temperatures for temperatures in found if len(temperatures) > 1]:
            grid = np.linspace(min(map(min, several)), max(map(max, several)), 400)
            right.plot(grid, spontaneous_magnetization(grid), color="0.5", lw=1, label="exact, infinite (Yang 1952)")
        left.set(xlabel=TEMPERATURE, ylabel="energy less exact energy (standard errors)")
        right.set(xlabel=TEMPERATURE, ylabel=r"$\langle|m|\rangle$ per site", ylim=(-0.03, 1.05))
        drawn.legend(*right.get_legend_handles_labels(), loc="outside right upper", fontsize=7)
        shows = "Left: energies less the exact ones of the same lattices, two standard errors shaded. Right: the order"
        record.figure("observables", drawn, f"{shows} parameter, of antiferromagnets the staggered magnetization")


def _orders_as_yang(lattice: Lattice, field: float) -> bool:
    """Whether the order of large lattices is Yang's: no boundary forces a wall, no odd side frustrates."""
    frustrated = lattice.coupling < 0 and lattice.boundary == "periodic" and any(side % 2 for side in lattice.shape)
    return lattice.dimension == 2 and lattice.boundary in ("periodic", "free") and not field and not frustrated


def _draw_configurations(record: Recorder, ensembles: dict[str, Ensemble]) -> None:
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
