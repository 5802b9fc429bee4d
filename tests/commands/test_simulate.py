"""`kadanoff simulate OUT.zarr`: the spins of `kadanoff.simulate` in the same words, interrupted or not."""

import numpy as np
import pytest

import kadanoff
from kadanoff.cli import main
from kadanoff.data import store
from kadanoff.montecarlo import runner

WORDS = ["--size", "6", "--temperatures", "2.0", "3.0", "--samples", "70", "--seed", "5"]
MEANING = {"size": 6, "temperatures": [2.0, 3.0], "samples": 70, "seed": 5}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)


@pytest.fixture
def command(monkeypatch):
    def call(*words):
        monkeypatch.setattr("sys.argv", ["kadanoff", "simulate", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    return call


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        (["out.zarr", *WORDS], MEANING),
        ([*WORDS, "out.zarr"], MEANING),
        (["--size", "4", "6", "out.zarr", "--temperatures", "2.5", "--samples", "3", "--boundary", "free"],
         {"size": (4, 6), "temperatures": 2.5, "samples": 3, "boundary": "free"}),
        (["out.zarr", "--size", "8", "--temperatures", "1", "--temperatures", "2e0", "--samples", "3",
          "--dimension", "1", "--coupling", "-1", "--workers", "1"],
         {"size": 8, "temperatures": [1.0, 2.0], "samples": 3, "dimension": 1, "coupling": -1.0}),
        (["out.zarr", "--size", "4", "--temperatures", "2", "--samples", "3", "--sampler", "metropolis",
          "--sweeps", "2", "--field", "0.5", "--start", "cold", "--allow-unequilibrated"],
         {"size": 4, "temperatures": 2.0, "samples": 3, "sampler": "metropolis", "sweeps": 2, "field": 0.5,
          "start": "cold", "allow_unequilibrated": True}),
    ],
)  # fmt: skip
def test_the_same_words_give_the_same_dataset(command, tmp_path, words, meaning):
    assert command(*words) == 0
    expected, found = kadanoff.simulate(**meaning), kadanoff.open_dataset("out.zarr")
    assert np.array_equal(found.read(), expected.spins)
    assert np.array_equal(found.energy, expected.energy)
    assert found.temperatures.tolist() == expected.temperatures.tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]


@pytest.mark.parametrize("moment", ["between two tasks", "while writing"])
def test_an_interrupted_command_resumes_to_the_same_bytes(command, tmp_path, monkeypatch, moment):
    def first_chains_only(*arguments):
        if arguments[5] == 64:  # the first of the second task
            raise KeyboardInterrupt
        return advance(*arguments)

    def interrupted(path, ensemble):
        (path / "spins").mkdir(parents=True)
        raise KeyboardInterrupt

    whole, advance = ["out.zarr", *WORDS, "--sampler", "metropolis", "--workers", "1"], runner.SAMPLERS["metropolis"]
    with monkeypatch.context() as patch:
        if moment == "between two tasks":
            patch.setitem(runner.SAMPLERS, "metropolis", first_chains_only)
        else:
            patch.setattr(store, "write_group", interrupted)
        assert command(*whole) == 130
    assert not (tmp_path / "out.zarr").exists()
    assert [path.name for path in tmp_path.iterdir()] == [".out.zarr.partial"]
    assert command(*whole) == 0
    expected = kadanoff.simulate(**MEANING, sampler="metropolis")
    assert np.array_equal(kadanoff.open_dataset("out.zarr").read(), expected.spins)
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]
