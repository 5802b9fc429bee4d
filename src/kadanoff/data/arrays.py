"""Zarr arrays of a store: how they are cut into files, compressed and guarded by checksums; one file of metadata."""

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec

from kadanoff.errors import KadanoffError
from kadanoff.runtime.files import write_atomic

CHUNK_BYTES = 1 << 20
# 64 MiB of spins compress to about 8 MiB: few enough files for DVC's push and pull to be fast
SHARD_BYTES = 1 << 26
MISSING = -np.inf  # what a real array reads where a chunk is missing: no value of ours, unlike NaN
UNITS = {
    "temperature": "|J|/k_B",
    "energy": "|J| per site",
    "magnetization": "per site",
    "autocorrelation_time": "sweeps",
}


def checked(**blosc: Any) -> tuple[BloscCodec, Crc32cCodec]:
    """Zstandard with these options of Blosc, and a checksum of the compressed chunk: a changed bit is an error."""
    return BloscCodec(cname="zstd", **blosc), Crc32cCodec()


def spins_array(
    group: zarr.Group, shape: tuple[int, ...], chunks: tuple[int, ...], shards: tuple[int, ...]
) -> zarr.Array:
    """The array `spins` of a group, without values; it reads 0, which no spin is, where a shard is missing."""
    return group.create_array(
        "spins",
        shape=shape,
        chunks=chunks,
        shards=shards,
        dtype="int8",
        fill_value=0,
        compressors=checked(shuffle="bitshuffle", typesize=1),
        dimension_names=("temperature", *axes_of(shape)),
        attributes={"long_name": "spin", "valid_values": [-1, 1]},
    )


def values_array(group: zarr.Group, name: str, values: NDArray, dimensions: tuple[str, ...]) -> None:
    """A small array in one chunk."""
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=values.shape,
        dtype=values.dtype,
        fill_value=MISSING if values.dtype.kind == "f" else -1,
        compressors=checked(typesize=8),
        dimension_names=dimensions,
        attributes={"units": UNITS[name]} if name in UNITS else {},
    )
    array[...] = values


def fields_array(group: zarr.Group, shape: tuple[int, ...], axes: tuple[str, ...]) -> zarr.Array:
    """The array `output` of a group, float32 (temperature, sample, *axes), without values."""
    chunks, shards = layout(shape)
    return group.create_array(
        "output",
        shape=shape,
        chunks=chunks,
        shards=shards,
        dtype="float32",
        fill_value=MISSING,
        compressors=checked(shuffle="bitshuffle", typesize=4),
        dimension_names=("temperature", "sample", *axes),
    )


def axes_of(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Names of the axes of spins (temperature, sample, [y,] x) from the second on."""
    return ("sample", "y", "x") if len(shape) == 4 else ("sample", "x")


def layout(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Chunk and shard shapes: whole configurations, near CHUNK_BYTES and SHARD_BYTES of spins."""
    temperatures, samples, *lattice = shape
    sites = math.prod(lattice)
    per_chunk = min(samples, max(1, CHUNK_BYTES // sites))
    chunks_of_samples = -(-samples // per_chunk)
    per_shard = min(chunks_of_samples, max(1, SHARD_BYTES // (per_chunk * sites)))
    rows = 1
    if per_shard == chunks_of_samples:
        rows = min(temperatures, max(1, SHARD_BYTES // (per_shard * per_chunk * sites)))
    return (1, per_chunk, *lattice), (rows, per_shard * per_chunk, *lattice)


def consolidate(path: Path) -> None:
    """Gather the metadata of a finished group in one file, always in the same order."""
    with warnings.catch_warnings():
        # xarray opens consolidated stores without a warning; zarr warns that v3 has not standardised them yet
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(path, zarr_format=3)
    # the arrays come in the order in which the folder was listed; the same dataset must have the same bytes
    metadata = path / "zarr.json"
    write_atomic(metadata, json.dumps(json.loads(metadata.read_text(encoding="utf-8")), indent=2, sort_keys=True))


def read_spins(array: Any, window: Any, where: str, remedy: str) -> NDArray[np.int8]:
    """Spins of a window of an array, of Zarr or in memory; what is wrong with them is said of `where`.

    KadanoffError if a part of it is missing or damaged, or there are other values than +1 and -1.
    """
    block = decoded(array, window, where, remedy)
    if block.dtype.kind not in "iuf" or not np.all(np.abs(block) == 1):
        raise KadanoffError(f"{where} cannot be used: spins are +1 or -1, and it has other values. {remedy}")
    return block.astype(np.int8, copy=False)


def decoded(array: Any, window: Any, where: str, remedy: str) -> NDArray:
    """A window of an array, of Zarr or in memory; KadanoffError if it cannot be read."""
    try:
        return np.asarray(array[window])
    except IndexError as error:
        raise KadanoffError(f"{where} has the shape {array.shape} ({error}); give indices within it.") from error
    except Exception as error:  # codecs raise whatever their C library does
        raise KadanoffError(f"{where} cannot be decoded ({error}). {remedy}") from error
