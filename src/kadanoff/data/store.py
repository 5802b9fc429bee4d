"""Ensembles of configurations, in memory or as Zarr v3 groups that plain `xarray.open_zarr` reads."""

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numpy.typing import NDArray

from kadanoff.data.arrays import (
    CHUNK_BYTES,
    MISSING,
    SHARD_BYTES,
    axes_of,
    consolidate,
    decoded,
    fields_array,
    layout,
    read_spins,
    spins_array,
    values_array,
)
from kadanoff.data.measured import Measured
from kadanoff.errors import KadanoffError
from kadanoff.runtime.files import alone, recover_folder, replace_folder

if TYPE_CHECKING:
    import xarray

FORMAT = 2
DAMAGED = "A file is missing, damaged or foreign: delete the dataset, then `dvc checkout` or `dvc pull` it again."
UNFIT = "Nothing is written; mend the arrays."
VALUES = {
    "temperature": "temperatures",
    "energy": "energy",
    "magnetization": "magnetization",
    "autocorrelation_time": "autocorrelation_time",
}
"""Arrays of a store beside the spins, and the attributes of an Ensemble that they are."""


@dataclass(repr=False)
class Ensemble(Measured):
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
        How the configurations were made: parameters, sampler and why, sweeps, seed, versions; what JSON can hold.

    Examples
    --------
    >>> import kadanoff
    >>> ensemble = kadanoff.simulate(16, [1.5, 3.0], samples=100, seed=1)
    >>> ensemble.abs_magnetization().round(3)
                  mean  error
    temperature
    1.5          0.986  0.001
    3.0          0.172  0.012
    """

    spins: Any
    temperatures: NDArray[np.float64]
    energy: NDArray[np.float64]
    magnetization: NDArray[np.float64]
    autocorrelation_time: NDArray[np.float64]
    provenance: dict[str, Any] = field(default_factory=dict)

    def to_xarray(self) -> "xarray.Dataset":
        """The ensemble as a dataset with the names that a store has; spins are read into memory.

        >>> list(ensemble.to_xarray().spins.dims)
        ['temperature', 'sample', 'y', 'x']
        """
        import xarray

        axes = ("temperature", *axes_of(self.spins.shape))
        data = {"spins": (axes, self.read()), "autocorrelation_time": ("temperature", self.autocorrelation_time)}
        data |= {name: (axes[:2], getattr(self, name)) for name in ("energy", "magnetization")}
        coordinates = {axis: np.arange(length) for axis, length in zip(axes[1:], self.spins.shape[1:], strict=True)}
        attributes = {"kadanoff_format": FORMAT, **provenance_text(self.provenance)}
        return xarray.Dataset(data, {"temperature": self.temperatures, **coordinates}, attributes)

    def read(self, temperature: int | slice = slice(None), sample: int | slice = slice(None)) -> NDArray[np.int8]:
        """Spins of the selected temperatures and samples as a NumPy array.

        KadanoffError if a part of the store is missing or damaged, or spins are not +1 or -1.

        >>> ensemble.read(0, slice(0, 10)).shape
        (10, 16, 16)
        """
        place = getattr(self.spins, "store_path", None)
        remedy = DAMAGED if place else UNFIT
        return read_spins(self.spins, (temperature, sample), f"{place or 'ensemble'}: array 'spins'", remedy)

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Write a Zarr v3 group at `path`, in one rename; with `overwrite`, in place of an older dataset.

        Real numbers become float64, and spins int8.

        Raises
        ------
        KadanoffError
            If the arrays are what `open_dataset` would refuse, something is at `path` that is not to be replaced, or is
            no dataset, another process writes there, or the disk refuses; nothing there has changed then.

        Examples
        --------
        >>> ensemble.save("mine.zarr")
        >>> kadanoff.open_dataset("mine.zarr").spins.shape
        (2, 100, 16, 16)
        """
        path = Path(path)
        require_arrays(path, self.spins, {name: getattr(self, own) for name, own in VALUES.items()}, UNFIT)
        with alone(path, "saving") as work:
            recover_folder(path)
            if path.exists() and not overwrite:
                raise KadanoffError(f"{path} exists; give another name, or save(path, overwrite=True).")
            if path.exists() and "kadanoff_format" not in _open_group(path).attrs:
                raise KadanoffError(f"{path} is no dataset of kadanoff, and is not replaced; give another name.")
            write_group(work / path.name, self)
            replace_folder(work / path.name, path)


def write_group(path: Path, ensemble: Ensemble) -> None:
    """Write `ensemble` as a new Zarr group; spins go through memory one shard at a time."""
    group = zarr.create_group(path, zarr_format=3)
    shape = ensemble.spins.shape
    chunks, shards = layout(shape)
    array = spins_array(group, shape, chunks, shards)
    for temperature in range(0, shape[0], shards[0]):
        for sample in range(0, shape[1], shards[1]):
            window = slice(temperature, temperature + shards[0]), slice(sample, sample + shards[1])
            array[window] = ensemble.read(*window)
    finish_group(path, ensemble)


def finish_group(path: Path, ensemble: Ensemble) -> None:
    """Add what is known of the configurations to a group that has their spins, and make it a dataset."""
    group = zarr.open_group(path, mode="r+", zarr_format=3, use_consolidated=False)
    group.attrs.update({"kadanoff_format": FORMAT, **provenance_text(ensemble.provenance)})
    for name, own in VALUES.items():
        values = np.asarray(getattr(ensemble, own), np.float64)
        values_array(group, name, values, ("temperature", "sample")[: values.ndim])
    for axis, length in zip(axes_of(ensemble.spins.shape), ensemble.spins.shape[1:], strict=True):
        values_array(group, axis, np.arange(length), (axis,))
    consolidate(path)


def create_lattice(path: Path, side: int) -> zarr.Array:
    """A new Zarr group with an array `spins` (1, 1, y, x) for one large lattice, to be filled by whole shards.

    A group without that array, of a process that was killed between the two, is completed.
    A shard holds full rows: about SHARD_BYTES spins, fewer of small lattices, so that all cores have some.
    """
    group = zarr.open_group(path, mode="a", zarr_format=3)
    rows = max(part for part in range(1, math.isqrt(CHUNK_BYTES) // 2 + 1) if side % part == 0)
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


def write_fields(
    path: Path, shape: tuple[int, ...], axes: tuple[str, ...], temperatures: NDArray, origin: dict[str, Any]
) -> zarr.Array:
    """A new Zarr group with an empty float32 array `output` (temperature, sample, *axes), to be filled by slices."""
    group = zarr.create_group(path, zarr_format=3, attributes=provenance_text(origin))
    output = fields_array(group, shape, axes)
    values_array(group, "temperature", temperatures, ("temperature",))
    consolidate(path)
    return output


def provenance_text(provenance: Any) -> dict[str, Any]:
    """The attribute of a store that says how it was made, a text: netCDF knows no dictionaries."""
    try:
        return {"provenance": json.dumps(dict(provenance))}
    except (TypeError, ValueError, RecursionError) as error:
        raise KadanoffError(
            f"provenance must be a dictionary that JSON can hold: {error}. Give plain numbers and texts."
        ) from error


def open_dataset(path: str | Path) -> Ensemble:
    """Open a Zarr dataset lazily: ``.spins`` reads on slicing, the rest is in memory.

    Datasets that xarray joined (`concat` over samples or temperatures, `to_zarr`) open like others; their provenance
    is that of the first, their autocorrelation time the largest.

    Raises
    ------
    KadanoffError
        If there is no dataset, it is of another version, foreign or damaged: the message names the array.

    Examples
    --------
    >>> import kadanoff
    >>> kadanoff.simulate(16, 3.0, samples=100, seed=1).save("warm.zarr")
    >>> kadanoff.open_dataset("warm.zarr").binder().round(2)
                 mean  error
    temperature
    3.0          0.21   0.07
    """
    path = Path(path)
    group = _open_group(path)
    _require_format(path, group)
    spins = _array(group, path, "spins")
    found: dict[str, Any] = {name: _array(group, path, name) for name in (*VALUES, *axes_of(spins.shape))}
    times = found["autocorrelation_time"]
    if times.shape == spins.shape[1::-1]:
        found["autocorrelation_time"] = np.fmax.reduce(_values(path, "autocorrelation_time", times))
    require_arrays(path, spins, found, DAMAGED)
    values = {own: _values(path, name, found[name]) for name, own in VALUES.items()}
    return Ensemble(spins, **values, provenance=_provenance(path, group))


def require_arrays(path: Path, spins: Any, others: Mapping[str, Any], remedy: str) -> None:
    """KadanoffError if they are no ensemble, on writing as on reading; spins are checked where they are read."""
    for name, array in {"spins": spins, **others}.items():
        what = getattr(array, "dtype", type(array).__name__)
        if getattr(what, "kind", "O") not in "iuf":
            raise KadanoffError(f"{path}: array {name!r} is {what}; it should be an array of real numbers. {remedy}")
    shape = spins.shape
    if len(shape) not in (3, 4) or 0 in shape:
        raise KadanoffError(
            f"{path}: array 'spins' has the shape {shape}; it should be (temperature, sample, y, x), or (temperature, "
            f"sample, x) of chains, with at least one of each. {remedy}"
        )
    expected = {"temperature": shape[:1], "autocorrelation_time": shape[:1], "energy": shape[:2]}
    expected |= {"magnetization": shape[:2], **dict(zip(axes_of(shape), ((side,) for side in shape[1:]), strict=True))}
    for name, array in others.items():
        if array.shape != expected[name]:
            raise KadanoffError(
                f"{path}: array {name!r} has the shape {array.shape}; it should be {expected[name]}, as 'spins' is "
                f"{shape}. {remedy}"
            )


def _open_group(path: Path) -> zarr.Group:
    try:
        if path.exists():
            return zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)
    except Exception as error:  # metadata that cannot be parsed raise whatever the parser stumbles over
        raise KadanoffError(f"{path} is not a Zarr v3 group ({error}); give a dataset that kadanoff wrote.") from error
    raise KadanoffError(f"there is no dataset {path}; make it with `dvc repro` or fetch it with `dvc pull`.")


def _require_format(path: Path, group: zarr.Group) -> None:
    found = group.attrs.get("kadanoff_format")
    if found is None:
        raise KadanoffError(f"{path} is no dataset of spins; `xarray.open_zarr` and `zarr.open` read other groups.")
    if found != FORMAT:
        raise KadanoffError(
            f"{path} has kadanoff_format {json.dumps(found)}; this version reads {FORMAT}. "
            "Make the dataset again with `dvc repro`, or check out the commit that wrote it."
        )


def _provenance(path: Path, group: zarr.Group) -> dict[str, Any]:
    try:
        return dict(json.loads(group.attrs["provenance"]))  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise KadanoffError(f"{path}: the attribute 'provenance' cannot be read ({error}). {DAMAGED}") from error


def _array(group: zarr.Group, path: Path, name: str) -> zarr.Array:
    try:
        array = group.get(name)
    except Exception as error:  # metadata that cannot be parsed raise whatever the parser stumbles over
        raise KadanoffError(f"{path}: array {name!r} has damaged metadata ({error}). {DAMAGED}") from error
    if not isinstance(array, zarr.Array):
        raise KadanoffError(f"{path}: array {name!r} is missing. {DAMAGED}")
    return array


def _values(path: Path, name: str, array: Any) -> NDArray[np.float64]:
    where = f"{path}: array {name!r}"
    values = np.asarray(decoded(array, ..., where, DAMAGED), np.float64)
    if np.any(values == MISSING):
        raise KadanoffError(f"{where} cannot be decoded (a chunk is missing). {DAMAGED}")
    return values


def configurations(ensemble: Ensemble, batch: int) -> Iterator[tuple[int, slice, NDArray[np.int8]]]:
    """Stream (temperature index, sample slice, spins) in batches of at most `batch` configurations."""
    temperatures, samples = ensemble.spins.shape[:2]
    for temperature in range(temperatures):
        for first in range(0, samples, batch):
            window = slice(first, min(first + batch, samples))
            yield temperature, window, ensemble.read(temperature, window)
