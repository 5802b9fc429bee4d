"""`kadanoff grow`: one lattice through stores of several levels, resumable, and errors that say what would be right."""

import filecmp
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import kadanoff
from kadanoff import grow as module
from kadanoff.errors import KadanoffError
from kadanoff.grow import Job, grow
from kadanoff.inverse.growth import Enlargement, enlarge
from kadanoff.inverse.superresolve import tables
from kadanoff.lab.store import SHARD_BYTES, Ensemble
from kadanoff.learning.checkpoints import Recipe, load_model, save_model
from kadanoff.networks.registry import build
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C
from kadanoff.spins.observables import energy


def save_network(path, name="blocks", **changed):
    arguments = {"rule": "majority", "block": 3, "dimension": 2, "temperatures": [float(T_C)], "width": 8} | changed
    torch.manual_seed(0)
    model = build(name, **arguments)
    if name == "symmetric_blocks":
        model.networks[0].log_odds.normal_()
    save_model(path, model, Recipe(name, arguments))
    return path


def save_lattices(path, side=128, temperature=float(T_C)):
    spins = 2 * np.random.default_rng(1).integers(0, 2, (1, 2, side, side), np.int8) - 1
    zero = np.zeros((1, 2))
    Ensemble(spins, np.array([temperature]), zero, zero, np.array([np.nan])).save(path)
    return path


@pytest.fixture
def job(tmp_path):
    return Job(save_network(tmp_path / "net.safetensors"), save_lattices(tmp_path / "seed.zarr"), 1, 1152, 2, 7)


def same(first, second):
    names = sorted(str(path.relative_to(first)) for path in first.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(second)) for path in second.rglob("*") if path.is_file())
    return filecmp.cmpfiles(first, second, names, shallow=False)[0] == names


def test_it_is_what_enlarging_in_memory_gives(job, tmp_path):
    grow(job, tmp_path / "out.zarr")
    grown = kadanoff.open_dataset(tmp_path / "out.zarr")
    way = Enlargement(tables(load_model(job.model).networks[0]), 3, 2, 7)
    expected = kadanoff.open_dataset(job.source).read(0, slice(1, 2))[0]
    for level in (1, 2):
        expected = enlarge(way, expected, level)
    np.testing.assert_array_equal(grown.read(0)[0], expected)
    assert grown.energy == pytest.approx(energy(expected[None], Lattice.of(1152))[None])
    assert grown.magnetization == pytest.approx(expected.mean(dtype=float))
    assert grown.provenance["grown"] == {
        "model": "net.safetensors", "seed_dataset": "seed.zarr", "sample": 1, "seed": 7, "sweeps": 2
    }  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.safetensors", "out.zarr", "seed.zarr"]


def test_bands_and_workers_do_not_change_a_byte(job, tmp_path):
    grow(job, tmp_path / "one.zarr", workers=1, rows=1152)
    grow(job, tmp_path / "two.zarr", workers=3, rows=128)
    assert same(tmp_path / "one.zarr", tmp_path / "two.zarr")


def test_what_was_killed_goes_on(job, tmp_path, monkeypatch):
    grow(job, tmp_path / "whole.zarr")
    done = []

    def dying(*arguments):
        if len(done) == 2:
            raise ZeroDivisionError
        done.append(arguments)
        return refined(*arguments)

    refined = module.refined
    with monkeypatch.context() as patch:
        patch.setattr(module, "refined", dying)
        with pytest.raises(ZeroDivisionError):
            grow(job, tmp_path / "out.zarr", workers=1, rows=128)
    again = []
    monkeypatch.setattr(module, "refined", lambda *arguments: again.append(arguments) or refined(*arguments))
    grow(job, tmp_path / "out.zarr", workers=1, rows=128)
    assert same(tmp_path / "out.zarr", tmp_path / "whole.zarr")
    assert len(again) == 2  # of one shard at the first level, and three at the second


def refused(job, target, match, **changed):
    with pytest.raises(KadanoffError, match=match):
        grow(Job(**(vars(job) | changed)), target)
    assert not target.exists()


def test_bad_input_is_a_sentence(job, tmp_path):
    target = tmp_path / "out.zarr"
    refused(job, target, r"size is 1000; a seed of 128 x 128 grows by 3 at a time, so take one of 384, 1152", size=1000)
    refused(job, target, "size is 128", size=128)
    refused(job, target, "sample is 2, but .* samples 0 to 1", sample=2)
    hot = save_lattices(tmp_path / "hot.zarr", temperature=3.0)
    refused(job, target, "a square lattice at the critical temperature", source=hot)
    odd = save_lattices(tmp_path / "odd.zarr", side=96)
    refused(job, target, "a seed whose side is a multiple of 128", source=odd, size=864)
    refused(job, target, "there is no dataset", source=tmp_path / "none.zarr")
    by_two = save_network(tmp_path / "two.safetensors", block=2)
    refused(job, target, "grows by 2 at a time, so take one of 256, 512", model=by_two)
    pixels = save_network(tmp_path / "pixels.safetensors", "pixels", layers=2)
    refused(job, target, "a network 'pixels'; lattices are grown by `blocks`", model=pixels)


def test_a_damaged_seed_is_a_sentence(job, tmp_path):
    for file in (job.source / "spins" / "c").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:-20])
    refused(job, tmp_path / "out.zarr", "is damaged")


def test_too_little_disk_is_told_before(job, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1000))
    refused(job, tmp_path / "out.zarr", "a lattice of side 1152 and those that it grows from take about")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.safetensors", "seed.zarr"]


def test_nothing_is_overwritten(job, tmp_path):
    Path(tmp_path / "out.zarr").mkdir()
    with pytest.raises(KadanoffError, match="exists; nothing is overwritten"):
        grow(job, tmp_path / "out.zarr")


PEAK = """
import json, sys
from pathlib import Path
from kadanoff.grow import Job, grow
model, source, target, size, rows = sys.argv[1:]
grow(Job(Path(model), Path(source), 1, int(size), 8, 7), Path(target), 2, int(rows))
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_memory_is_bounded(tmp_path):
    network = save_network(tmp_path / "net.safetensors", "symmetric_blocks")
    seed = save_lattices(tmp_path / "seed.zarr")

    def peak(size, rows):
        """GB at the most."""
        target = tmp_path / f"{size}-{rows}.zarr"
        command = [sys.executable, "-c", PEAK, network, seed, target, size, rows]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
        return int(done.stdout.split()[-1]) / 1e6

    small, large = peak(1152, 1024), peak(10368, 1024)
    # 81 times as many spins; two workers hold a shard each, as bytes and in some copies on its way to the disk
    assert large < small + 8 * SHARD_BYTES / 1e9
    assert large < 2
