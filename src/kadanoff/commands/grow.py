"""One critical lattice, grown to any size: out of core, on all cores, and resumable."""

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr

from kadanoff import __version__
from kadanoff.data.arrays import decoded
from kadanoff.data.store import Ensemble, create_lattice, finish_lattice, open_dataset
from kadanoff.errors import KadanoffError, whole
from kadanoff.errors import seed_of as seed_of_bits
from kadanoff.inverse import bands
from kadanoff.inverse.critical import network_of, place_of
from kadanoff.inverse.growth import Enlargement, Read, Rows, around, refined, sides_to
from kadanoff.inverse.renormalized import RenormalizedGibbs
from kadanoff.inverse.superresolve import tables
from kadanoff.montecarlo.devices import require_device
from kadanoff.montecarlo.simulate import simulate
from kadanoff.networks.superres import Blocks
from kadanoff.runtime.cluster import cluster
from kadanoff.runtime.executor import in_threads, threads
from kadanoff.runtime.files import fingerprint, write_atomic
from kadanoff.runtime.output import alone_on_new, place_new, require_new, require_room
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
    """What is grown: from the sample `sample` of the dataset `source`, or a simulated one, to the side `size`.

    The `device` of its sweeps, ``auto``, ``cpu`` or ``cuda``, changes no spin.
    """

    model: Path
    source: Path | None
    sample: int
    size: int
    sweeps: int
    seed: int
    device: str = "auto"


class Plan(NamedTuple):
    """What every band needs: the job, the hash of its model, and how many rows a band has at the most."""

    job: Job
    model: str
    rows: int


def grow(job: Job, target: Path, workers: int | None = None, rows: int = TALLEST) -> None:
    """Write a dataset with one lattice of side `size` at T_c.

    The spins depend on the job alone: not on the number of workers, on the rows of a band, or on interruptions. A
    command that was killed resumes from its last shard. With KADANOFF_CLUSTER the workers of a Dask cluster compute the
    bands of a level, then those of the next. It takes 2 GB of memory at the most up to a side of 124,416
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
    if not cluster():
        require_device(job.device)
    _, block = network_of(job.model, "model", str(job.model), Blocks)  # its tables, which take a second, come later
    if job.source is None:
        sides_to(SEED, job.size, block, "size")  # refuses before a seed is simulated
    seed = seed_of(job)
    sides = sides_to(len(seed), job.size, block, "size")
    hashes = {
        "model_blake2b": _digest(job.model.read_bytes()),
        "seed_lattice_blake2b": _digest(seed.tobytes()),
    }
    with alone_on_new(target, "growing", f"*/*.zarr/{SHARDS}") as folder:
        work = folder / fingerprint(job.sample, job.size, job.sweeps, job.seed, hashes)
        needed = sum(side**2 for side in sides) * BITS / 8
        written = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
        takes = f"a lattice of side {sides[-1]} and those that it grows from take"
        require_room(target.parent, needed, takes, written=written)
        plan = Plan(job, hashes["model_blake2b"], rows)
        buffer = io.BytesIO()
        np.save(buffer, seed)
        path, digests = work / "seed.npy", {}
        write_atomic(path, buffer.getvalue())
        for level, side in enumerate(sides[1:], 1):
            before, path = path, work / f"{side}.zarr"
            digests = _level(plan, level + LEVELS * job.sample, before, path, workers)
        finish_lattice(path, _measured(job, hashes, path, workers, digests))
        place_new(path, target)


def enlargement_of(job: Job) -> Enlargement:
    """The model's tables, if it is a network of whole blocks for the square lattice at T_c; else KadanoffError."""
    network, block = network_of(job.model, "model", str(job.model), Blocks)
    return Enlargement(tables(network), block, job.sweeps, job.seed, RenormalizedGibbs.of(network), job.device)


def seed_of(job: Job) -> Rows:
    """The critical lattice that the job starts from, int8 (y, x); KadanoffError if there is none."""
    if job.source is None:
        return simulate(SEED, float(T_C), 1, sampler="swendsen_wang", seed=job.sample).read(0)[0]
    ensemble = open_dataset(job.source)
    temperature, sample = place_of(job.source, ensemble, job.sample)
    return ensemble.read(temperature, slice(sample, sample + 1))[0]


@lru_cache(maxsize=1)
def _enlargement(job: Job, model: str) -> Enlargement:
    """`enlargement_of` the model with this hash, once for all bands of a process; KadanoffError if it is another."""
    if _digest(job.model.read_bytes()) != model:
        raise KadanoffError(f"{job.model} is not the file that this lattice grows by; give every machine the same one.")
    return enlargement_of(job)


def _level(plan: Plan, level: int, before: Path, path: Path, workers: int | None) -> dict[int, str]:
    """Fill the store of one level, some shards of rows at a time; those that are there already stay.

    Hashes of the shards that were written, by their first row.
    """
    side = int(path.stem)
    if not (path / "spins" / "zarr.json").exists():
        create_lattice(path, side)
    for left in path.rglob("*.partial"):  # of a shard that was being written when the process was killed
        left.unlink(missing_ok=True)
    shard = _shard(zarr.open_array(path / "spins", mode="r"))
    step = shard * max(1, plan.rows // shard)
    # a shard comes to the disk in one rename
    todo = [
        (range(first, min(first + step, side), shard),)
        for first in range(0, side, step)
        if not all(
            (path / f"spins/c/0/0/{row // shard}/0").exists() for row in range(first, min(first + step, side), shard)
        )
    ]
    held = _memory(_enlargement(plan.job, plan.model), side, step, shard)
    found = in_threads(f"grow {side}", partial(_band, plan, level, before, path), todo, threads(workers, held, MEMORY))
    return {row: digest for band in found for row, digest in band.items()}


def _band(plan: Plan, level: int, before: Path, path: Path, shards: range) -> dict[int, str]:
    """Write the shards that begin at these rows, and return their hashes."""
    require_device(plan.job.device)
    enlargement = _enlargement(plan.job, plan.model)
    array = zarr.open_array(path / "spins", mode="r+")
    side, first, end = array.shape[-1], shards.start, shards.stop
    words = refined(enlargement, _rows_of(before), level, side // enlargement.block, range(first, end))
    digests = {}
    for start in shards:
        spins = np.empty((min(shards.step, side - start), side), np.int8)
        bands.scatter(words, start - first, first & 1, spins)
        array[0, 0, start : start + len(spins)] = spins
        digests[start] = _digest(spins.data)
    return digests


def _rows_of(path: Path) -> Read:
    """Rows of the seed, or of the store of a level, counted around the torus."""
    return around(np.load(path, "r")) if path.suffix == ".npy" else reader(zarr.open_array(path / "spins", mode="r"))


def _digest(content: bytes | memoryview) -> str:
    return hashlib.blake2b(content).hexdigest()


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


class Sums(NamedTuple):
    """Of some rows: the products of neighbours to the right and below, the spins, and the hash of them."""

    bonds: int
    spins: int
    digest: str


def _sums(path: Path, first: int, end: int) -> Sums:
    """Rows first to end - 1 of a store."""
    spins = _rows_of(path)(first, end + 1)
    own = spins[:-1]
    # products in bytes, as einsum would copy all spins into int64
    bonds = (own * spins[1:]).sum(dtype=np.int64) + (own[:, 1:] * own[:, :-1]).sum(dtype=np.int64)
    bonds += (own[:, 0] * own[:, -1]).sum(dtype=np.int64)
    return Sums(int(bonds), int(own.sum(dtype=np.int64)), _digest(own.data))


def _measured(job: Job, hashes: dict[str, str], path: Path, workers: int | None, digests: dict[int, str]) -> Ensemble:
    """The grown lattice as a dataset, its energy and magnetization from one pass over it.

    KadanoffError if a shard is not the one with the hash that its worker gave.
    """
    array = zarr.open_array(path / "spins", mode="r")
    side, step = array.shape[-1], _shard(array)
    places = [(first, min(first + step, side)) for first in range(0, side, step)]
    # of a thread: the rows, a product of them, and what is decoded
    found = in_threads(f"measure {side}", partial(_sums, path), places, threads(workers, 3 * step * side, MEMORY))
    for (first, _), seen in zip(places, found, strict=True):
        if digests.get(first, seen.digest) != seen.digest:
            shard = path / f"spins/c/0/0/{first // step}/0"
            raise KadanoffError(f"{shard} does not hold what was written; remove it, then repeat the command.")
    totals = np.sum([(seen.bonds, seen.spins) for seen in found], axis=0, dtype=float)
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
