"""`kadanoff grow`: one lattice through stores of several levels, resumable, and errors that say what would be right."""

import filecmp
import math
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
import torch

import kadanoff
from kadanoff.commands.grow import Job, grow
from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.inverse.growth import LARGEST, Enlargement, enlarge, sides_to
from kadanoff.inverse.superresolve import draw_blocks, tables
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
    start = expected = kadanoff.open_dataset(job.source).read(0, slice(1, 2))[0]
    for level in (65, 66):  # of sample 1
        expected = enlarge(way, expected, level)
    np.testing.assert_array_equal(grown.read(0)[0], expected)
    assert grown.energy == pytest.approx(energy(expected[None], Lattice.of(1152))[None])
    assert grown.magnetization == pytest.approx(expected.mean(dtype=float))
    assert grown.provenance["grown"] == {
        "model": "net.safetensors", "seed_dataset": "seed.zarr", "sample": 1, "seed": 7, "sweeps": 2,
        "model_blake2b": blake2b(job.model.read_bytes()).hexdigest(),
        "seed_lattice_blake2b": blake2b(start.tobytes()).hexdigest(), "version": kadanoff.__version__,
    }  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.safetensors", "out.zarr", "seed.zarr"]


def test_samples_share_no_random_bits(job, tmp_path):
    spins = np.ones((1, 2, 128, 128), np.int8)
    zero = np.zeros((1, 2))
    Ensemble(spins, np.array([float(T_C)]), zero, zero, np.array([np.nan])).save(tmp_path / "alike.zarr")
    for sample in (0, 1):
        grow(replace(job, source=tmp_path / "alike.zarr", sample=sample, size=384), tmp_path / f"{sample}.zarr")
    first, second = (kadanoff.open_dataset(tmp_path / f"{sample}.zarr").read() for sample in (0, 1))
    assert (first != second).any()


def test_bands_and_workers_do_not_change_a_byte(job, tmp_path):
    grow(job, tmp_path / "one.zarr", workers=1, rows=1152)
    grow(job, tmp_path / "two.zarr", workers=3, rows=128)
    assert same(tmp_path / "one.zarr", tmp_path / "two.zarr")


def refused(job, target, match, **changed):
    with pytest.raises(KadanoffError, match=match):
        grow(Job(**(vars(job) | changed)), target)
    assert not target.exists()


def test_bad_input_is_a_sentence(job, tmp_path):
    target = tmp_path / "out.zarr"
    refused(job, target, r"size is 1000; a seed of 128 x 128 grows by 3 at a time, so take one of 384, 1152", size=1000)
    refused(job, target, "sample is 2, but .* samples 0 to 1", sample=2)
    hot = save_lattices(tmp_path / "hot.zarr", temperature=3.0)
    refused(job, target, "square lattices at the critical temperature", source=hot)
    refused(job, target, "there is no dataset", source=tmp_path / "none.zarr")
    pixels = save_network(tmp_path / "pixels.safetensors", "pixels", layers=2)
    refused(job, target, "no network of the kind Blocks for square lattices", model=pixels)


def test_random_numbers_last_for_the_largest_side(tmp_path):
    network = load_model(save_network(tmp_path / "net.safetensors")).networks[0]
    coarse = np.ones((1, 4, LARGEST), np.int8)

    def drawn(first):
        """Blocks of a lattice twice as high."""
        return draw_blocks(coarse, tables(network), 3, (np.uint64(1), 0), band=(first, 2 * LARGEST))

    first = drawn(0)
    assert (first == drawn(LARGEST)).all()  # the first row that it does not have
    assert (first != drawn(LARGEST // 2)).any()
    assert sides_to(LARGEST, 3 * LARGEST, 3, "size") == [LARGEST, 3 * LARGEST]
    assert sides_to(512, 124416, 3, "size")[-1] == 124416
    with pytest.raises(KadanoffError, match=r"size is 1119744; it is drawn from .* 373248, .* take 393216 at the most"):
        sides_to(512, 1119744, 3, "size")


MORE = """
import sys
from pathlib import Path
import numpy as np
from kadanoff.commands import grow as module

def taken(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(name)))

model, source, target, size, held = sys.argv[1:]
job = module.Job(Path(model), Path(source), 1, int(size), 8, 7)
way = module.enlargement_of(job)  # which takes more for a moment than what follows
module.enlargement_of = lambda _: way
setup = taken("VmHWM")
Path("/proc/self/clear_refs").write_text("5")  # the most so far is forgotten
before = taken("VmHWM")
spins = np.ones(int(held), np.int8)
module.grow(job, Path(target), 2, 1024)
print(max(setup, taken("VmHWM")), taken("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_memory_is_bounded(tmp_path):
    network = save_network(tmp_path / "net.safetensors", "symmetric_blocks")
    seed = save_lattices(tmp_path / "seed.zarr")
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed is given back at once

    def peak(size, held=0):
        """Bytes at the most, of the process and of its two workers alone, while it holds some others."""
        command = [sys.executable, "-c", MORE, network, seed, tmp_path / f"{size}-{held}.zarr", size, held]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, env=environment)
        return list(map(int, done.stdout.split()))[-2:]

    (_, small), (whole, large), (_, control) = peak(3456), peak(10368), peak(3456, held=10368**2)
    assert whole < 2e9
    shard = math.prod(kadanoff.open_dataset(tmp_path / "10368-0.zarr").spins.shards)
    assert 8 * shard == 10368**2
    # each worker has a shard as bytes, another on its way to the disk, and less than half of one of other rows
    assert large < small + 2 * 2.5 * shard < control
