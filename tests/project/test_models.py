"""Networks in the registry: the best of each study is its champion, and any of them is loaded by name."""

import shutil
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from written_records import lock

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.networks.registry import build
from kadanoff.project.records import recorded
from kadanoff.project.records.publish import publish
from kadanoff.project.records.read import Published, read_record
from kadanoff.project.records.runinfo import Input, ModelInfo, RunInfo
from kadanoff.project.tracking import sync
from kadanoff.project.tracking.registry import champion
from kadanoff.project.tracking.store import open_store

ROOT = Path(__file__).parents[2]
ANY, BOUND = {"takes": [-1, -1, -1], "gives": [-1, -1, -1]}, {"takes": [-1, 8, 8], "gives": [-1, 4, 4]}


def train(project, name="cnn", network="cnn", mse=0.5, seed=0, **described):
    """A run that leaves a network with random weights."""
    torch.manual_seed(seed)
    arguments = {"block": 2, "size": 8}
    weights = project / "models/coarsen" / f"{name}.safetensors"
    save_model(weights, build(network, **arguments), Recipe(network, arguments))
    with recorded("coarsen", name, parameters={}, inputs=["data/coarsen/coarsen16.zarr"]) as run:
        run.metrics({"test": {"mse": {"mean": mse, "error": 0.01}}})
        run.model(weights, **({"metric": "test/mse", "task": "threshold", "contender": True, **ANY} | described))


def champions(project):
    lock(project)
    return sync(project).champions


def spins(*shape):
    return np.sign(np.random.default_rng(1).normal(size=shape)).astype("int8")


def test_the_vit_is_champion_of_the_classification_that_is_recorded_here():
    """It and the ResNet have networks of their own before them, and the same task and lattices."""
    records = [read_record(ROOT, file.parent) for file in sorted(ROOT.glob("reports/classify/*/run.json"))]
    assert {record.info.variant for record in records} >= {"vit", "resnet18"}
    assert champion(records).info.variant == "vit"


def entrant(variant, score, contender=True, inputs=("data/a.zarr",), task="threshold"):
    """A record with a network."""
    digests = {path: f"{sum(path.encode()):032x}" for path in inputs}
    model = ModelInfo(
        weights=f"models/coarsen/{variant}.safetensors",
        md5="0" * 32,
        metric="mse",
        task=task,
        contender=contender,
        **ANY,
    )
    info = RunInfo(
        stage="coarsen",
        variant=variant,
        parameters={},
        inputs=[Input(path=path, md5=md5) for path, md5 in digests.items()],
        model=model,
        environment={},
        started="2026-01-02T03:04:05Z",
    )
    return Published(f"reports/coarsen/{variant}", info, {"mse": score}, {}, [], [], [], "0")


@pytest.mark.parametrize(
    ("entrants", "best"),
    [
        ([entrant("a", 0.3), entrant("b", 0.2), entrant("c", 0.4)], "b"),
        ([entrant("a", 0.3), entrant("b", 0.2, contender=False)], "a"),
        ([entrant("a", 0.3), entrant("b", 0.4), entrant("c", 0.1, task="average")], "a"),
        ([entrant("a", 0.3), entrant("b", 0.4), entrant("c", 0.1, inputs=["data/b.zarr"])], "a"),
        ([entrant("a", 0.3), entrant("b", 0.1, inputs=["data/a.zarr", "models/pretrain/b.safetensors"])], "b"),
        ([entrant("a", 0.3, contender=False)], None),
    ],
)
def test_networks_compete_on_the_same_task_and_data(entrants, best):
    found = champion(entrants)
    assert (found and found.info.variant) == best


def test_each_network_is_a_version_and_the_champion_follows_the_best(project):
    train(project, "a", mse=0.3)
    train(project, "c", mse=0.001, task="average", contender=False)
    (project / "models").rename(project / "pushed")  # a fresh clone
    assert champions(project) == ["champion of coarsen: coarsen/a (test/mse 0.300(10))"]
    with pytest.raises(KadanoffError, match=r"are not in MLflow; `dvc pull models/coarsen/a\.safetensors`"):
        kadanoff.load_model("models:/coarsen@champion")
    (project / "pushed").rename(project / "models")
    assert champions(project) == []
    kadanoff.load_model("models:/coarsen@champion")
    train(project, "d", mse=0.2)
    assert champions(project) == ["champion of coarsen: coarsen/d (test/mse 0.200(10))"]
    client = open_store(project)
    assert len(client.search_model_versions("name = 'coarsen'")) == 3
    version = client.get_model_version_by_alias("coarsen", "champion")
    tags = {"variant": "d", "task": "threshold", "data": "coarsen16 None", "test/mse": "0.200(10)"}
    assert tags.items() <= version.tags.items()
    assert client.get_run(version.run_id).info.run_name == "d"


def test_only_present_results_of_dvc_lock_compete(project):
    train(project, "own", mse=0.3)
    train(project, "paper", mse=0.1)
    lock(project)
    publish(project, "paper", ["coarsen/paper"])
    shutil.rmtree(project / "reports/coarsen/paper")
    train(project, "unlocked", mse=0.01)
    assert sync(project).champions == ["champion of coarsen: coarsen/own (test/mse 0.300(10))"]


@pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning")
def test_mlflow_loads_the_champion_and_it_predicts_from_plain_spins(project, monkeypatch):
    train(project)
    train(project, "mlp", network="mlp", mse=0.6, **BOUND)
    champions(project)
    assert not [path for path in (project / "mlartifacts").rglob("*") if path.suffix in (".pkl", ".py")]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # which MLflow sets in the next line
    mlflow.set_tracking_uri(f"sqlite:///{project}/mlflow.db")
    loaded = mlflow.pyfunc.load_model("models:/coarsen@champion")
    assert str(loaded.metadata.signature.inputs) == "[Tensor('int8', (-1, -1, -1))]"
    network = kadanoff.load_model("models/coarsen/cnn.safetensors")
    for shape in ((5, 8, 8), (2, 12, 20)):
        with torch.no_grad():
            expected = network(torch.from_numpy(spins(*shape)).float().unsqueeze(1)).squeeze(1).numpy()
        np.testing.assert_array_equal(loaded.predict(spins(*shape)), expected)
    bound = mlflow.pyfunc.load_model("models:/coarsen/2")
    assert bound.predict(spins(3, 8, 8)).shape == (3, 4, 4)
    with pytest.raises(KadanoffError, match=r"values other than \+1 and -1"):
        bound.predict(np.zeros((1, 8, 8), "int8"))
    with pytest.raises(mlflow.MlflowException, match="schema"):
        bound.predict(spins(1, 12, 12))  # the signature of this network says 8 x 8


def test_a_network_is_loaded_by_name_and_damaged_weights_are_not_used(project):
    train(project, "a", mse=0.3, seed=1)
    train(project, "b", mse=0.2, seed=2)
    champions(project)
    by_path = {name: kadanoff.load_model(f"models/coarsen/{name}.safetensors").state_dict() for name in "ab"}
    shutil.rmtree(project / "models")
    for name, variant in (("models:/coarsen@champion", "b"), ("models:/coarsen/1", "a")):
        network = kadanoff.load_model(name)
        assert not network.training
        torch.testing.assert_close(network.state_dict(), by_path[variant], rtol=0, atol=0)
    [copy] = (project / "mlartifacts").rglob("b.safetensors")
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    with pytest.raises(KadanoffError, match="is not the network registered"):
        kadanoff.load_model("models:/coarsen@champion")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("models:/coarsen", "is no registered model; write models:/STUDY@champion"),
        ("models:/coarsen@loser", "there is no models:/coarsen@loser in MLflow; its registered models are: none"),
        ("models:/coarsen/7", "there is no models:/coarsen/7"),
    ],
)
def test_a_name_that_is_not_registered_is_a_sentence(project, name, message):
    with pytest.raises(KadanoffError, match=message):
        kadanoff.load_model(name)
