"""Critical lattices, and networks that enlarge them: periodic square ferromagnets without a field, at T_c."""

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.errors import KadanoffError, is_whole, shown
from kadanoff.learning.checkpoints import load_model
from kadanoff.networks.superres import Blocks, SeedKernel, Superresolution
from kadanoff.spins.exact import T_C

FERROMAGNET = {"boundary": "periodic", "coupling": 1, "field": 0}
Kind = TypeVar("Kind", Blocks, SeedKernel)
EXAMPLES: dict[type, str] = {Blocks: "upsample/kernel, or superres/blocks", SeedKernel: "upsample/seed_kernel"}
NEAR = 1e-6  # temperatures may be rounded


def model_of(ensemble: Ensemble) -> dict[str, Any]:
    """Boundary, coupling and field; what a dataset does not say is as in `FERROMAGNET`."""
    known = ensemble.provenance.get("parameters") or {}
    return {name: known.get(name, value) for name, value in FERROMAGNET.items()}


def critical_index(name: str, ensemble: Ensemble) -> int:
    """Index of T_c among the temperatures of a dataset; errors begin with `name`.

    KadanoffError if it has no square lattices at T_c, or they are no periodic ferromagnets without a field.
    """
    shape, temperatures = ensemble.spins.shape, ensemble.temperatures
    near = np.flatnonzero(np.abs(temperatures - float(T_C)) < NEAR)
    if len(shape) != 4 or shape[2] != shape[3] or not len(near):
        raise KadanoffError(
            f"{name} has lattices {shape[2:]} at T = {shown(temperatures.tolist())}; it needs square lattices at the "
            f"critical temperature, {float(T_C):.15g}. Take another dataset."
        )
    for key, value in model_of(ensemble).items():
        if value != FERROMAGNET[key]:
            raise KadanoffError(
                f"{name} has the {key} {value}; what is known of T_c is of {FERROMAGNET[key]}. Take another dataset."
            )
    return int(near[0])


def place_of(source: Path, ensemble: Ensemble, sample: int) -> tuple[int, int]:
    """Indices of T_c and of the sample in the dataset at `source`; KadanoffError if it has no such critical lattice."""
    index, samples = critical_index(str(source), ensemble), ensemble.spins.shape[1]
    if not (is_whole(sample) and 0 <= sample < samples):
        raise KadanoffError(f"sample is {shown(sample)}, but {source} has samples 0 to {samples - 1}.")
    return index, sample


def network_of(path: Path, where: str, name: str, kind: type[Kind]) -> tuple[Kind, int]:
    """The network at T_c in a weights file, and its factor; `where` is the parameter that names it.

    KadanoffError if the file is missing or damaged, or the network is of another kind, or for chains.
    """
    model = load_model(path)
    if isinstance(model, Superresolution) and model.dimension == 2:
        network = model.at(float(T_C))
        if isinstance(network, kind):
            return network, model.block
    raise KadanoffError(
        f"{where} is {name}, no network of the kind {kind.__name__} for square lattices; take {EXAMPLES[kind]}."
    )


def critical_seeds(path: Path, section: str, dataset: str, key: str, count: int) -> tuple[list[NDArray[np.int8]], int]:
    """The first lattices of a dataset, and the sweeps that each of them took.

    KadanoffError if they are not critical, or fewer than `count`, which is the section's parameter `key`.
    """
    ensemble = open_dataset(path)
    index, samples = critical_index(f"{section}.dataset is {dataset}, which", ensemble), ensemble.spins.shape[1]
    if samples < count:
        raise KadanoffError(
            f"{section}.{key} is {count}, but {dataset} has {samples} configurations; ask for fewer, or raise "
            f"datasets.{path.parent.name}.{dataset}.samples."
        )
    return list(ensemble.read(index, slice(count))), int(np.max(ensemble.provenance.get("sweeps", 0)))
