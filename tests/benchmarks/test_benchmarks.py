"""`python -m benchmarks` on growing lattices: rows that add up, and a published baseline that is a right algorithm."""

import json
import shutil

import numpy as np
import pytest
import torch
from benchmarks import growth as bench_growth
from benchmarks import growth_figure as bench_growth_figure
from benchmarks import instructions as bench_instructions
from benchmarks import published as bench_published
from benchmarks.growth_command import parts_of

from kadanoff.commands.grow import Job, enlargement_of
from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.inverse.growth import around
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.networks.registry import build
from kadanoff.spins.exact import T_C, kaufman

SIGMAS = 4.0
SIDE, CHAINS, SWEEPS, TEMPERATURE = 8, 2048, 60, 3.0


def save_project(root):
    """A network that was not trained, and seeds of 128 x 128 random spins."""
    arguments = {"rule": "majority", "block": 3, "dimension": 2, "temperatures": [float(T_C)], "width": 8}
    torch.manual_seed(0)
    (root / bench_growth.MODEL).parent.mkdir(parents=True)
    save_model(root / bench_growth.MODEL, build("blocks", **arguments), Recipe("blocks", arguments))
    spins = 2 * np.random.default_rng(1).integers(0, 2, (1, 1, 128, 128), np.int8) - 1
    zero = np.zeros((1, 1))
    Ensemble(spins, np.array([float(T_C)]), zero, zero, np.array([np.nan])).save(root / bench_growth.SOURCE)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    save_project(root)
    (root / "dvc.yaml").write_text("stages: {}")
    return root


@pytest.fixture(scope="module")
def growth(root):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return bench_growth.growth(root, bench_growth.sizes(root, 1152))


@pytest.mark.slow
def test_steps_are_those_of_both_programs_at_one_size(growth):
    cpu = [row for row in growth["steps"] if row["device"] == "cpu"]
    assert {row["size"] for row in growth["steps"]} == {384}
    assert all(row["ns"] > 0 for row in growth["steps"])
    expected = {
        (program, step, cores)
        for program in ("kadanoff", "published")
        for step in ("generator", "refinement")
        for cores in (1, growth["cores"])
    }
    assert {(row["program"], row["step"], row["cores"]) for row in cpu} == expected
    for program in ("kadanoff", "published"):
        ns = {row["step"]: row["ns"] for row in cpu if (row["program"], row["cores"]) == (program, 1)}
        whole = ns["generator"] + growth["sweeps"] * ns["refinement"]
        assert bench_growth.enlargement_ns(growth, program, 1) == pytest.approx(whole)


@pytest.mark.slow
def test_a_row_of_every_command_whose_shares_add_up(growth):
    assert [row["size"] for row in growth["commands"]] == [384, 1152]
    for row in growth["commands"]:
        assert sum(row["shares"].values()) == pytest.approx(1)
        assert list(row["shares"]) == [*bench_growth.PARTS, "set-up", "rest"]
        assert all(row["shares"][name] > 0 for name in ("generator", "refinement", "compression", "set-up"))
        assert row["ns_per_spin"] == pytest.approx(1e9 * row["seconds"] * row["cores"] / row["size"] ** 2)
        assert row["start_seconds"] > 0
        # a process that holds torch, but not the spins of more than this lattice
        assert 1e8 < row["peak_bytes"] < 2e9
        assert 0.05 < row["bytes_per_spin"] < 0.5
    work = growth["commands"][1]
    spins = (384**2 + 1152**2) / 1152**2
    for name in bench_growth.PARTS:
        share = work["parts"][name] * spins / work["processor_ns_per_spin"]
        assert work["shares"][name] == pytest.approx(share)


@pytest.mark.slow
def test_it_leaves_nothing_and_can_be_written(growth, root, tmp_path):
    assert not [path for path in (root / ".checkpoints").iterdir() if path.is_dir()]
    assert json.loads(json.dumps(growth)) == growth
    bench_growth_figure.draw(growth, tmp_path / "new" / "figure.png")
    assert (tmp_path / "new" / "figure.png").read_bytes().startswith(b"\x89PNG")
    bench_growth.show(growth)


def test_parts_are_of_bands_that_a_command_takes(root, tmp_path, monkeypatch):
    job = Job(root / bench_growth.MODEL, root / bench_growth.SOURCE, 0, 384, 2, 0)
    coarse = 2 * np.random.default_rng(2).integers(0, 2, (1152, 1152), np.int8) - 1
    rows = []

    def read(first, end):
        rows.append((first, end))
        return around(coarse)(first, end)

    monkeypatch.setattr("benchmarks.growth_command.TALLEST", 432)  # a shard
    found = parts_of(enlargement_of(job), read, 3456, tmp_path / "parts.zarr")
    assert set(found) == set(bench_growth.PARTS)
    assert all(found[name] > 0 for name in ("generator", "refinement", "compression"))
    assert not (tmp_path / "parts.zarr").exists()
    # rows 432 to 1728 in three bands, with what they see above and below
    assert len(rows) == 3
    for number, (first, end) in enumerate(rows, 1):
        assert 0 <= first < 144 * number
        assert 144 * (number + 1) < end <= 1152


def test_sizes_are_those_that_the_seeds_grow_to(root, tmp_path, monkeypatch):
    assert bench_growth.sizes(root, 3456) == [384, 1152, 3456]
    assert bench_growth.sizes(tmp_path, 3456) == []
    with pytest.raises(KadanoffError, match=r"largest is 1000, .* take one of 384, 1152, 3456"):
        bench_growth.sizes(root, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1000))
    with pytest.raises(KadanoffError, match="to grow up to 1152 takes about"):
        bench_growth.sizes(root, 1152)


def published_energies(white, temperature=TEMPERATURE):
    """Energies a site of independent tori after sweeps of the baseline from random spins."""
    random = torch.Generator().manual_seed(3)
    spins = torch.where(torch.rand((CHAINS, SIDE, SIDE), generator=random) < 0.5, 1.0, -1.0)
    for _ in range(SWEEPS):
        spins = bench_published.sweep(spins, white, 1 / temperature, random)
    assert set(spins.unique().tolist()) == {-1.0, 1.0}
    assert spins.dtype == torch.float32
    bonds = spins * spins.roll(1, 1) + spins * spins.roll(1, 2)
    return -bonds.double().mean((1, 2)).numpy()


def sigmas(energies, temperature):
    """Distance of the mean from Kaufman's, in exact standard errors."""
    mean, heat = kaufman(SIDE, SIDE, temperature)
    return abs(energies.mean() - mean) / np.sqrt(heat * temperature**2 / SIDE**2 / len(energies))


def test_the_published_sweep_is_a_right_metropolis_sweep():
    energies = published_energies(bench_published.checkerboard(SIDE, torch.device("cpu")))
    assert sigmas(energies, TEMPERATURE) < SIGMAS
    assert sigmas(energies, 1.04 * TEMPERATURE) > SIGMAS


def test_a_sweep_that_updates_neighbours_at_once_would_be_seen():
    assert sigmas(published_energies(torch.ones((SIDE, SIDE), dtype=torch.bool)), TEMPERATURE) > SIGMAS


def test_a_published_spin_has_the_mean_that_the_kernel_gives():
    weights = torch.zeros((9, 1, 9, 9))
    # the spins of a block look at their own coarse spin, those of its upper right corner two to the right of it
    weights[:, 0, 4, 4] = torch.tensor([0.0, 0.5, 0.0, 1.0, -1.0, 3.0, -0.5, 0.25, 0.0])
    weights[2, 0, 4, 6] = 1.0
    random = torch.Generator().manual_seed(4)
    coarse = torch.where(torch.rand((1, 256, 256), generator=random) < 0.5, 1.0, -1.0)
    fine = bench_published.enlarge(coarse, weights, random)
    assert fine.shape == (1, 768, 768)
    blocks = fine.reshape(256, 3, 256, 3).permute(1, 3, 0, 2).reshape(9, 256, 256)
    means = (blocks * coarse).mean((1, 2))
    expected = torch.tensor([0.0, 0.5, 0.0, 1.0, -1.0, 1.0, -0.5, 0.25, 0.0])
    assert (means - expected).abs().max() < SIGMAS / 256
    assert torch.equal(blocks[2], coarse[0].roll(-2, 1))


@pytest.mark.slow
def test_instruction_sets_give_the_same_spins():
    rows = bench_instructions.measure(size=128, rounds=1)  # refuses if they do not
    assert rows
    assert all(row["metropolis"] > 0 < row["swendsen_wang"] for row in rows)


def test_spins_that_depend_on_the_instructions_are_refused(monkeypatch):
    monkeypatch.setattr(bench_instructions, "_in_process", lambda cpu, _: {"md5": cpu, "metropolis": 1.0})
    monkeypatch.setattr(bench_instructions, "get_host_cpu_features", lambda: {"sse2": True, "avx2": True})
    with pytest.raises(KadanoffError, match="depend on the instruction set"):
        bench_instructions.measure()
