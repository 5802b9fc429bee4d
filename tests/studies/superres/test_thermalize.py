"""The stage `thermalize` on small lattices: its record, the quality of its start, and its refusals."""

import json
import re

import numpy as np
import pytest
import torch

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.inverse.chains import doubling_by_blocks
from kadanoff.inverse.superresolve import tables
from kadanoff.inverse.thermalization import Equilibrium, Relaxation, Thermalization, relax, superresolved
from kadanoff.inverse.training import train_network
from kadanoff.learning.checkpoints import Recipe, load_model, save_model
from kadanoff.learning.training import Settings
from kadanoff.montecarlo.rng import stream_key
from kadanoff.montecarlo.simulate import simulate
from kadanoff.networks import registry
from kadanoff.project.records.runinfo import RunInfo
from kadanoff.spins.exact import T_C, kaufman
from kadanoff.studies.relaxation import sentence, training_seconds
from kadanoff.studies.superres.thermalize import RUNS, thermalize

PARAMS = {"model": "superres/blocks", "sizes": [32, 64], "chains": 48, "sweeps": 16, "cluster_sweeps": 24}
PARAMS |= {"refinement": 2, "calibration": 2000, "seed": 0}
BLOCKS = {"rule": "majority", "block": 2, "dimension": 2, "temperatures": [T_C], "width": 32}
KEY = stream_key(1, "test")


def network():
    """A network with random initialization."""
    torch.manual_seed(0)
    return registry.build("blocks", **BLOCKS)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A network trained for two seconds."""
    model = network()
    training = {"epochs": 40, "batch_size": 1000, "learning_rate": 1e-2, "weight_decay": 0.0}
    settings = Settings(seed=0, plateau_patience=10, early_stopping_patience=30, **training)
    fine = np.asarray(simulate(16, T_C, 4000).spins[0])
    train_network(model.networks[0], fine, "majority", 2, settings)
    path = tmp_path_factory.mktemp("weights") / "blocks.safetensors"
    save_model(path, model, Recipe("blocks", BLOCKS))
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory, inside, weights):
    """A project that has the weights, as the current folder."""
    root = tmp_path_factory.mktemp("thermalize")
    (root / "models/superres").mkdir(parents=True)
    (root / "models/superres/blocks.safetensors").write_bytes(weights.read_bytes())
    with inside(root, {"thermalize": PARAMS}):
        yield root


def without_times(record):
    """The metrics that must be the same whenever they are computed."""
    found = json.loads((record / "metrics.json").read_text())
    del found["network_seconds"]
    for runs in found.values():
        for numbers in runs.values():
            for key in ("seconds", "start_seconds"):
                numbers.pop(key, None)
    return found


def test_record(project, monkeypatch):
    found = []
    for workers in (1, 3):
        monkeypatch.setattr("os.cpu_count", lambda workers=workers: workers)
        thermalize(project)
        found.append(without_times(project / "reports/thermalize"))
    assert found[0] == found[1]
    names = {path.name for path in (project / "reports/thermalize").iterdir()}
    assert names >= {"relaxation.png", "tables.md", "times.png", "headlines.json", "comparison.csv"}
    text = (project / "reports/thermalize/tables.md").read_text()
    assert all(f"## L = {size}, 48 chains" in text for size in (32, 64))
    at_64 = found[0]["L=64"]
    assert set(at_64) == {*RUNS, "reference"}
    # 16 sweeps of single spins leave a lattice of 64 x 64 far from equilibrium, but not one that began near it
    assert at_64["hot_metropolis"]["sweeps"] is at_64["cold_metropolis"]["sweeps"] is None
    assert at_64["superres_metropolis"]["sweeps"] is not None
    assert re.search(r"\| random spins, Metropolis \| > 16 \| \S+ \| \S+ \| \S+ \| > ", text)  # within, before times
    assert "repay" not in text  # nobody knows how long the network took


def curve(counts, errors, seconds):
    """A run that is so many errors off equilibrium, which is 1, at each count; its error is 0.01 of 100 chains."""
    noise = np.tile([-1.0, 1.0], 50) * 0.1 * np.sqrt(0.99)
    means = 1 + 0.01 * np.broadcast_to(errors, (3, len(counts)))
    return Relaxation(counts, means[..., None] + noise, np.array(seconds, float))


@pytest.mark.parametrize(
    ("once", "words"),
    [
        (600.0, "takes 3 times as long. The network took 600 s at most, which some 150 lattices repay."),
        (float("nan"), "takes 3 times as long."),
    ],
)
def test_the_sentence_says_what_the_network_took(once, words):
    known = Equilibrium((Estimate(1.0, 0.0),) * 3, None, (0.1,) * 3)
    runs = {"superres_metropolis": curve((0, 1), (0, 0), (2, 3)), "hot_swendsen_wang": curve((0, 2), (9, 1), (1, 6))}
    assert sentence(Thermalization(64, known, runs, once)).endswith(words)


def test_training_seconds_are_those_of_the_record(tmp_path):
    assert np.isnan(training_seconds(tmp_path, "superres/blocks"))
    known = {"stage": "superres", "variant": "blocks", "parameters": {}, "started": "2026-01-01T00:00:00Z"}
    run = RunInfo(**known, environment={"cpus": 2}, duration_s=20.5)
    (tmp_path / "reports/superres/blocks").mkdir(parents=True)
    (tmp_path / "reports/superres/blocks/run.json").write_text(run.model_dump_json())
    assert training_seconds(tmp_path, "superres/blocks") == 41.0


def off(model, size):
    """Relative deviation of the energy of doubled lattices before the first sweep."""
    seeds = np.asarray(simulate(16, T_C, 256, seed=9).spins[0])
    prepare = superresolved(seeds, size, doubling_by_blocks(tables(model.at(T_C)), 3))
    return relax(prepare, "metropolis", size, 256, (0,), KEY).at(0, 0).mean / kaufman(size, size, T_C).energy - 1


def test_superresolved_start_has_nearly_the_energy_of_equilibrium(weights):
    assert abs(off(load_model(weights), 64)) < 0.03
    assert abs(off(network(), 64)) > 0.1  # not trained


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sizes": [16]}, r"thermalize\.sizes: sizes"),
        ({"sizes": [48]}, r"thermalize\.sizes: sizes"),
        ({"sizes": [64, 32]}, r"thermalize\.sizes: sizes"),
        ({"sizes": [32, 32]}, r"thermalize\.sizes: sizes"),
        ({"model": "superres/absent"}, r"dvc repro superres@absent"),
    ],
)
def test_parameters_that_are_refused(project, inside, changes, reason):
    with inside(project, {"thermalize": PARAMS | changes}), pytest.raises(KadanoffError, match=reason):
        thermalize(project)


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        (
            "blocks",
            BLOCKS | {"rule": "decimation", "dimension": 1},
            "no network of the kind Blocks for square lattices",
        ),
        ("blocks", BLOCKS | {"block": 3}, "with blocks of 3; take one that doubles"),
        ("blocks", BLOCKS | {"temperatures": [2.0, 2.1]}, "temperature is 2.26919"),
        ("pixels", BLOCKS | {"width": 4, "layers": 3}, "no network of the kind Blocks"),
        ("exact", {"block": 2, "size": 16}, "no network of the kind Blocks"),
    ],
)
def test_networks_that_cannot_double_lattices_at_criticality(project, inside, name, arguments, reason):
    model = registry.build(name, **arguments)
    save_model(project / "models/superres/other.safetensors", model, Recipe(name, arguments))
    params = {"thermalize": PARAMS | {"model": "superres/other"}}
    with inside(project, params), pytest.raises(KadanoffError, match=reason):
        thermalize(project)
