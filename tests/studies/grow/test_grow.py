"""The stage `grow` on small lattices: what it records, and what it refuses."""

import json

import numpy as np
import pytest
import yaml
from growing import critical_seeds, save_antiperiodic, save_project

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.networks.registry import build
from kadanoff.spins.exact import T_C
from kadanoff.studies.grow.grow import grow

PARAMS = {"model": "upsample/kernel", "published": "upsample/seed_kernel", "dataset": "seeds", "seeds": [8]}
PARAMS |= {"sweeps": 8, "seed": 0, "truth": {"chains": [8], "sweeps": 60}, "compare": {"levels": 1, "sweeps": [0, 4]}}


@pytest.fixture(scope="module")
def seeds():
    return critical_seeds(8)


@pytest.fixture
def project(tmp_path, monkeypatch, seeds):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kadanoff.project.view.LIVE_AFTER_SECONDS", float("inf"))
    save_project(tmp_path, seeds)
    write(tmp_path)
    return tmp_path


def write(project, **changes):
    (project / "params.yaml").write_text(yaml.safe_dump({"grow": PARAMS | changes}))


def test_a_network_that_knows_nothing_is_seen(project):
    grow(project)
    found = json.loads((project / "reports/grow/metrics.json").read_text())["L=384"]
    assert found["raw"]["c10_excess"]["mean"] < -0.1
    assert abs(found["Monte Carlo"]["c10_excess"]["mean"]) < 4 * found["Monte Carlo"]["c10_excess"]["error"]
    assert found["raw"]["block_sums_variation"] > 2 * found["refined"]["block_sums_variation"]  # sweeps repair blocks
    assert abs(found["refined"]["paired_ratio_off"]["mean"]) > 0.2  # and nothing larger
    assert {path.name for path in (project / "reports/grow").iterdir()} == {
        "cascade.png", "correlations.png", "structure.png", "metrics.json", "run.json", "tables.md", "zoom.html"
    }  # fmt: skip


def test_the_record_does_not_depend_on_the_threads(project, monkeypatch):
    found = []
    for threads in (1, 3):
        monkeypatch.setattr("os.cpu_count", lambda: threads)  # noqa: B023
        grow(project)
        found.append((project / "reports/grow/metrics.json").read_text())
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [9]}, r"grow.seeds is 9, but seeds has 8 configurations.* raise datasets\.grow\.seeds\.samples"),
        ({"model": "upsample/none"}, r"cannot read .*none.safetensors"),
        ({"model": "upsample/seed_kernel"}, "grow.model is upsample/seed_kernel, no network of the kind Blocks"),
        ({"published": "upsample/kernel"}, "grow.published is upsample/kernel, no network of the kind SeedKernel"),
        ({"dataset": "none"}, "there is no dataset"),
        ({"seeds": []}, "grow.seeds"),
        ({"seeds": [4, 8]}, "the numbers do not rise"),
        ({"seeds": [8, 4]}, "give one number a size"),
        ({"sweep": 3}, "did you mean 'sweeps'"),
        ({"compare": {"levels": 1, "sweeps": [-1]}}, "grow.compare.sweeps"),
    ],
)
def test_bad_input_is_a_sentence(project, changes, message):
    write(project, **changes)
    with pytest.raises(KadanoffError, match=message):
        grow(project)
    assert not (project / "reports").exists()


def test_seeds_that_are_not_critical_are_refused(project, seeds):
    Ensemble(**(vars(seeds) | {"temperatures": np.array([2.5])})).save(project / "data/grow/warm.zarr")
    write(project, dataset="warm")
    with pytest.raises(KadanoffError, match="needs square lattices at the critical temperature"):
        grow(project)


def test_seeds_that_are_not_periodic_are_refused(project, seeds):
    save_antiperiodic(project / "data/grow/anti.zarr", seeds)
    write(project, dataset="anti")
    with pytest.raises(KadanoffError, match=r"grow.dataset is anti, which has the boundary antiperiodic"):
        grow(project)


def test_a_network_for_chains_is_refused(project):
    arguments = {"rule": "majority", "block": 3, "dimension": 1, "temperatures": [float(T_C)], "width": 4}
    save_model(project / "models/upsample/chain.safetensors", build("blocks", **arguments), Recipe("blocks", arguments))
    write(project, model="upsample/chain")
    with pytest.raises(KadanoffError, match=r"grow.model is upsample/chain, no network .* for square lattices; take"):
        grow(project)
