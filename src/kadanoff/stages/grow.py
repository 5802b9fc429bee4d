"""Stage `grow`: are lattices that grew by three, again and again, critical? What the paper, CNN-RG-Fast, leaves open.

Seeds of Monte Carlo are enlarged by a network of `upsample`. At each size the lattices as drawn (`raw`) and after some
Metropolis sweeps (`refined`), from which the next size grows, are held against the exact energy, against Swendsen-Wang
lattices of the same size, and against the lattices that they grew from.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from pydantic import Field

from kadanoff.errors import KadanoffError
from kadanoff.inverse.growth import Enlargement, Rows, enlarge
from kadanoff.inverse.superresolve import tables
from kadanoff.inverse.survey import Survey, survey, together
from kadanoff.lab.params import Name, Section, entry
from kadanoff.lab.progress import Advance, progress
from kadanoff.lab.records import recorded
from kadanoff.lab.store import open_dataset
from kadanoff.learning.checkpoints import load_model
from kadanoff.montecarlo import swendsen_wang
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Blocks, Superresolution
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C
from kadanoff.stages.grow_figures import draw_cascade, draw_correlations, draw_structure
from kadanoff.stages.grow_tables import Grown, metrics, tables_text


class Truth(Section):
    """The key `truth`: Swendsen-Wang chains from random spins, of every size."""

    chains: int = Field(gt=3)
    sweeps: int = Field(gt=0)


class Params(Section):
    """The section `grow`."""

    model: str = Field(pattern=r"^[A-Za-z0-9_-]+/[A-Za-z0-9_-]+$")
    dataset: Name
    seeds: int = Field(gt=3)
    levels: int = Field(gt=0)
    sweeps: int = Field(gt=0)
    truth: Truth
    seed: int = Field(ge=0)


def grow(root: Path, workers: int | None = None) -> None:
    """Write the record reports/grow.

    Raises
    ------
    KadanoffError
        If a parameter breaks its rule, or the weights or the seeds are missing or not critical.
    """
    params = entry(root, Params, "grow")
    paths = root / "models" / f"{params.model}.safetensors", root / "data" / f"{params.dataset}.zarr"
    scheme, block = _network(paths[0], params.model)
    seeds = _seeds(paths[1], params)
    sides = [len(seeds[0]) * block**level for level in range(params.levels + 1)]
    with recorded("grow", parameters=params.model_dump(), inputs=list(paths)) as record:
        sites = (params.seeds + params.truth.chains) * sum(side**2 for side in sides[1:])
        with progress("grow", sites) as advance, ThreadPoolExecutor(workers) as pool:
            ways = [Enlargement(scheme, block, sweeps, params.seed) for sweeps in (0, params.sweeps)]
            runs = list(
                pool.map(lambda number: _grown(ways, seeds[number], number, params, advance), range(params.seeds))
            )
            truth = {side: _truth(side, params, pool, advance) for side in sides[1:]}
        found = Grown(
            seeds=together([run[0][0] for run in runs]),
            raw=[together([run[0][level] for run in runs]) for level in range(1, len(sides))],
            refined=[together([run[1][level] for run in runs]) for level in range(1, len(sides))],
            truth=[truth[side] for side in sides[1:]],
        )
        record.metrics(metrics(found))
        record.text("tables.md", tables_text(found, params.sweeps))
        draw_correlations(record, found)
        draw_structure(record, found)
        draw_cascade(record, _last(ways[1], seeds[0], params), block)


def _grown(
    ways: list[Enlargement], seed: Rows, number: int, params: Params, advance: Advance
) -> tuple[list[Survey], list[Survey]]:
    """What one seed grows into: surveys of the lattices as drawn, and of the refined ones, at every size."""
    spins, start = seed, survey(seed)
    raw, refined = [start], [start]
    for level in range(1, params.levels + 1):
        own = level + (params.levels + 1) * number  # random bits of its own for every seed
        raw.append(survey(enlarge(ways[0], spins, own)))
        spins = enlarge(ways[1], spins, own)
        refined.append(survey(spins))
        advance(spins.size)
    return raw, refined


def _last(way: Enlargement, seed: Rows, params: Params) -> list[Rows]:
    """The lattices of the first seed, at every size."""
    found = [seed]
    for level in range(1, params.levels + 1):
        found.append(enlarge(way, found[-1], level))
    return found


def _truth(side: int, params: Params, pool: ThreadPoolExecutor, advance: Advance) -> Survey:
    """Monte Carlo at T_c from random spins."""
    lattice, key = Lattice.of(side), stream_key(params.seed, "truth", side)

    def chain(number: int) -> Survey:
        bits = np.random.Generator(np.random.Philox(int(stream_key(params.seed, "start", side, number))))
        spins = 2 * bits.integers(0, 2, (1, side, side), np.int8) - 1
        swendsen_wang.advance(spins, lattice, float(T_C), 0.0, key, number, 0, params.truth.sweeps)
        advance(spins.size)
        return survey(spins[0])

    return together(list(pool.map(chain, range(params.truth.chains))))


def _network(path: Path, name: str) -> tuple[list, int]:
    if not path.exists():
        stage, _, variant = name.partition("/")
        raise KadanoffError(f"there is no {path}; train it with `dvc repro {stage}@{variant}`, or `dvc pull` it.")
    model = load_model(path)
    if not isinstance(model, Superresolution) or not isinstance(network := model.at(float(T_C)), Blocks):
        raise KadanoffError(f"grow.model is {name}, no network of whole blocks; take upsample/kernel.")
    return tables(network), model.block


def _seeds(path: Path, params: Params) -> list[Rows]:
    ensemble = open_dataset(path)
    shape, temperatures = ensemble.spins.shape, ensemble.temperatures
    if len(shape) != 4 or shape[2] != shape[3] or abs(temperatures[0] - float(T_C)) > 1e-6:
        raise KadanoffError(
            f"grow.dataset is {params.dataset}, {shape[2:]} at T = {temperatures[0]:g}; it needs square lattices at "
            f"the critical temperature, {float(T_C):.15g}."
        )
    if shape[1] < params.seeds:
        raise KadanoffError(
            f"grow.seeds is {params.seeds}, but {params.dataset} has {shape[1]} configurations; ask for fewer, or "
            f"raise datasets.{params.dataset}.samples."
        )
    return list(ensemble.read(0, slice(params.seeds)))
