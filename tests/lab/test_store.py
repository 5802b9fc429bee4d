import json
import shutil

import numpy as np
import pytest
import xarray

from kadanoff.errors import KadanoffError
from kadanoff.lab.store import Ensemble, configurations, open_dataset


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


def test_saving_leaves_nothing_beside_the_dataset(path):
    assert [entry.name for entry in path.parent.iterdir()] == ["x.zarr"]


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


@pytest.mark.parametrize("name", ["energy", "magnetization", "temperature", "spins"])
def test_a_missing_array_is_named(path, name):
    shutil.rmtree(path / name)
    with pytest.raises(KadanoffError, match=f"array '{name}' is missing"):
        open_dataset(path)


def test_a_truncated_array_is_named(path):
    (path / "energy" / "c" / "0" / "0").write_bytes(b"\0\1")
    with pytest.raises(KadanoffError, match="array 'energy' cannot be decoded"):
        open_dataset(path)


def test_a_missing_chunk_is_named(path):
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
        ensemble.save(tmp_path / "notes")
    assert (tmp_path / "notes" / "a.txt").read_text() == "mine"


def test_damaged_metadata_are_named(path):
    (path / "energy" / "zarr.json").write_text('{"zarr_format": 3,')
    with pytest.raises(KadanoffError, match="array 'energy'"):
        open_dataset(path)


def test_a_refused_write_keeps_the_old_dataset(ensemble, path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kadanoff.lab.store.write_group", full)
    with pytest.raises(KadanoffError, match="No space left on device"):
        ensemble.save(path)
    assert np.array_equal(open_dataset(path).read(), ensemble.spins)
    assert [entry.name for entry in path.parent.iterdir()] == ["x.zarr"]
