"""The pyramid of a large lattice: exact means, bytes that depend on nothing else, what viewers read, and errors."""

import filecmp
import json
import shutil
import tracemalloc

import numpy as np
import pytest
import zarr
from typer.testing import CliRunner

from kadanoff.cli import app
from kadanoff.data import pyramid as module
from kadanoff.data.pyramid import level_sides, write_pyramid
from kadanoff.data.store import Ensemble, create_lattice, finish_lattice
from kadanoff.errors import KadanoffError


def lattice(path, side, values=None):
    """A store as `kadanoff grow` writes it, and its spins."""
    spins = 2 * np.random.default_rng(side).integers(0, 2, (side, side), np.int8) - 1 if values is None else values
    array = create_lattice(path, side)
    array[0, 0] = spins
    zero = np.zeros((1, 1))
    finish_lattice(path, Ensemble(array, np.array([2.0]), zero, zero, np.array([np.nan]), {"grown": {"seed": 3}}))
    return spins


@pytest.fixture
def source(tmp_path):
    lattice(tmp_path / "large.zarr", 1152)
    return tmp_path / "large.zarr"


def levels(path):
    group = zarr.open_group(path, mode="r")
    return [group[key][...] for key in sorted(group.array_keys())]


def means(spins, block):
    side = len(spins) // block
    return spins.reshape(side, block, side, block).mean((1, 3))


@pytest.mark.parametrize("side", [500, 1539])
def test_levels_are_the_means_of_blocks(tmp_path, side):
    spins = lattice(tmp_path / "large.zarr", side)
    write_pyramid(tmp_path / "large.zarr", tmp_path / "out.zarr")
    found = levels(tmp_path / "out.zarr")
    assert [len(level) for level in found] == level_sides(side)
    for number, level in enumerate(found):
        assert level.dtype == np.uint8
        np.testing.assert_array_equal(level, np.rint(255 * (means(spins, 3**number) + 1) / 2))


def test_no_level_is_rounded_twice(tmp_path, monkeypatch):
    # as many levels as the largest have, shards and reads that do not fit the side, and means that are far from 1/2
    for name, value in {"SMALLEST": 2, "CHUNK": 32, "SHARD": 96, "WINDOW": 60}.items():
        monkeypatch.setattr(module, name, value)
    uniform = np.random.default_rng(5).random((486, 486)) < np.linspace(0, 1, 486)
    spins = lattice(tmp_path / "large.zarr", 486, 2 * uniform.astype(np.int8) - 1)
    write_pyramid(tmp_path / "large.zarr", tmp_path / "out.zarr")
    found = levels(tmp_path / "out.zarr")
    assert [len(level) for level in found] == [486, 162, 54, 18, 6, 2]
    for number, level in enumerate(found):
        np.testing.assert_array_equal(level, np.rint(255 * (means(spins, 3**number) + 1) / 2))
    twice = [np.rint(means(level.astype(float), 3)) for level in found[:-1]]
    assert any(np.any(rounded != level) for rounded, level in zip(twice, found[1:], strict=True))


def test_the_largest_lattice_has_six_levels_and_some_hundred_files():
    assert level_sides(124416) == [124416, 41472, 13824, 4608, 1536, 512]
    assert sum((-(-side // module.SHARD)) ** 2 for side in level_sides(124416)) < 1000


def test_viewers_find_the_axes_and_where_the_blocks_are(source, tmp_path):
    write_pyramid(source, tmp_path / "out.zarr")
    attributes = json.loads((tmp_path / "out.zarr" / "zarr.json").read_text())["attributes"]
    assert attributes["ome"]["version"] == "0.5"
    assert attributes["provenance"] == {"grown": {"seed": 3}}
    [image] = attributes["ome"]["multiscales"]
    assert image["name"] == "large"
    assert image["axes"] == [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    assert [dataset["path"] for dataset in image["datasets"]] == ["0", "1"]
    for block, dataset in zip((1, 3), image["datasets"], strict=True):
        scale, translation = dataset["coordinateTransformations"]
        assert scale == {"type": "scale", "scale": [block, block]}
        # the centre of a block is the mean of the places of its sites
        assert translation == {"type": "translation", "translation": [np.arange(block).mean()] * 2}
        array = zarr.open_array(tmp_path / "out.zarr" / dataset["path"], mode="r")
        assert array.metadata.dimension_names == ("y", "x")
        assert max(array.chunks) <= 512


def files(path):
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


def test_workers_do_not_change_a_byte(source, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD", 512)
    for workers in (1, 3):
        write_pyramid(source, tmp_path / f"{workers}.zarr", workers)
    names = files(tmp_path / "1.zarr")
    assert names == files(tmp_path / "3.zarr")
    assert len(names) == 1 + 2 + 9 + 1  # metadata and shards
    assert filecmp.cmpfiles(tmp_path / "1.zarr", tmp_path / "3.zarr", names, shallow=False)[0] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.zarr", "3.zarr", "large.zarr"]


def test_memory_is_that_of_a_shard(tmp_path, monkeypatch):
    for name, value in {"SHARD": 512, "WINDOW": 512}.items():
        monkeypatch.setattr(module, name, value)
    lattice(tmp_path / "large.zarr", 3456, np.ones((3456, 3456), np.int8))
    tracemalloc.start()
    write_pyramid(tmp_path / "large.zarr", tmp_path / "out.zarr", 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3456**2 / 2
    assert all(np.all(level == 255) for level in levels(tmp_path / "out.zarr"))


def refused(source, target, match):
    with pytest.raises(KadanoffError, match=match):
        write_pyramid(source, target)
    assert sorted(path.name for path in target.parent.glob(f"*{target.name}*")) == []


def test_a_damaged_source_leaves_nothing_behind(source, tmp_path):
    shard = source / "spins" / "c" / "0" / "0" / "1" / "0"
    shard.write_bytes(shard.read_bytes()[:-20])
    refused(source, tmp_path / "out.zarr", "cannot be decoded")
    shard.unlink()
    refused(source, tmp_path / "out.zarr", "cannot be used: spins are")


def test_too_little_disk_is_told_before(source, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1000))
    refused(source, tmp_path / "out.zarr", "but a pyramid of side 1152 takes about 0.00 GB; free some space")


def test_what_appears_meanwhile_survives(source, tmp_path, monkeypatch):
    def meanwhile(*arguments):
        write(*arguments)
        (tmp_path / "out.zarr").write_text("mine")

    write = module._write
    monkeypatch.setattr(module, "_write", meanwhile)
    with pytest.raises(KadanoffError, match=r"out\.zarr exists; nothing is overwritten"):
        write_pyramid(source, tmp_path / "out.zarr")
    assert (tmp_path / "out.zarr").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.zarr", "out.zarr"]


def with_page(source, target, page):
    return CliRunner().invoke(app, ["pyramid", str(source), str(target), "--page", str(page)])


def test_a_page_is_not_overwritten(source, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("mine")
    with pytest.raises(KadanoffError, match=r"page\.html exists; nothing is overwritten"):
        raise with_page(source, tmp_path / "out.zarr", page).exception
    assert page.read_text() == "mine"
    assert not (tmp_path / "out.zarr").exists()


def test_a_page_has_its_folder_made_or_is_refused_before(source, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KadanoffError, match=r"cannot write .*file"):
        raise with_page(source, tmp_path / "out.zarr", tmp_path / "file" / "page.html").exception
    assert not (tmp_path / "out.zarr").exists()
    result = with_page(source, tmp_path / "out.zarr", tmp_path / "new" / "page.html")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "new" / "page.html").exists()
