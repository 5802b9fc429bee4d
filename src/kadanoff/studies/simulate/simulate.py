"""Stage `simulate`: the entries of datasets.STUDY become data/STUDY/NAME.zarr, validated against exact results."""

import json
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kadanoff.data.description import Dataset
from kadanoff.data.store import Ensemble, open_dataset, write_group
from kadanoff.montecarlo.equilibration import checkerboard
from kadanoff.montecarlo.quality import FINE, compare, compare_starts
from kadanoff.montecarlo.runner import run
from kadanoff.project.figures import figure, series, show_spins
from kadanoff.project.params import entry, section
from kadanoff.project.records import Recorder, recorded
from kadanoff.project.records.dvclock import content_md5
from kadanoff.runtime.executor import PartEnded
from kadanoff.runtime.files import disk_errors, fingerprint, replace_folder, working_folder, write_atomic
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, ring_order, spontaneous_magnetization

SMALL_MARKS = 50  # for more temperatures
COLUMNS, WIDE = 6, 22  # pictures of configurations in a row, and letters above one
CORNER = 100  # spins a side: of more, a picture would be grey noise
LONGEST = 128  # sites of a ring with an exact curve, which takes their square
TEMPERATURE = r"temperature $T$ ($|J|/k_B$)"
ORDER = r"$\langle|m|\rangle$ per site, staggered for $J < 0$"
PLAIN, STAGGERED = (
    [f"absolute_{kind}{end}" for end in ("", "_error")] for kind in ("magnetization", "staggered_magnetization")
)
CAPTION = (
    "Left: energies less the exact ones of the same lattices, in standard errors, two of them shaded. Right: the order "
    "parameter, of antiferromagnets the staggered magnetization, with its exact curves where they are known"
)
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
        each = (partial(_simulated, targets[name], name, dataset) for name, dataset in datasets.items())
        table = pd.concat(_every(each))
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
        _draw_configurations(record, {name: open_dataset(target) for name, target in targets.items()}, datasets)


def _every(simulations: Iterable[Callable[[], pd.DataFrame]]) -> list[pd.DataFrame]:
    """All of them; of a part of the stage all that it can do."""
    tables, ended = [], []
    for simulated in simulations:
        try:
            tables.append(simulated())
        except PartEnded as error:
            ended.append(str(error))
    if ended:
        raise PartEnded("\n".join(ended))
    return tables


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
    """Deviation of every energy from the exact one, and the order with its exact curves; apart, what has none."""
    table = table.reindex(columns=table.columns.union(["deviation", *STAGGERED]))
    same, titles = table.temperature.nunique() == 1, _titles(datasets)
    across = f"lattice size $L$, $T$ = {table.temperature.iloc[0]:.4g}" if same else TEMPERATURE
    exact = {name: _order_is_known(each) for name, each in datasets.items()}
    groups = [names for known in (True, False) if (names := [name for name in exact if exact[name] == known])]
    size = 10, 3.8 + 0.055 * len(datasets)  # with room for the legend
    with figure(1, 1 + len(groups), figsize=size, squeeze=False) as (drawn, ((left, *others),)):
        left.axhspan(-2, 2, color="0.92")
        left.set(xlabel=across, ylabel="energy less exact (standard errors)")
        for axis, names in zip(others, groups, strict=True):
            if exact[names[0]] and not same:
                _draw_curves(axis, [datasets[name] for name in names])
            axis.set(xlabel=across, ylabel=ORDER, ylim=(-0.03, 1.05))
            if len(groups) > 1:
                axis.set_title("exact curve known" if exact[names[0]] else "no exact curve known")
        for index, (name, rows) in enumerate(table.groupby("dataset", sort=False)):
            look = {"ls": "", "ms": 2.5 if len(rows) > SMALL_MARKS else 4} | series(index)
            where = [datasets[name].lattice.width] if same else rows.temperature
            left.plot(where, rows.deviation, **look)
            values, errors = (rows[key].fillna(rows[plain]) for key, plain in zip(STAGGERED, PLAIN, strict=True))
            axis = next(axis for axis, names in zip(others, groups, strict=True) if name in names)
            axis.errorbar(where, values, errors, label=titles[name], **look)
        drawn.legend(loc="outside lower center", ncols=4)
        record.figure("observables", drawn, CAPTION)


def _titles(datasets: Iterable[str]) -> dict[str, str]:
    """Names of datasets in words, without the first if it is that of all."""
    first = {name.partition("_")[0] for name in datasets}
    start = f"{first.pop()}_" if len(first) == 1 else ""
    return {name: name.removeprefix(start).replace("_", " ") for name in datasets}


def _order_is_known(dataset: Dataset) -> bool:
    """Whether <|m|>, staggered if spins alternate, is that of Yang for large lattices, or of a ring that is short."""
    lattice = dataset.lattice
    if dataset.field or dataset.allow_unequilibrated or lattice.boundary not in ("periodic", "free"):
        return False
    if lattice.dimension == 1:
        return lattice.boundary == "periodic" and lattice.coupling > 0 and lattice.width <= LONGEST
    return lattice.coupling > 0 or lattice.boundary == "free" or not any(side % 2 for side in lattice.shape)


def _draw_curves(axis: Any, datasets: list[Dataset]) -> None:
    """Exact orders over the temperatures of the datasets."""
    temperatures = [temperature for each in datasets for temperature in each.temperatures]
    grid = np.linspace(min(temperatures), max(temperatures), 200)
    rings = sorted({each.lattice.width for each in datasets if each.lattice.dimension == 1})
    for number, sites in enumerate(rings):
        values, label = [ring_order(sites, temperature) for temperature in grid], "_" if number else "exact, ring"
        axis.plot(grid, values, "--", color="0.5", lw=1, label=label)
    if any(each.lattice.dimension == 2 for each in datasets):
        label = "exact, infinite lattice (Yang 1952)"
        axis.plot(grid, spontaneous_magnetization(grid), color="0.5", lw=1, label=label)


def _draw_configurations(record: Recorder, ensembles: dict[str, Ensemble], datasets: dict[str, Dataset]) -> None:
    """The first sample of every dataset at its coldest temperature, the one nearest to T_c, and its hottest."""
    pictures, titles = [], _titles(ensembles)
    for name, ensemble in ensembles.items():
        known = ensemble.temperatures
        places = {int(known.argmin()), int(np.abs(known - T_C).argmin()), int(known.argmax())}
        for place in sorted(places):
            spins, shape = _picture(ensemble, place, datasets[name].lattice)
            pictures.append((f"{fill(titles[name], WIDE)}\n{shape}\n$T$ = {known[place]:.4g}", spins))
    rows = -(-len(pictures) // COLUMNS)
    with figure(rows, COLUMNS, figsize=(10, 2.4 * rows), squeeze=False) as (drawn, axes):
        for axis in axes.flat[len(pictures) :]:
            axis.axis("off")
        for axis, (title, spins) in zip(axes.flat, pictures, strict=False):
            show_spins(axis, spins, title)
            axis.title.set_fontsize(9)
        caption = "One configuration of each dataset: coldest, nearest to T_c, hottest; of chains, one in each row"
        record.figure("configurations", drawn, f"{caption}; of antiferromagnets the staggered spins")


def _picture(ensemble: Ensemble, place: int, lattice: Lattice) -> tuple[NDArray[np.int8], str]:
    """Spins that a picture can show (y, x), and in words how many there are."""
    chains, shape = lattice.dimension == 1, f"{lattice.height} x {lattice.width}"
    spins = ensemble.read(place, slice(0, min(lattice.width, CORNER) if chains else 1))
    spins = (spins if chains else spins[0]) * (checkerboard(lattice) if lattice.coupling < 0 else 1)
    words = f"chains of {lattice.width}" if chains else f"corner of {shape}" if max(lattice.shape) > CORNER else shape
    return spins[:CORNER, :CORNER], words
