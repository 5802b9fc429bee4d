"""A trained network over a whole dataset, one batch in memory at a time."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
import zarr
from numpy.typing import NDArray
from torch import nn

from kadanoff.errors import KadanoffError
from kadanoff.lab.files import disk_errors, replace_folder
from kadanoff.lab.progress import progress
from kadanoff.lab.store import Ensemble, configurations, open_dataset, write_fields
from kadanoff.learning.checkpoints import load_model


def predict(network: nn.Module, spins: NDArray, batch: int = 1024) -> NDArray[np.float32]:
    """Output of a network for configurations (n, y, x): float32 (n, y', x')."""
    network.eval()
    with torch.inference_mode():
        blocks = [
            network(torch.from_numpy(spins[first : first + batch]).float().unsqueeze(1)).squeeze(1)
            for first in range(0, len(spins), batch)
        ]
    return torch.cat(blocks).numpy()


def apply(model: Path, source: Path, target: Path, batch: int = 1024) -> None:
    """Write the network's output for every configuration of `source` as array `output` of a new Zarr group.

    `output` is float32 (temperature, sample, y, x); attributes name the model and the source.

    Raises
    ------
    KadanoffError
        If the target exists, a file is missing or damaged, the source holds chains, or the lattice does not fit
        the network.
    """
    if target.exists():
        raise KadanoffError(f"{target} exists; nothing is overwritten. Give another name, or remove it first.")
    network = load_model(model)
    ensemble = open_dataset(source)
    if ensemble.spins.ndim != 4:
        raise KadanoffError(f"{source} holds chains; {model} takes square lattices.")
    origin = {"model": model.name, "source": source.name, "source_provenance": ensemble.provenance}
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        with disk_errors(target):
            _stream(network, ensemble, scratch / target.name, batch, origin)
            replace_folder(scratch / target.name, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _stream(network: nn.Module, ensemble: Ensemble, path: Path, batch: int, origin: dict) -> None:
    temperatures, samples = ensemble.spins.shape[:2]
    shape = predict(network, ensemble.read(0, slice(0, 1))).shape[1:]
    output: zarr.Array = write_fields(path, (temperatures, samples, *shape), ensemble.temperatures, origin)
    with progress("apply", temperatures * samples) as advance:
        # a shard is written whole: a part would read and write it again
        for temperature, window, spins in configurations(ensemble, (output.shards or output.chunks)[1]):
            output[temperature, window] = predict(network, spins, batch)
            advance(len(spins))
