"""What the stages that grow lattices start from: a trained network, and critical seeds."""

from pathlib import Path
from typing import TypeVar

import numpy as np

from kadanoff.data.store import open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.inverse.critical import critical_index
from kadanoff.inverse.growth import Rows
from kadanoff.learning.checkpoints import load_model
from kadanoff.networks.superres import Blocks, SeedKernel, Superresolution
from kadanoff.spins.exact import T_C

Kind = TypeVar("Kind", Blocks, SeedKernel)
DEFAULTS: dict[type, str] = {Blocks: "upsample/kernel", SeedKernel: "upsample/seed_kernel"}
MODEL = r"^[A-Za-z0-9_-]+/[A-Za-z0-9_-]+$"


def network_of(path: Path, where: str, name: str, kind: type[Kind]) -> tuple[Kind, int]:
    """The network at T_c in a weights file, and its factor; `where` is the parameter that names it.

    Raises
    ------
    KadanoffError
        If the file is missing, or the network is of another kind, or for chains.
    """
    if not path.exists():
        stage, _, variant = name.partition("/")
        raise KadanoffError(f"there is no {path}; train it with `dvc repro {stage}@{variant}`, or `dvc pull` it.")
    model = load_model(path)
    if isinstance(model, Superresolution) and model.dimension == 2:
        network = model.at(float(T_C))
        if isinstance(network, kind):
            return network, model.block
    raise KadanoffError(
        f"{where} is {name}, no network of the kind {kind.__name__} for square lattices; take {DEFAULTS[kind]}."
    )


def critical_seeds(path: Path, section: str, dataset: str, key: str, count: int) -> tuple[list[Rows], int]:
    """The first lattices of a dataset, and the sweeps that each of them took.

    Raises
    ------
    KadanoffError
        If they are no periodic square ferromagnets without a field at T_c, or fewer than `count`, which is the
        section's parameter `key`.
    """
    ensemble = open_dataset(path)
    index, samples = critical_index(f"{section}.dataset is {dataset}, which", ensemble), ensemble.spins.shape[1]
    if samples < count:
        raise KadanoffError(
            f"{section}.{key} is {count}, but {dataset} has {samples} configurations; ask for fewer, or raise "
            f"datasets.{dataset}.samples."
        )
    return list(ensemble.read(index, slice(count))), int(np.max(ensemble.provenance.get("sweeps", 0)))
