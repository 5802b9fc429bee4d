"""The stages of coarse-graining on small lattices: weights, records, tables with the report's rows, and refusals."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import read_recipe
from kadanoff.spins.exact import T_C
from kadanoff.studies.coarsen import coarsen_curve as curve_stage
from kadanoff.studies.coarsen.coarsen import coarsen
from kadanoff.studies.coarsen.coarsen_compare import coarsen_compare

TRAINING = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01, "weight_decay": 0.0, "plateau_patience": 5}
TRAINING |= {"plateau_factor": 0.5, "early_stopping_patience": 15, "seed": 0}
VARIANTS = {
    "cnn": {"network": "cnn", "dataset": "small", "rule": "threshold", "block": 2},
    "mlp": {"network": "mlp", "dataset": "small", "rule": "threshold", "block": 2},
    "exact": {
        "network": "exact",
        "dataset": "small",
        "rule": "average",
        "block": 2,
        "epochs": 40,
        "learning_rate": 0.1,
    },
    "exact_block4": {"network": "exact", "dataset": "small", "rule": "average", "block": 4},
}
CURVE = {"dataset": "small", "rule": "threshold", "block": 2, "configurations": [8, 32], "steps": {"cnn": 8, "mlp": 8}}
PARAMS = {
    "coarsen": {"training": TRAINING, "variants": VARIANTS},
    "coarsen_curve": CURVE,
    "coarsen_compare": {"dataset": "small", "critical": ["small", "large"]},
}


def write_params(root, **changes):
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS | changes))


def serially(what, function, tasks, folder=None):
    return [function(*task) for task in tasks]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """All stages in a project, with the metrics of their records."""
    root = tmp_path_factory.mktemp("project")
    (root / "dvc.yaml").touch()
    write_params(root)
    for name, size in (("small", 8), ("large", 16)):
        kadanoff.simulate(size, [1.5, float(T_C), 3.5], 20, seed=size).save(root / f"data/coarsen/{name}.zarr")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr("kadanoff.project.view.LIVE_AFTER_SECONDS", float("inf"))
        patch.setattr(curve_stage, "in_processes", serially)
        for name in VARIANTS:
            coarsen(root, name)
        coarsen_compare(root)
        curve_stage.coarsen_curve(root)
    records = {path.parent.name: json.loads(path.read_text()) for path in root.rglob("metrics.json")}
    return SimpleNamespace(root=root, records=records)


def test_a_trained_network_comes_with_its_recipe_and_errors(project):
    recipe = read_recipe(project.root / "models/coarsen/exact.safetensors")
    assert (recipe.network, recipe.arguments) == ("exact", {"block": 2, "size": 8})
    assert project.records["exact"]["parameters"] == 4
    assert project.records["exact"]["test"]["mse"]["mean"] < 0.01 < project.records["mlp"]["test"]["mse"]["mean"]
    history = (project.root / "reports/coarsen/cnn/history.csv").read_text().splitlines()
    assert history[0] == "epoch,train_loss,validation_loss,learning_rate"
    assert len(history) == 3


def test_the_comparison_repeats_what_training_measured(project):
    compared = project.records["coarsen_compare"]
    for name in VARIANTS:
        for part in ("validation", "test"):
            known, found = project.records[name][part], compared[part][name]
            assert found["mse"]["mean"] == pytest.approx(known["mse"]["mean"])
            assert found["spatial_correlation"] == pytest.approx(known["spatial_correlation"])


def test_a_rule_in_place_of_itself_would_have_no_error(project):
    """The threshold of the average is the threshold, but not the average."""
    test = project.records["coarsen_compare"]["test"]
    assert test["threshold for average"]["mse"] == pytest.approx(test["average for threshold"]["mse"])
    assert test["threshold for average"]["mse"]["mean"] > 0.01


def test_at_criticality_an_exact_network_keeps_all_and_a_perceptron_takes_one_size(project):
    critical = project.records["coarsen_compare"]["critical"]
    for size in ("small", "large"):
        assert critical[size]["exact"]["kept_energy"]["mean"] == pytest.approx(1, abs=0.05)
        assert abs(critical[size]["threshold for average"]["kept_energy"]["mean"] - 1) > 0.05
    assert "mlp" in critical["small"]
    assert "mlp" not in critical["large"]
    assert not {"exact_block4"} & critical["small"].keys()


def test_tables_set_the_report_beside_its_own_task(project):
    tables = (project.root / "reports/coarsen_compare/tables.md").read_text()
    threshold, average = (
        tables.split(f"Rule `{rule}`, block 2: error")[1].split("##")[0] for rule in ("threshold", "average")
    )
    assert "| report: cnn | 9569 | 0.000301 | 0.0003123 | 0.008339 | 0.01767 |" in threshold
    assert "report" not in average
    assert "| mlp | 305856" not in threshold
    other = tables.split("## Other blocks")[1].split("##")[0].splitlines()
    assert [line.split(" | ")[0] for line in other if line.startswith("| e")] == ["| exact_block4"]
    last = tables.split("half of the coarse lattice")[1]
    (mlp,) = (line for line in last.splitlines() if line.startswith("| mlp"))
    assert mlp.endswith("| – |")
    assert "nan" not in tables


def test_figures_of_the_comparison(project):
    names = {path.stem for path in (project.root / "reports/coarsen_compare").glob("*.png")}
    assert names == {"magnetization", "criticality", "flow"}


def test_the_curve_has_errors_of_every_network_and_size(project):
    curve = project.records["coarsen_curve"]
    assert list(curve) == ["cnn", "mlp"]
    for line in curve.values():
        assert set(line) == {"configurations=8", "configurations=32"}
        for point in line.values():
            assert all(np.isfinite(point[part]["error"]) for part in ("train_mse", "test_mse"))


def test_more_configurations_than_there_are_are_refused(project, monkeypatch):
    monkeypatch.chdir(project.root)
    write_params(project.root, coarsen_curve=CURVE | {"configurations": [1000]})
    with pytest.raises(KadanoffError, match=r"asks for 1000 configurations, but .* has 42 to train on"):
        curve_stage.coarsen_curve(project.root)
    write_params(project.root)


def test_weights_of_other_parameters_are_refused(project, monkeypatch):
    monkeypatch.chdir(project.root)
    write_params(project.root, coarsen=PARAMS["coarsen"] | {"training": TRAINING | {"epochs": 3}})
    with pytest.raises(KadanoffError, match="run `dvc repro coarsen@cnn` first"):
        coarsen_compare(project.root)
    write_params(project.root)
