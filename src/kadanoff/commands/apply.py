"""A trained network over a whole dataset, one batch in memory at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from kadanoff.data.arrays import layout, spins_array
from kadanoff.data.store import Ensemble, configurations, finish_group, open_dataset, write_fields
from kadanoff.errors import KadanoffError, seed_of, whole
from kadanoff.inverse.critical import model_of
from kadanoff.inverse.superresolve import MOST_LATTICES, superresolve
from kadanoff.learning.checkpoints import load_model
from kadanoff.learning.predict import predict
from kadanoff.networks.superres import Superresolution
from kadanoff.networks.vision import Reader
from kadanoff.phases.regions import REGIONS
from kadanoff.runtime.files import alone
from kadanoff.runtime.output import place_new, require_new
from kadanoff.runtime.progress import progress
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.observables import energy, magnetization

Run = Callable[[NDArray, int, int], NDArray]
"""(configurations, index of their temperature, number of the first of them) -> output."""


def apply(
    model: Path, source: Path, target: Path, batch: int = 1024, temperature: float | None = None, seed: int = 0
) -> None:
    """Write the network's output for every configuration of `source` as array `output` of a new Zarr group.

    `output` is float32 (temperature, sample, y, x), of chains (temperature, sample, x); of a classifier (temperature,
    sample, class), the probability of each region; attributes name the model and the source. A super-resolution network
    draws one fine lattice for every configuration, under `seed`, and they are written as a dataset like any other; of
    its networks it takes the one trained at `temperature`, which the output then has. The default, the temperature of
    the configurations, is right where they were coarsened from lattices at it, and at T_c; other Monte Carlo lattices
    have one that their own must be rescaled to (`kadanoff.spins.rescaling`).

    Raises
    ------
    KadanoffError
        If the target exists, a file is missing or damaged, or the lattices do not fit the network.
    """
    require_new(target)
    batch, seed = whole(batch, "batch", 1, MOST_LATTICES), seed_of(seed)
    network = load_model(model)
    ensemble = open_dataset(source)
    run, temperatures = _run(network, ensemble, source, batch, temperature, seed)
    origin: dict[str, Any] = {"model": model.name, "source": source.name, "source_provenance": ensemble.provenance}
    write = _write_fields
    if isinstance(network, Superresolution):
        origin |= {"source_temperatures": ensemble.temperatures.tolist(), "seed": seed}
        write = _write_spins
    with alone(target, "writing") as work:
        write(run, ensemble, work / target.name, temperatures, origin)
        place_new(work / target.name, target)


def _run(
    network: nn.Module, ensemble: Ensemble, source: Path, batch: int, temperature: float | None, seed: int
) -> tuple[Run, NDArray[np.float64]]:
    """What the network does to configurations, and the temperatures of its output; refuses now what it would later."""
    if isinstance(network, Superresolution):
        known, boundary = ensemble.temperatures, model_of(ensemble)["boundary"]
        if boundary != "periodic":
            raise KadanoffError(
                f"{source} has the boundary {boundary}; super-resolution networks refine periodic lattices. Take such "
                "ones."
            )
        network.check(ensemble.spins.shape[1:])
        if temperature is not None and len(known) > 1:
            raise KadanoffError(
                f"the temperature {temperature:g} is given for all of {source}, which has {len(known)} temperatures "
                f"({known.min():g} to {known.max():g}); give it for a dataset of one temperature, or leave it out."
            )
        wanted = known if temperature is None else np.array([temperature])
        for value in wanted:
            network.at(value)
        return lambda spins, index, first: superresolve(network, spins, wanted[index], seed=seed, first=first), wanted
    if ensemble.spins.ndim != 4:
        raise KadanoffError(f"{source} holds chains; this network takes square lattices.")
    if isinstance(network, Reader):
        network.check(*ensemble.spins.shape[2:])
        if (outputs := predict(network, ensemble.read(0, slice(0, 1))).shape[1]) != len(REGIONS):
            raise KadanoffError(
                f"the network has {outputs} outputs a configuration, a classifier of regions {len(REGIONS)}; one "
                "of `pretrain` predicts hidden spins. Take one of models/classify."
            )
        return lambda spins, _, __: softmax(predict(network, spins, batch), axis=1), ensemble.temperatures
    return lambda spins, _, __: predict(network, spins, batch), ensemble.temperatures


def _write_fields(run: Run, ensemble: Ensemble, path: Path, temperatures: NDArray, origin: dict[str, Any]) -> None:
    shape = _shape(run, ensemble)
    axes = ("y", "x") if len(shape) == 4 else ("x",) if ensemble.spins.ndim == 3 else ("class",)
    _fill(write_fields(path, shape, axes, temperatures, origin), run, ensemble)


def _write_spins(run: Run, ensemble: Ensemble, path: Path, temperatures: NDArray, origin: dict[str, Any]) -> None:
    """A dataset of lattices with the boundary, coupling and field of those that they were drawn for."""
    shape, model = _shape(run, ensemble), model_of(ensemble)
    field, sides = model.pop("field"), shape[2:]
    height, width = (1, *sides)[-2:]
    lattice = Lattice(height, width, dimension=len(sides), **model)
    energies, magnetizations = np.empty((2, *shape[:2]))

    def measured(spins: NDArray, index: int, first: int) -> NDArray:
        drawn = run(spins, index, first)
        window = index, slice(first, first + len(drawn))
        magnetizations[window] = magnetization(drawn, len(sides))
        energies[window] = energy(drawn, lattice) - field * magnetizations[window]
        return drawn

    group = zarr.create_group(path, zarr_format=3)
    _fill(spins_array(group, shape, *layout(shape)), measured, ensemble)
    parameters = {"size": list(sides), "dimension": len(sides), **model, "field": field}
    provenance = {"parameters": parameters, "superresolved": origin}
    times = np.full(len(temperatures), np.nan)
    finish_group(path, Ensemble(group["spins"], temperatures, energies, magnetizations, times, provenance))


def _shape(run: Run, ensemble: Ensemble) -> tuple[int, ...]:
    """(temperature, sample, ...) of the whole output."""
    return *ensemble.spins.shape[:2], *run(ensemble.read(0, slice(0, 1)), 0, 0).shape[1:]


def _fill(output: zarr.Array, run: Run, ensemble: Ensemble) -> None:
    with progress("apply", output.shape[0] * output.shape[1]) as advance:
        # a shard is written whole: a part would read and write it again
        for index, window, spins in configurations(ensemble, (output.shards or output.chunks)[1]):
            output[index, window] = run(spins, index, window.start)
            advance(len(spins))
