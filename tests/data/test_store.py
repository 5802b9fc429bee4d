import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import xarray
import zarr

from kadanoff.data.store import Ensemble, configurations, open_dataset, write_fields
from kadanoff.errors import KadanoffError


@pytest.fixture
def ensemble():
    generator = np.random.Generator(np.random.Philox(3))
    spins = generator.choice(np.array([-1, 1], np.int8), (3, 20, 4, 6))
    measured = generator.random((2, 3, 20))
    return Ensemble(spins, np.array([1.0, 2.0, 3.0]), *measured, np.ones(3), {"name": "x"})


@pytest.fixture
def path(ensemble, tmp_path):
    ensemble.save(tmp_path / "x.zarr")
    return tmp_path / "x.zarr"


def test_a_saved_ensemble_reads_back(ensemble, path):
    found = open_dataset(path)
    assert np.array_equal(found.read(), ensemble.spins)
    assert np.array_equal(found.read(1, slice(3, 5)), ensemble.spins[1, 3:5])
    for name in ("temperatures", "energy", "magnetization", "autocorrelation_time"):
        assert np.array_equal(getattr(found, name), getattr(ensemble, name))
    assert found.provenance == {"name": "x"}


def test_xarray_shows_dimensions_coordinates_units_and_provenance(path):
    with xarray.open_zarr(path, chunks=None) as dataset:
        assert dataset.spins.dims == ("temperature", "sample", "y", "x")
        assert set(dataset.coords) == {"temperature", "sample", "y", "x"}
        assert dataset.temperature.attrs["units"] == "|J|/k_B"
        assert dataset.spins.dtype == np.int8
        assert dataset.attrs["provenance"] == '{"name": "x"}'


def test_a_chain_has_no_y(ensemble, tmp_path):
    ensemble.spins = ensemble.spins[:, :, 0]
    ensemble.save(tmp_path / "chain.zarr")
    assert open_dataset(tmp_path / "chain.zarr").spins.metadata.dimension_names == ("temperature", "sample", "x")


def test_the_same_ensemble_gives_the_same_files(ensemble, path, tmp_path):
    ensemble.save(tmp_path / "y.zarr")
    for file in path.rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (tmp_path / "y.zarr" / file.relative_to(path)).read_bytes()


def test_configurations_stream_everything_once(ensemble, path):
    seen = [(t, block) for t, _, block in configurations(open_dataset(path), 7)]
    assert max(len(block) for _, block in seen) == 7
    for temperature in range(3):
        rows = np.concatenate([block for t, block in seen if t == temperature])
        assert np.array_equal(rows, ensemble.spins[temperature])


def damage_shard(path):
    shard = path / "spins" / "c" / "0" / "0" / "0" / "0"
    data = bytearray(shard.read_bytes())
    data[20:60] = bytes(40)
    shard.write_bytes(bytes(data))


def remove_shard(path):
    shutil.rmtree(path / "spins" / "c")


@pytest.mark.parametrize("harm", [damage_shard, remove_shard])
def test_damaged_spins_are_never_used(path, harm):
    harm(path)
    with pytest.raises(KadanoffError, match="array 'spins'"):
        open_dataset(path).read()


@pytest.mark.parametrize("name", ["energy", "spins"])
def test_a_missing_array_is_named(path, name):
    shutil.rmtree(path / name)
    with pytest.raises(KadanoffError, match=f"array '{name}' is missing"):
        open_dataset(path)


def test_a_truncated_and_a_missing_chunk_are_named(path):
    (path / "energy" / "c" / "0" / "0").write_bytes(b"\0\1")
    with pytest.raises(KadanoffError, match="array 'energy' cannot be decoded"):
        open_dataset(path)
    (path / "energy" / "c" / "0" / "0").unlink()
    with pytest.raises(KadanoffError, match=r"array 'energy' cannot be decoded \(a chunk is missing"):
        open_dataset(path)


def test_another_version_is_refused(path):
    metadata = path / "zarr.json"
    content = json.loads(metadata.read_text())
    content["attributes"]["kadanoff_format"] = 99
    metadata.write_text(json.dumps(content))
    with pytest.raises(KadanoffError, match="kadanoff_format 99; this version reads 2"):
        open_dataset(path)


def test_what_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(KadanoffError, match="there is no dataset"):
        open_dataset(tmp_path / "none.zarr")
    (tmp_path / "file.zarr").write_text("hello")
    with pytest.raises(KadanoffError, match="not a Zarr v3 group"):
        open_dataset(tmp_path / "file.zarr")


def test_what_is_no_dataset_is_not_replaced(ensemble, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(KadanoffError, match="not a Zarr v3 group"):
        ensemble.save(tmp_path / "notes", overwrite=True)
    assert (tmp_path / "notes" / "a.txt").read_text() == "mine"


def test_a_refused_write_keeps_the_old_dataset(ensemble, path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kadanoff.data.store.write_group", full)
    with pytest.raises(KadanoffError, match="No space left on device"):
        ensemble.save(path, overwrite=True)
    assert np.array_equal(open_dataset(path).read(), ensemble.spins)
    assert [entry.name for entry in path.parent.iterdir()] == ["x.zarr"]


def files(path):
    return sorted(file for file in path.rglob("*") if file.is_file())


def same(found, ensemble):
    names = ("temperatures", "energy", "magnetization", "autocorrelation_time")
    values = [found.read(), *(getattr(found, name) for name in names)]
    expected = [ensemble.spins, *(getattr(ensemble, name) for name in names)]
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(values, expected, strict=True))


def test_a_flipped_bit_is_harmless_or_an_error(ensemble, path):
    """In a chunk it is always an error, for other readers too."""
    generator = np.random.Generator(np.random.Philox(11))
    found, data = files(path), 0
    for number in range(150):
        file = found[number % len(found)]
        content = file.read_bytes()
        flipped = bytearray(content)
        flipped[generator.integers(len(flipped))] ^= 1 << generator.integers(8)
        file.write_bytes(flipped)
        try:
            assert same(open_dataset(path), ensemble), file
            harmless = True
        except KadanoffError:
            harmless = False
        if "c" in file.relative_to(path).parts:
            assert harmless == (file.relative_to(path).parts[0] in ("sample", "y", "x"))  # whose length alone is used
            data += 1
            if number % 4 == 0:
                with pytest.raises(ValueError, match=r"checksum|CRC"), xarray.open_zarr(path, chunks=None) as read:
                    read.load()
        file.write_bytes(content)
    assert data > 50
    assert same(open_dataset(path), ensemble)


@pytest.mark.parametrize("shape", [[3, 20, 4, 7], [3, 21, 4, 6], [4, 20, 4, 6], [3, 20, 24]])
def test_another_shape_in_the_metadata_is_refused(path, shape):
    metadata = path / "spins" / "zarr.json"
    content = json.loads(metadata.read_text())
    metadata.write_text(json.dumps(content | {"shape": shape}))
    with pytest.raises(KadanoffError, match=r"array '.*'"):
        open_dataset(path)


def test_real_numbers_become_float64(ensemble, tmp_path):
    ensemble.temperatures = np.array([1, 2, 3])
    ensemble.energy = ensemble.energy.astype(np.float32)
    ensemble.spins = ensemble.spins.astype(np.int64)
    ensemble.save(tmp_path / "x.zarr")
    found = open_dataset(tmp_path / "x.zarr")
    assert same(found, ensemble)
    assert {found.temperatures.dtype, found.energy.dtype} == {np.dtype(np.float64)}
    assert found.spins.dtype == np.int8


WRONG = {
    "zeros": (lambda e: {"spins": (e.spins + 1) // 2}, "array 'spins' cannot be used: spins are"),
    "halves": (lambda e: {"spins": e.spins / 2}, "array 'spins' cannot be used: spins are"),
    "truths": (lambda e: {"spins": e.spins > 0}, "array 'spins' is bool; it should be an array of real numbers"),
    "complex": (lambda e: {"energy": e.energy * 1j}, "array 'energy' is complex128; it should be"),
    "no samples": (
        lambda e: {"spins": e.spins[:, :0], "energy": e.energy[:, :0], "magnetization": e.magnetization[:, :0]},
        r"array 'spins' has the shape \(3, 0, 4, 6\); it should be .* with at least one of each",
    ),
    "one axis less": (lambda e: {"spins": e.spins[:, :, 0, 0]}, r"array 'spins' has the shape \(3, 20\)"),
    "other temperatures": (
        lambda e: {"temperatures": np.ones(4)}, r"array 'temperature' has the shape \(4,\); it should be \(3,\)",
    ),
    "other energies": (lambda e: {"energy": e.energy.T}, r"array 'energy' has the shape \(20, 3\); it should be"),
    "other times": (lambda e: {"autocorrelation_time": e.energy}, "array 'autocorrelation_time' has the shape"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_reading_refuses_is_not_written(ensemble, path, case):
    change, words = WRONG[case]
    changed = replace(ensemble, **change(ensemble))
    with pytest.raises(KadanoffError, match=f"{words}.* Nothing is written"):
        changed.save(path, overwrite=True)
    assert same(open_dataset(path), ensemble)
    assert list(path.parent.iterdir()) == [path]
    foreign(path, changed)
    with pytest.raises(KadanoffError, match=f"{words}.* delete the dataset"):
        open_dataset(path).read()


def foreign(path, ensemble):
    """Write what another program could have written in place of a dataset."""
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    names = {"spins": "spins", "temperature": "temperatures"}
    for name in ("spins", "temperature", "energy", "magnetization", "autocorrelation_time"):
        values = getattr(ensemble, names.get(name, name))
        group.create_array(name, data=values, chunks=tuple(max(1, side) for side in values.shape), overwrite=True)


@pytest.mark.parametrize("provenance", [None, [1], {"a": np.arange(3)}, {(1, 2): 3}])
def test_provenance_that_no_file_can_hold_is_refused(ensemble, tmp_path, provenance):
    with pytest.raises(KadanoffError, match="provenance must be a dictionary that JSON can hold"):
        replace(ensemble, provenance=provenance).save(tmp_path / "x.zarr")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("name", [".", "spins", "x"])
def test_any_damage_of_the_metadata_is_a_sentence(path, name, content):
    (path / name / "zarr.json").write_bytes(content)
    with pytest.raises(
        KadanoffError, match=r"not a Zarr v3 group|array '.*' (has damaged metadata|is missing)|no dataset"
    ):
        open_dataset(path)


def test_provenance_that_cannot_be_read_is_named(path):
    zarr.open_group(path, mode="r+").attrs["provenance"] = "{"
    with pytest.raises(KadanoffError, match="the attribute 'provenance' cannot be read"):
        open_dataset(path)


def test_fields_have_checksums_too(tmp_path):
    values = np.random.Generator(np.random.Philox(13)).random((1, 8, 4, 4), np.float32)
    output = write_fields(tmp_path / "x.zarr", values.shape, ("y", "x"), np.ones(1), {"model": "a"})
    output[...] = values
    for file in [file for file in files(tmp_path / "x.zarr") if file.name != "zarr.json"]:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 4
        file.write_bytes(content)
    for name in ("output", "temperature"):
        with pytest.raises(ValueError, match="checksum"):
            zarr.open_array(tmp_path / "x.zarr" / name)[...]


def test_indices_out_of_range_are_no_damage(ensemble, path):
    for found in (ensemble, open_dataset(path)):
        with pytest.raises(KadanoffError, match=r"has the shape \(3, 20, 4, 6\) .*give indices within it"):
            found.read(3)


def store(dataset, path):
    with pytest.warns(match="Consolidated metadata is currently not part"):  # which zarr says to xarray
        dataset.to_zarr(path)


@pytest.mark.parametrize("times", [[5.0, np.nan, 4.0]])
@pytest.mark.parametrize("options", [{"data_vars": "all"}, dict.fromkeys(("data_vars", "coords"), "minimal")])
def test_datasets_that_xarray_joined_open_again(ensemble, path, tmp_path, times, options):
    other = replace(ensemble, spins=-ensemble.spins[:, :7], autocorrelation_time=np.array(times), provenance={})
    other.energy, other.magnetization = ensemble.energy[:, :7], ensemble.magnetization[:, :7]
    other.save(tmp_path / "y.zarr")
    if options["data_vars"] == "minimal":  # the times of the first
        options = options | {"compat": "override"}
        times = [np.nan] * 3
    with xarray.open_zarr(path, chunks=None) as first, xarray.open_zarr(tmp_path / "y.zarr", chunks=None) as second:
        store(xarray.concat([first, second], "sample", **options), tmp_path / "z.zarr")
    found = open_dataset(tmp_path / "z.zarr")
    expected = np.fmax(np.ones(3), times)
    assert same(found, Ensemble(
        np.concatenate([ensemble.spins, other.spins], 1), ensemble.temperatures,
        np.concatenate([ensemble.energy, other.energy], 1),
        np.concatenate([ensemble.magnetization, other.magnetization], 1), expected,
    ))  # fmt: skip
    found.save(tmp_path / "again.zarr")
    assert same(open_dataset(tmp_path / "again.zarr"), replace(found, spins=found.read()))


def test_times_that_were_not_measured_survive_xarray(ensemble, tmp_path):
    """It writes no chunk that is all fill value: that is no value of ours."""
    ensemble.autocorrelation_time = np.full(3, np.nan)
    ensemble.save(tmp_path / "x.zarr")
    with xarray.open_zarr(tmp_path / "x.zarr", chunks=None) as read:
        store(read, tmp_path / "y.zarr")
    assert same(open_dataset(tmp_path / "y.zarr"), ensemble)


KILLED = """
import os, signal, sys
import numpy as np
from kadanoff.data import store

store.{where} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
one = np.ones((1, 1))
store.Ensemble(np.ones((1, 1, 4, 4), np.int8), one[0], one, one, one[0]).save("x.zarr", overwrite=True)
"""


@pytest.mark.parametrize("where", ["finish_group", "replace_folder"])
def test_a_killed_save_is_cleared_by_the_next(ensemble, path, where):
    done = subprocess.run([sys.executable, "-c", KILLED.format(where=where)], cwd=path.parent)
    assert done.returncode == -signal.SIGKILL
    assert {entry.name for entry in path.parent.iterdir()} == {"x.zarr", ".x.zarr.partial"}
    assert same(open_dataset(path), ensemble)
    ensemble.save(path, overwrite=True)
    assert list(path.parent.iterdir()) == [path]


def test_a_foreign_group_is_no_dataset(tmp_path):
    zarr.create_group(tmp_path / "group")
    with pytest.raises(KadanoffError, match="group is no dataset of spins"):
        open_dataset(tmp_path / "group")
