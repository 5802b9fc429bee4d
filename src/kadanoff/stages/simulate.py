"""Stage `simulate`: one entry of `datasets` becomes data/NAME.zarr, measured against exact results."""

from pathlib import Path

from kadanoff.lab.files import disk_errors, replace_folder, working_folder
from kadanoff.lab.params import Dataset, entry
from kadanoff.lab.records import recorded
from kadanoff.lab.store import write_group
from kadanoff.montecarlo.campaign import run


def simulate(root: Path, name: str, workers: int | None = None) -> None:
    """Write data/NAME.zarr and the record reports/simulate/NAME."""
    dataset = entry(root, Dataset, "datasets", name)
    target = root / "data" / f"{name}.zarr"
    with (
        working_folder("simulate", name, dataset.model_dump()) as folder,
        recorded("simulate", name, parameters=dataset.model_dump(), inputs=[]) as record,
    ):
        ensemble = run(dataset, name, workers, folder)
        with disk_errors(target):
            write_group(folder / target.name, ensemble)
            replace_folder(folder / target.name, target)
        measure(ensemble, dataset.lattice, record)
