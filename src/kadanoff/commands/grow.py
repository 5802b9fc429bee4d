"""One critical lattice, grown to any size: out of core, on all cores, and resumable."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from kadanoff import __version__
from kadanoff.data.arrays import decoded
from kadanoff.data.store import Ensemble, create_lattice, finish_lattice, open_dataset
from kadanoff.errors import seed_of as seed_of_bits
from kadanoff.errors import whole
from kadanoff.inverse import bands
from kadanoff.inverse.critical import network_of, place_of
from kadanoff.inverse.growth import Enlargement, Read, Rows, around, refined, sides_to
from kadanoff.inverse.renormalized import RenormalizedGibbs
from kadanoff.inverse.superresolve import tables
from kadanoff.montecarlo.runner import simulate
from kadanoff.networks.superres import Blocks
from kadanoff.runtime.executor import threads
from kadanoff.runtime.files import fingerprint
from kadanoff.runtime.output import alone_on_new, place_new, require_new, require_room
from kadanoff.runtime.progress import Advance, progress
from kadanoff.spins.exact import T_C

BITS = 1.0  # on disk, a spin: critical lattices compress to less
TALLEST = 2048  # rows of a band: their halo costs little then, and some hundred MB hold them
MEMORY = 1_000_000_000  # bytes that the threads hold; as many again are taken by the network's tables and the libraries
SEED = 512  # side of a simulated seed
MOST_SWEEPS = 1000  # each takes 4 rows of halo
LEVELS = 64  # more than any lattice has: each sample has as many numbers of levels, and random bits, of its own
SHARDS = "spins/c/0/0/*/0"


@dataclass(frozen=True)
class Job:
    """What is grown: from the sample `sample` of the dataset `source`, or a simulated one, to the side `size`."""

    model: Path
    source: Path | None
    sample: int
    size: int
    sweeps: int
    seed: int


def grow(job: Job, target: Path, workers: int | None = None, rows: int = TALLEST) -> None:
    """Write a dataset with one lattice of side `size` at T_c.

    The spins depend on the job alone: not on the number of workers, on the rows of a band, or on interruptions. A
    command that was killed resumes from its last shard. It takes 2 GB of memory at the most up to a side of 124,416
    (measured there: 1.48 GB with 2 workers): `workers` threads (one a core), fewer where MEMORY holds fewer.

    Raises
    ------
    KadanoffError
        If the target exists, the seed is missing, damaged or not critical, the model does not enlarge lattices at
        T_c, the size is not that of the seed times a power of the model's factor, or the disk has too little room.
    """
    require_new(target)
    seed_of_bits(job.seed)
    whole(job.sweeps, "sweeps", 0, MOST_SWEEPS)
    enlargement = enlargement_of(job)
    if job.source is None:
        sides_to(SEED, job.size, enlargement.block, "size")  # refuses before a seed is simulated
    seed = seed_of(job)
    sides = sides_to(len(seed), job.size, enlargement.block, "size")
    hashes = {
        "model_blake2b": hashlib.blake2b(job.model.read_bytes()).hexdigest(),
        "seed_lattice_blake2b": hashlib.blake2b(seed.tobytes()).hexdigest(),
    }
    with alone_on_new(target, "growing", f"*/*.zarr/{SHARDS}") as folder:
        work = folder / fingerprint(job.sample, job.size, job.sweeps, job.seed, hashes)
        needed = sum(side**2 for side in sides) * BITS / 8
        written = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
        takes = f"a lattice of side {sides[-1]} and those that it grows from take"
        require_room(target.parent, needed, takes, written=written)
        last = _levels(job, enlargement, seed, sides, work, workers, rows)
        finish_lattice(last, _measured(job, hashes, last, workers))
        place_new(last, target)


def enlargement_of(job: Job) -> Enlargement:
    """The model's tables, if it is a network of whole blocks for the square lattice at T_c; else KadanoffError."""
    network, block = network_of(job.model, "model", str(job.model), Blocks)
    return Enlargement(tables(network), block, job.sweeps, job.seed, RenormalizedGibbs.of(network))


def seed_of(job: Job) -> Rows:
    """The critical lattice that the job starts from, int8 (y, x); KadanoffError if there is none."""
    if job.source is None:
        return simulate(SEED, float(T_C), 1, sampler="swendsen_wang", seed=job.sample).read(0)[0]
    ensemble = open_dataset(job.source)
    temperature, sample = place_of(job.source, ensemble, job.sample)
    return ensemble.read(temperature, slice(sample, sample + 1))[0]


def _levels(
    job: Job, enlargement: Enlargement, seed: Rows, sides: list[int], work: Path, workers: int | None, rows: int
) -> Path:
    """Grow all levels, each from the store of the one before; the store of the last."""
    read, path = around(seed), work
    with progress(f"grow {sides[-1]}", sum(side**2 for side in sides[1:])) as advance:
        for level, side in enumerate(sides[1:], 1):
            path = work / f"{side}.zarr"
            if not (path / "spins" / "zarr.json").exists():
                create_lattice(path, side)
            for left in path.rglob("*.partial"):  # of a shard that was being written when the process was killed
                left.unlink()
            _level(enlargement, read, level + LEVELS * job.sample, path, workers, rows, advance)
            read = reader(zarr.open_array(path / "spins", mode="r"))
    return path


def _level(
    enlargement: Enlargement, read: Read, level: int, path: Path, workers: int | None, rows: int, advance: Advance
) -> None:
    """Fill the store of one level, some shards of rows at a time; those that are there already stay."""
    array = zarr.open_array(path / "spins", mode="r+")
    side, shard = array.shape[-1], _shard(array)
    step = shard * max(1, rows // shard)

    def fill(first: int) -> None:
        starts = range(first, min(first + step, side), shard)
        count = min(first + step, side) - first
        # a shard comes to the disk in one rename
        if not all((path / f"spins/c/0/0/{start // shard}/0").exists() for start in starts):
            words = refined(enlargement, read, level, side // enlargement.block, range(first, first + count))
            for start in starts:
                spins = np.empty((min(shard, side - start), side), np.int8)
                bands.scatter(words, start - first, first & 1, spins)
                array[0, 0, start : start + len(spins)] = spins
        advance(side * count)

    with ThreadPoolExecutor(threads(workers, _memory(enlargement, side, step, shard), MEMORY)) as pool:
        list(pool.map(fill, range(0, side, step)))


def _memory(enlargement: Enlargement, side: int, step: int, shard: int) -> int:
    """Bytes of a thread: a band as words, its coarse rows as read and swept, a shard and its copy for the disk."""
    coarse = step // enlargement.block + 2 * (enlargement.gibbs.halo if enlargement.gibbs else 0)
    return step * side // 8 + 3 * coarse * side // enlargement.block + 2 * shard * side


def _shard(array: zarr.Array) -> int:
    """Rows of a shard."""
    assert array.shards is not None  # `create_lattice` gave it some
    return array.shards[2]


def reader(array: zarr.Array) -> Read:
    """Rows of a stored torus, counted around it."""
    side = array.shape[-1]

    def read(first: int, end: int) -> Rows:
        parts, row = [], first
        while row < end:
            start = row % side
            count = min(end - row, side - start)
            window = 0, 0, slice(start, start + count)
            parts.append(decoded(array, window, str(array.store_path), "Remove it, then repeat the command."))
            row += count
        return np.concatenate(parts)

    return read


def _measured(job: Job, hashes: dict[str, str], path: Path, workers: int | None) -> Ensemble:
    """The grown lattice as a dataset, its energy and magnetization from one pass over it."""
    array = zarr.open_array(path / "spins", mode="r")
    side, step = array.shape[-1], _shard(array)
    read = reader(array)

    def sums(first: int) -> tuple[int, int]:
        spins = read(first, min(first + step, side) + 1)
        own = spins[:-1]
        # products in bytes, as einsum would copy all spins into int64
        bonds = (own * spins[1:]).sum(dtype=np.int64) + (own[:, 1:] * own[:, :-1]).sum(dtype=np.int64)
        bonds += (own[:, 0] * own[:, -1]).sum(dtype=np.int64)
        return int(bonds), int(own.sum(dtype=np.int64))

    count = threads(workers, 3 * step * side, MEMORY)  # the rows, a product of them, and what is decoded
    with ThreadPoolExecutor(count) as pool, progress(f"measure {side}", side**2) as advance:
        totals = np.zeros(2)
        for found in pool.map(sums, range(0, side, step)):
            totals += found
            advance(step * side)
    energy, magnetization = np.array([[[-totals[0]]], [[totals[1]]]]) / side**2
    grown = {
        "model": job.model.name,
        "seed_dataset": None if job.source is None else job.source.name,
        "sample": job.sample,
        "seed": job.seed,
    }
    provenance: dict[str, Any] = {
        "parameters": {"size": side, "boundary": "periodic", "coupling": 1.0, "field": 0.0},
        "grown": grown | {"sweeps": job.sweeps, "version": __version__} | hashes,
    }
    return Ensemble(array, np.array([float(T_C)]), energy, magnetization, np.array([np.nan]), provenance)
