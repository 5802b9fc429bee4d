"""Stage `grow`: are lattices that grew by three, again and again, critical? What the paper, CNN-RG-Fast, leaves open.

Seeds of Monte Carlo are enlarged by a network of `upsample`. At each size the lattices as drawn (`raw`) and after some
Metropolis sweeps (`refined`), from which the next size grows, are held against exact results, against Swendsen-Wang
lattices of the same size, and against the lattices that they grew from. The published kernel, and ours without the
dressing of coarse lattices, are compared on the same seeds, each with several numbers of sweeps.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import Field

from kadanoff.errors import KadanoffError
from kadanoff.inverse.dressing import Dressing
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
from kadanoff.networks.superres import Blocks, SeedKernel, Superresolution
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C
from kadanoff.stages.grow_compare import Compare, compare, compare_metrics, compare_text, growers
from kadanoff.stages.grow_figures import draw_cascade, draw_correlations, draw_structure, page
from kadanoff.stages.grow_tables import Grown, metrics, tables_text

Kind = TypeVar("Kind", Blocks, SeedKernel)
DEFAULTS: dict[type, str] = {Blocks: "kernel", SeedKernel: "seed_kernel"}
MODEL = r"^[A-Za-z0-9_-]+/[A-Za-z0-9_-]+$"


class Truth(Section):
    """The key `truth`: Swendsen-Wang chains from random spins, of every size."""

    chains: int = Field(gt=3)
    sweeps: int = Field(gt=0)


class Params(Section):
    """The section `grow`."""

    model: str = Field(pattern=MODEL)
    published: str = Field(pattern=MODEL)
    dataset: Name
    seeds: int = Field(gt=3)
    levels: int = Field(gt=0)
    sweeps: int = Field(gt=0)
    compare: Compare
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
    paths = [root / "models" / f"{name}.safetensors" for name in (params.model, params.published)]
    paths.append(root / "data" / f"{params.dataset}.zarr")
    network, block = _network(paths[0], params.model, "model", Blocks)
    published, _ = _network(paths[1], params.published, "published", SeedKernel)
    seeds = _seeds(paths[2], params)
    way = Enlargement(tables(network), block, params.sweeps, params.seed, Dressing.of(network))
    sides = [len(seeds[0]) * block**level for level in range(params.levels + 1)]
    with recorded("grow", parameters=params.model_dump(), inputs=paths) as record:
        sites = (params.seeds + params.truth.chains) * sum(side**2 for side in sides[1:])
        with progress("grow", sites) as advance, ThreadPoolExecutor(workers) as pool:
            runs = list(pool.map(lambda number: _grown(way, seeds[number], number, params, advance), range(len(seeds))))
            truth = {side: _truth(side, params, pool, advance) for side in sides[1:]}
        found = Grown(
            seeds=together([run[0][0] for run in runs]),
            raw=[together([run[0][level] for run in runs]) for level in range(1, len(sides))],
            refined=[together([run[1][level] for run in runs]) for level in range(1, len(sides))],
            truth=[truth[side] for side in sides[1:]],
        )
        compared = compare(growers(way, published), seeds, found.seeds, params.compare, workers)
        record.metrics(metrics(found) | {"compare": compare_metrics(compared)})
        record.text("tables.md", tables_text(found, params.sweeps) + "\n" + compare_text(compared))
        draw_correlations(record, found)
        draw_structure(record, found)
        lattices = _last(way, seeds[0], params)
        draw_cascade(record, lattices, block)
        record.text("zoom.html", page(lattices[-1], block))


def _grown(
    way: Enlargement, seed: Rows, number: int, params: Params, advance: Advance
) -> tuple[list[Survey], list[Survey]]:
    """What one seed grows into: surveys of the lattices as drawn, and of the refined ones, at every size."""
    spins, start = seed, survey(seed)
    raw, refined = [start], [start]
    for level in range(1, params.levels + 1):
        own = level + (params.levels + 1) * number  # random bits of its own for every seed
        raw.append(survey(enlarge(replace(way, sweeps=0), spins, own)))
        spins = enlarge(way, spins, own)
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


def _network(path: Path, name: str, key: str, kind: type[Kind]) -> tuple[Kind, int]:
    if not path.exists():
        stage, _, variant = name.partition("/")
        raise KadanoffError(f"there is no {path}; train it with `dvc repro {stage}@{variant}`, or `dvc pull` it.")
    model = load_model(path)
    if not isinstance(model, Superresolution) or not isinstance(network := model.at(float(T_C)), kind):
        raise KadanoffError(f"grow.{key} is {name}, no {kind.__name__}; take upsample/{DEFAULTS[kind]}.")
    return network, model.block


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
