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


def test_nothing_is_overwritten(command, tmp_path, capsys):
    (tmp_path / "out.zarr").write_text("mine")
    assert command("out.zarr", *WORDS) == 1
    assert "out.zarr exists; nothing is overwritten" in capsys.readouterr().err
    assert (tmp_path / "out.zarr").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--temperatures", "0"], "temperatures has 0.0; each must be at least"),
        (["--temperatures", "2.0"], "temperatures has 2.0 twice"),
        (["--temperatures", "2.0", "hot"], "hot"),
        (["--size", "4", "4", "4"], "size is [6, 4, 4, 4]; give one number, or [height, width]"),
        (["--boundary", "twisted"], "simulate.boundary is 'twisted'"),
        (["--sweeps", "1"], "sweeps is 1, but at T = "),
        (["--samples", "0"], "simulate.samples is 0"),
        (["--workers", "0"], "workers"),
    ],
)
def test_wrong_words_are_refused_in_a_sentence_and_leave_nothing(command, tmp_path, capsys, change, words):
    assert command("out.zarr", *WORDS, *change) in (1, 2)
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
