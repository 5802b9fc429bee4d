"""A pyramid of one large lattice, for viewers of images: OME-Zarr 0.5, its levels the means of blocks of spins."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from kadanoff.data.arrays import checked, read_spins
from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.runtime.output import alone_on_new, place_new, require_new, require_room
from kadanoff.runtime.progress import Advance, progress

FACTOR = 3
SMALLEST = 512  # a level of at most this side is the last one
CHUNK = 512
SHARD = 9 * CHUNK  # some hundred files of the largest lattices, and 21 MB for each of the threads
WINDOW = 3 * CHUNK  # side of what a thread reads at a time
EXACT = 2  # up to here the 9^level + 1 means have different brightness: the number of spins up can be told from it
BITS = 1.5  # on disk, of all levels, for each spin; critical lattices take less

Pixels = NDArray[np.uint8]
Read = Callable[[slice, slice], Pixels]


def write_pyramid(source: Path, target: Path, workers: int | None = None) -> None:
    """Write an OME-Zarr 0.5 image with all scales of one lattice.

    Level 0 has a pixel (y, x) for each spin, uint8: 255 where it is +1, 0 where it is -1. A pixel of level k is the
    mean of the 3^k x 3^k that it covers, rounded once. There are levels as long as the side is a multiple of 3 and
    larger than 512. Lengths are in sites; the centre of the first spin is the origin. The bytes do not depend on the
    number of workers, each of which takes about 40 MB of memory whatever the size. KadanoffError if the target exists,
    the source is missing, damaged or not one square lattice, or the disk has too little room.
    """
    require_new(target)
    lattice = _lattice(source)
    sides = level_sides(lattice.spins.shape[-1])
    with alone_on_new(target, "writing") as work:
        require_room(target.parent, sides[0] ** 2 * BITS / 8, f"a pyramid of side {sides[0]} takes")
        _write(lattice, source, work / "image", sides, workers)
        place_new(work / "image", target)


def level_sides(side: int) -> list[int]:
    """Sides of the levels that a pyramid of this side has, the largest first."""
    sides = [side]
    while sides[-1] > SMALLEST and sides[-1] % FACTOR == 0:
        sides.append(sides[-1] // FACTOR)
    return sides


def _lattice(source: Path) -> Ensemble:
    ensemble = open_dataset(source)
    shape = ensemble.spins.shape
    if len(shape) != 4 or shape[:2] != (1, 1) or shape[2] != shape[3]:
        raise KadanoffError(
            f"{source} has spins {shape}; a pyramid is that of one square lattice, (1, 1, L, L). Give a dataset that "
            "`kadanoff grow OUT.zarr` wrote."
        )
    return ensemble


def _write(lattice: Ensemble, source: Path, path: Path, sides: list[int], workers: int | None) -> None:
    attributes = {"ome": _metadata(source.stem, len(sides)), "provenance": lattice.provenance}
    group = zarr.create_group(path, zarr_format=3, attributes=attributes)
    levels = [_array(group, number, side) for number, side in enumerate(sides)]
    bases = [min(level - 1, EXACT) for level in range(1, len(levels))]
    sites = sides[0] ** 2 + sum(sides[base] ** 2 for base in bases)
    with progress(f"pyramid {sides[0]}", sites) as advance, ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        _fill(levels[0], partial(_bright, lattice.spins, source), 1, pool, advance)
        for level, base in enumerate(bases, 1):
            _fill(levels[level], partial(_means, levels[base], base, level), FACTOR ** (level - base), pool, advance)


def _metadata(name: str, levels: int) -> dict[str, Any]:
    """What OME-Zarr calls `ome`. The centre of a block is that of the spin in its middle, not of its first."""
    datasets = []
    for level in range(levels):
        scale = {"type": "scale", "scale": [float(FACTOR**level)] * 2}
        shift = {"type": "translation", "translation": [(FACTOR**level - 1) / 2] * 2}
        datasets.append({"path": str(level), "coordinateTransformations": [scale, shift]})
    axes = [{"name": axis, "type": "space"} for axis in ("y", "x")]
    image = {"name": name, "axes": axes, "datasets": datasets, "type": "mean"}
    return {"version": "0.5", "multiscales": [image]}


def _array(group: zarr.Group, level: int, side: int) -> zarr.Array:
    chunk = min(CHUNK, side)
    shard = min(SHARD, -(-side // chunk) * chunk)
    return group.create_array(
        str(level),
        shape=(side, side),
        chunks=(chunk, chunk),
        shards=(shard, shard),
        dtype="uint8",
        fill_value=0,
        # bits of two values repeat; means are noise, of which only the frequencies can be used
        compressors=checked(clevel=1, shuffle="noshuffle" if level else "bitshuffle", typesize=1),
        dimension_names=("y", "x"),
        config={"write_empty_chunks": True},  # a missing file is damage
    )


def _fill(array: zarr.Array, read: Read, ratio: int, pool: ThreadPoolExecutor, advance: Advance) -> None:
    """Write all shards of a level; `read` makes its pixels out of `ratio` times as many rows and columns."""
    assert array.shards is not None  # `_array` gave it some
    side, shard = array.shape[0], array.shards[0]
    step = max(1, WINDOW // ratio)

    def fill(tile: tuple[slice, slice]) -> None:
        pixels = np.empty([part.stop - part.start for part in tile], np.uint8)
        for rows, columns in product(*(_parts(part, step) for part in tile)):
            found = read(rows, columns)
            y, x = rows.start - tile[0].start, columns.start - tile[1].start
            pixels[y : y + found.shape[0], x : x + found.shape[1]] = found
            advance(found.size * ratio**2)
        array[tile] = pixels  # a shard comes to the disk in one rename

    for _ in pool.map(fill, product(_parts(slice(0, side), shard), repeat=2)):
        pass


def _bright(spins: zarr.Array, source: Path, rows: slice, columns: slice) -> Pixels:
    """Pixels of level 0."""
    where, remedy = f"{source}: array 'spins'", "Remove it, then grow or fetch it again."
    block = read_spins(spins, (0, 0, rows, columns), where, remedy)
    return (block > 0).view(np.uint8) * np.uint8(255)


def _means(finer: zarr.Array, base: int, level: int, rows: slice, columns: slice) -> Pixels:
    """Pixels of a level, from one whose numbers of spins up are known exactly."""
    ratio, sites = FACTOR ** (level - base), FACTOR ** (2 * level)
    window = (slice(ratio * part.start, ratio * part.stop) for part in (rows, columns))
    pixels = np.asarray(finer[tuple(window)])
    ups = (pixels * np.uint16(FACTOR ** (2 * base)) + np.uint16(127)) // np.uint16(255)  # in the blocks of that level
    down = np.zeros((len(ups) // ratio, ups.shape[1]), np.min_scalar_type(sites))
    for row in range(ratio):
        down += ups[row::ratio]
    total = sum(down[:, column::ratio].astype(np.int64) for column in range(ratio))
    # 255 total / sites is never half an integer, as sites is odd
    return ((510 * total + sites) // (2 * sites)).astype(np.uint8)


def _parts(whole: slice, step: int) -> list[slice]:
    return [slice(first, min(first + step, whole.stop)) for first in range(whole.start, whole.stop, step)]
