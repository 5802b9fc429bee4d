"""The stage `grow_times` on small lattices: who is in equilibrium, and what is refused."""

import json

import numpy as np
import pytest
import yaml
from growing import critical_seeds, save_antiperiodic, save_project

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.spins.exact import T_C, critical_energy
from kadanoff.studies.grow.grow_times import RUNS, exact, grow_times

PARAMS = {"model": "upsample/kernel", "dataset": "seeds", "sizes": [384], "chains": [16], "refinement": 4}
PARAMS |= {"sweeps": 16, "cluster_sweeps": 64, "seed": 0}


@pytest.fixture(scope="module")
def seeds():
    return critical_seeds(16)


@pytest.fixture
def project(tmp_path, monkeypatch, seeds):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kadanoff.project.view.LIVE_AFTER_SECONDS", float("inf"))
    save_project(tmp_path, seeds)
    write(tmp_path)
    return tmp_path


def write(project, **changes):
    (project / "params.yaml").write_text(yaml.safe_dump({"grow_times": PARAMS | changes}))


def test_only_clusters_equilibrate_what_an_untrained_network_or_chance_made(project):
    grow_times(project)
    metrics = json.loads((project / "reports/grow_times/metrics.json").read_text())
    assert metrics["network_seconds"] is None  # there is no record of its training
    found = metrics["L=384"]
    assert set(found) == {*RUNS, "reference"}
    assert found["grown_metropolis"]["sweeps"] is None
    assert found["hot_metropolis"]["sweeps"] is None
    for start in ("hot", "cold"):
        assert 1 < found[f"{start}_swendsen_wang"]["sweeps"] <= 64
    assert found["grown_metropolis"]["start_seconds"] > found["hot_metropolis"]["start_seconds"] > 0
    text = (project / "reports/grow_times/tables.md").read_text()
    assert f"e = {critical_energy(384):.6f} (exact)" in text
    assert "the fastest" in text or "only" in text


def test_exact_values_are_those_of_monte_carlo():
    spins = kadanoff.simulate(64, [float(T_C)], 4000, sampler="swendsen_wang", seed=5).spins[0]
    squares = spins.mean((1, 2), dtype=float) ** 2
    quarter = sum((spins * np.roll(spins, 16, axis)).mean((1, 2), dtype=float) for axis in (1, 2)) / 2
    _, square, correlation = exact(64, 4, np.ones((3, 2))).values
    for known, values in ((square.mean, squares), (correlation.mean, quarter)):
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean() - known) < 3 * error + 0.001 * known  # the scaling limit, at L = 64
        assert abs(values.mean() - 1.05 * known) > 3 * error + 0.001 * known


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": [512]}, "grow_times.sizes is 512; a seed of 128 x 128 grows by 3 at a time"),
        ({"chains": [8, 8]}, "give one number a size"),
        ({"chains": [17]}, "grow_times.chains is 17, but seeds has 16 configurations"),
        ({"model": "upsample/none"}, r"cannot read .*none.safetensors"),
        ({"dataset": "none"}, "there is no dataset"),
    ],
)
def test_bad_input_is_a_sentence(project, changes, message):
    write(project, **changes)
    with pytest.raises(KadanoffError, match=message):
        grow_times(project)
    assert not (project / "reports").exists()


def test_seeds_that_are_not_periodic_are_refused(project, seeds):
    save_antiperiodic(project / "data/grow/anti.zarr", seeds)
    write(project, dataset="anti")
    with pytest.raises(KadanoffError, match=r"grow_times.dataset is anti, which has the boundary antiperiodic"):
        grow_times(project)
