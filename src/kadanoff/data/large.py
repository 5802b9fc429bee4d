"""Stores of one large lattice: filled by whole shards, finished when they are all there."""

import math
import shutil
from pathlib import Path

import zarr

from kadanoff.data.arrays import CHUNK_BYTES, SHARD_BYTES, spins_array
from kadanoff.data.store import Ensemble, finish_group


def create_lattice(path: Path, side: int) -> zarr.Array:
    """A new Zarr group with an array `spins` (1, 1, y, x) for one large lattice, to be filled by whole shards.

    A group without that array, of a process that was killed between the two, is completed.
    A shard holds full rows: about SHARD_BYTES spins, fewer of small lattices, so that all cores have some.
    """
    group = zarr.open_group(path, mode="a", zarr_format=3)
    rows = _divisor(side, math.isqrt(CHUNK_BYTES) // 2)
    shard = rows * max(1, min(SHARD_BYTES // (rows * side), side // rows // 8))
    return spins_array(group, (1, 1, side, side), (1, 1, rows, rows), (1, 1, shard, side))


def finish_lattice(path: Path, ensemble: Ensemble) -> None:
    """Add everything but the spins to what `create_lattice` made, in place of what a killed process added of it."""
    for left in path.iterdir():
        if left.is_dir() and left.name != "spins":
            shutil.rmtree(left)
        elif left.is_file() and left.name != "zarr.json":
            left.unlink()
    finish_group(path, ensemble)


def _divisor(number: int, most: int) -> int:
    """The largest divisor that is at most so large."""
    return max(part for part in range(1, most + 1) if number % part == 0)
