"""`kadanoff measure`: a table and figures of a store that `kadanoff grow` could have written, mistakes as sentences."""

import os

import numpy as np
import pytest
from typer.testing import CliRunner

import kadanoff
from kadanoff.cli import app
from kadanoff.commands import measure as module
from kadanoff.commands.measure import fluctuation, measure
from kadanoff.data.store import Ensemble, create_lattice, finish_lattice
from kadanoff.errors import KadanoffError
from kadanoff.inverse.measurement import fit_distances
from kadanoff.inverse.measurement import measure_lattice as in_memory
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, critical_energy, kaufman
from kadanoff.spins.observables import energy


@pytest.fixture(scope="module")
def spins():
    """Critical 128 x 128, nine times nine times: the order of a torus of 1152 that repeats itself."""
    return np.tile(kadanoff.simulate(128, [T_C], 1, seed=4).spins[0, 0], (9, 9))


def ensemble(lattices, temperature=float(T_C), **parameters):
    """Square ones, or chains, in an array (sample, [y,] x)."""
    energies = np.zeros((1, len(lattices)))
    if lattices.ndim == 3:
        energies = energy(lattices, Lattice.of(lattices.shape[-1]))[None]
    magnetizations = lattices.reshape(len(lattices), -1).mean(1, dtype=float)[None]
    parameters = {"boundary": "periodic", "coupling": 1.0, "field": 0.0} | parameters
    at, times = np.array([temperature]), np.array([np.nan])
    return Ensemble(lattices[None], at, energies, magnetizations, times, {"parameters": parameters})


@pytest.fixture
def large(spins, tmp_path):
    """A store of whole shards, as `kadanoff grow` writes it."""
    path = tmp_path / "large.zarr"
    array = create_lattice(path, len(spins))
    array[0, 0] = spins
    finish_lattice(path, ensemble(spins[None]))
    assert len(shards(path)) == 3
    return path


def shards(path):
    return sorted(file for file in (path / "spins" / "c").rglob("*") if file.is_file())


def cells(text):
    """The row of the table of one lattice."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| L |"))
    return dict(
        zip(*([cell.strip() for cell in lines[row].strip("|").split("|")] for row in (start, start + 2)), strict=True)
    )


def value(cell):
    """0.123 of 0.123(45), 1.2e-4 of 1.2(34)e-4."""
    mean, _, rest = cell.partition("(")
    return float(mean + rest.partition(")")[2])


def test_the_table_has_what_the_lattice_in_memory_has(large, spins):
    found, expected = cells(measure(large)), in_memory(spins)
    assert found["L"] == "1152"
    assert value(found["c10 - exact"]) == pytest.approx(expected.nearest[0] + critical_energy(1152) / 2, rel=0.1)
    assert value(found["c11"]) == pytest.approx(expected.diagonal[0], abs=1e-3)
    assert value(found["m L^(1/8)"]) == pytest.approx(expected.magnetization[0] * 1152**0.125, rel=1e-3)
    x = np.log(fit_distances(1152))
    slope = np.polyfit(x, np.log(expected.correlation[0, fit_distances(1152)]), 1)[0]
    assert value(found["exponent of G"]) == pytest.approx(-slope, abs=0.02)


def test_a_folder_of_tables_and_figures_on_request(large, tmp_path):
    out = tmp_path / "folder" / "out"
    result = CliRunner().invoke(app, ["measure", str(large), "--out", str(out), "--workers", "2"])
    assert result.exit_code == 0
    assert f"wrote {out}" in result.output
    assert sorted(path.name for path in out.iterdir()) == ["correlations.png", "structure.png", "tables.md"]
    assert list(out.parent.iterdir()) == [out]
    tables = (out / "tables.md").read_text()
    assert cells(tables) == cells(result.output)
    assert "G is taken from 1152 of the 1152 rows" in tables
    assert [line.split("|")[1].strip() for line in tables.splitlines() if line.startswith("| 2")] == ["2", "256", "2"]


def test_one_of_several_lattices_can_be_chosen(spins, tmp_path):
    path = tmp_path / "many.zarr"
    many = np.stack([spins[:128, :128], -spins[:128, :128]])
    ensemble(many).save(path)
    up, down = (float(cells(measure(path, sample=sample))["m L^(1/8)"]) for sample in (0, 1))
    assert up == -down != 0


@pytest.mark.parametrize("side", [64, 128])
def test_c10_fluctuates_as_the_specific_heat_says(side):
    exact = float(T_C) * kaufman(side, side, float(T_C)).specific_heat ** 0.5 / (2 * side)
    assert fluctuation(side) == pytest.approx(exact, rel=0.02)
    assert fluctuation(2 * side) < 0.6 * exact


def refused(match, *arguments, **options):
    with pytest.raises(KadanoffError, match=match):
        measure(*arguments, **options)


def test_what_is_no_critical_lattice_is_a_sentence(spins, tmp_path):
    def stored(name, lattices, **options):
        ensemble(lattices, **options).save(tmp_path / name)
        return tmp_path / name

    small = spins[:128, :128]
    hot = stored("hot.zarr", small[None], temperature=3.0)
    refused("hot.zarr has lattices .* at T = .3.0.; .* critical temperature", hot)
    refused("sample is 2, but .*many.zarr has samples 0 to 1", stored("many.zarr", np.stack([small, small])), sample=2)
    refused("chain.zarr has lattices .128,.", stored("chain.zarr", small[:1]))
    refused("anti.zarr has the boundary antiperiodic", stored("anti.zarr", small[None], boundary="antiperiodic"))
    refused("the lattice is 32 x 32; .* take 64 or more", stored("small.zarr", small[None, :32, :32].copy()))


def test_what_appears_meanwhile_survives(large, tmp_path, monkeypatch):
    def meanwhile(*arguments):
        write(*arguments)
        (tmp_path / "out").write_text("mine")

    write = module._write
    monkeypatch.setattr(module, "_write", meanwhile)
    refused("out exists; nothing is overwritten", large, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.zarr", "out"]


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_a_damaged_shard_is_named_by_its_rows(large, tmp_path, damage):
    shard = shards(large)[1]
    data = shard.read_bytes()
    half = len(data) // 2
    if damage == "missing":
        os.remove(shard)
    else:
        shard.write_bytes(data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :])
    refused(r"large\.zarr: rows 384 to 767 .* Delete the dataset, then grow it again", large, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.zarr"]
