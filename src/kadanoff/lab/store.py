"""Ensembles of configurations, in memory or as Zarr v3 groups that plain `xarray.open_zarr` reads."""

import json
import math
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec
from zarr.errors import GroupNotFoundError

from kadanoff.errors import KadanoffError
from kadanoff.lab.files import disk_errors, exists, replace_folder, write_atomic

FORMAT = 1
CHUNK_BYTES = 1 << 20
# 64 MiB of spins compress to about 8 MiB: few enough files for DVC's push and pull to be fast
SHARD_BYTES = 1 << 26
UNITS = {
    "temperature": "|J|/k_B",
    "energy": "|J| per site",
    "magnetization": "per site",
    "autocorrelation_time": "sweeps",
}


@dataclass
class Ensemble:
    """Configurations of a spin lattice at several temperatures.

    Attributes
    ----------
    spins
        int8, +1 or -1, shape (temperature, sample, y, x), or (temperature, sample, x) for a chain; a NumPy array,
        or a Zarr array that reads on slicing (see `read`).
    temperatures
        float64 (temperature,), in units of |J|/k_B.
    energy, magnetization
        float64 (temperature, sample), per site; the energy holds the field's part, -B m.
    autocorrelation_time
        float64 (temperature,), in sweeps, of a pilot chain; NaN where none was measured.
    provenance
        How the configurations were made: parameters, sampler and why, sweeps, seed, versions.
    """

    spins: Any
    temperatures: NDArray[np.float64]
    energy: NDArray[np.float64]
    magnetization: NDArray[np.float64]
    autocorrelation_time: NDArray[np.float64]
    provenance: dict[str, Any] = field(default_factory=dict)

    def read(self, temperature: int | slice = slice(None), sample: int | slice = slice(None)) -> NDArray[np.int8]:
        """Spins of the selected temperatures and samples as a NumPy array.

        Raises
        ------
        KadanoffError
            If a part of the store is missing or damaged.
        """
        place = getattr(self.spins, "store_path", "memory")
        try:
            block = np.asarray(self.spins[temperature, sample])
        except Exception as error:  # codecs raise whatever their C library does
            raise KadanoffError(
                f"{place}: array 'spins' cannot be decoded ({error}). The file is damaged: delete it, then "
                "`dvc checkout` or `dvc pull` it again."
            ) from error
        if block.size and not np.all(np.abs(block) == 1):
            raise KadanoffError(
                f"{place}: array 'spins' has values other than +1 and -1: a shard is missing or it is not a set of "
                "spins. Delete it, then `dvc checkout` or `dvc pull` it again."
            )
        return block

    def save(self, path: str | Path) -> None:
        """Write a Zarr v3 group at `path`, in one rename; an older one there is replaced.

        Raises
        ------
        KadanoffError
            If something else is at `path`, or the disk refuses; nothing there has changed then.
        """
        path = Path(path)
        if exists(path) and "kadanoff_format" not in _open_group(path).attrs:
            raise KadanoffError(f"{path} is no dataset of kadanoff, and is not replaced; give another name.")
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
            try:
                write_group(scratch / path.name, self)
                replace_folder(scratch / path.name, path)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)


def write_group(path: Path, ensemble: Ensemble) -> None:
    """Write `ensemble` as a new Zarr group; spins go through memory one shard at a time."""
    attributes = {"kadanoff_format": FORMAT, "provenance": ensemble.provenance}
    group = zarr.create_group(path, zarr_format=3, attributes=attributes)
    _write_spins(group, ensemble.spins)
    write_values(group, ensemble)
    consolidate(path)


def write_values(group: zarr.Group, ensemble: Ensemble) -> None:
    """Coordinates, and what is known of each configuration."""
    _write_array(group, "temperature", ensemble.temperatures, ("temperature",))
    for name in ("energy", "magnetization"):
        _write_array(group, name, getattr(ensemble, name), ("temperature", "sample"))
    _write_array(group, "autocorrelation_time", ensemble.autocorrelation_time, ("temperature",))
    axes = ("sample", "y", "x") if ensemble.spins.ndim == 4 else ("sample", "x")
    for axis, length in zip(axes, ensemble.spins.shape[1:], strict=True):
        _write_array(group, axis, np.arange(length), (axis,))


def write_fields(
    path: Path, shape: tuple[int, ...], axes: tuple[str, ...], temperatures: NDArray, origin: dict[str, Any]
) -> zarr.Array:
    """A new Zarr group with an empty float32 array `output` (temperature, sample, *axes), to be filled by slices."""
    group = zarr.create_group(path, zarr_format=3, attributes={"provenance": origin})
    chunks, shards = _layout(shape)
    output = group.create_array(
        "output",
        shape=shape,
        chunks=chunks,
        shards=shards,
        dtype="float32",
        fill_value=np.nan,
        compressors=BloscCodec(cname="zstd", shuffle="bitshuffle", typesize=4),
        dimension_names=("temperature", "sample", *axes),
    )
    _write_array(group, "temperature", temperatures, ("temperature",))
    consolidate(path)
    return output


def consolidate(path: Path) -> None:
    """Gather the metadata of a finished group in one file, always in the same order."""
    with warnings.catch_warnings():
        # xarray opens consolidated stores without a warning; zarr warns that v3 has not standardised them yet
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(path, zarr_format=3)
    # the arrays come in the order in which the folder was listed; the same dataset must have the same bytes
    metadata = path / "zarr.json"
    write_atomic(metadata, json.dumps(json.loads(metadata.read_text(encoding="utf-8")), indent=2, sort_keys=True))


def _write_array(group: zarr.Group, name: str, values: NDArray, dimensions: tuple[str, ...]) -> None:
    attributes: dict[str, Any] = {"units": UNITS[name]} if name in UNITS else {}
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=values.shape,
        dtype=values.dtype,
        fill_value=np.nan if values.dtype.kind == "f" else -1,
        compressors=BloscCodec(cname="zstd", typesize=8),
        dimension_names=dimensions,
        attributes=attributes,
        config={"write_empty_chunks": True},  # all NaN is a value too, and a missing file is damage
    )
    array[...] = values


def _write_spins(group: zarr.Group, spins: Any) -> None:
    chunks, shards = _layout(spins.shape)
    array = spins_array(group, spins.shape, chunks, shards)
    for temperature in range(0, spins.shape[0], shards[0]):
        for sample in range(0, spins.shape[1], shards[1]):
            window = slice(temperature, temperature + shards[0]), slice(sample, sample + shards[1])
            array[window] = spins[window]


def spins_array(
    group: zarr.Group, shape: tuple[int, ...], chunks: tuple[int, ...], shards: tuple[int, ...]
) -> zarr.Array:
    """The array `spins` of a group, without values."""
    return group.create_array(
        "spins",
        shape=shape,
        chunks=chunks,
        shards=shards,
        dtype="int8",
        fill_value=0,
        compressors=BloscCodec(cname="zstd", shuffle="bitshuffle", typesize=1),
        dimension_names=("temperature", "sample", "y", "x") if len(shape) == 4 else ("temperature", "sample", "x"),
        attributes={"long_name": "spin", "valid_values": [-1, 1]},
    )


def _layout(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
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


def open_dataset(path: str | Path) -> Ensemble:
    """Open a Zarr dataset lazily: `.spins` reads on slicing, the rest is in memory.

    Raises
    ------
    KadanoffError
        If there is no dataset, it is of another version, foreign or damaged: the message names the array.
    """
    path = Path(path)
    group = _open_group(path)
    found = group.attrs.get("kadanoff_format")
    if found != FORMAT:
        raise KadanoffError(
            f"{path} has kadanoff_format {json.dumps(found)}; this version reads {FORMAT}. "
            "Make the dataset again with `dvc repro`, or check out the commit that wrote it."
        )
    spins = _array(group, path, "spins", "int8", None)
    if spins.ndim not in (3, 4):
        raise KadanoffError(f"{path}: array 'spins' has {spins.ndim} dimensions; it needs 4 (or 3 for a chain).")
    temperatures, samples = spins.shape[:2]
    return Ensemble(
        spins,
        _values(group, path, "temperature", (temperatures,)),
        _values(group, path, "energy", (temperatures, samples)),
        _values(group, path, "magnetization", (temperatures, samples)),
        _values(group, path, "autocorrelation_time", (temperatures,)),
        _mapping(group.attrs.get("provenance")),
    )


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _open_group(path: Path) -> zarr.Group:
    if not exists(path):
        raise KadanoffError(f"there is no dataset {path}; make it with `dvc repro` or fetch it with `dvc pull`.")
    try:
        return zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)
    except (GroupNotFoundError, FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise KadanoffError(f"{path} is not a Zarr v3 group ({error}); give a dataset that kadanoff wrote.") from error


def _array(group: zarr.Group, path: Path, name: str, dtype: str, shape: tuple[int, ...] | None) -> zarr.Array:
    try:
        array = group.get(name)
    except Exception as error:  # metadata that cannot be parsed raise whatever the parser stumbles over
        raise KadanoffError(
            f"{path}: array {name!r} has damaged metadata ({error}). Delete the dataset, then `dvc checkout` or "
            "`dvc pull`."
        ) from error
    if not isinstance(array, zarr.Array):
        raise KadanoffError(
            f"{path}: array {name!r} is missing; delete the dataset, then `dvc checkout` or `dvc pull`."
        )
    if array.dtype != dtype or (shape is not None and array.shape != shape):
        raise KadanoffError(
            f"{path}: array {name!r} is {array.dtype} {array.shape}; it should be {dtype} {shape or ''}. "
            "The dataset is foreign or damaged: delete it, then `dvc checkout` or `dvc pull`."
        )
    return array


def _values(group: zarr.Group, path: Path, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = _array(group, path, name, "float64", shape)
    try:
        if array.nchunks_initialized < array.nchunks:
            raise FileNotFoundError("a chunk is missing")  # zarr would read the fill value
        return np.asarray(array[...])
    except Exception as error:  # codecs raise whatever their C library does
        raise KadanoffError(
            f"{path}: array {name!r} cannot be decoded ({error}). Delete the dataset, then `dvc checkout` or "
            "`dvc pull`."
        ) from error


def configurations(ensemble: Ensemble, batch: int) -> Iterator[tuple[int, slice, NDArray[np.int8]]]:
    """Stream (temperature index, sample slice, spins) in batches of at most `batch` configurations."""
    temperatures, samples = ensemble.spins.shape[:2]
    for temperature in range(temperatures):
        for first in range(0, samples, batch):
            window = slice(first, min(first + batch, samples))
            yield temperature, window, ensemble.read(temperature, window)
