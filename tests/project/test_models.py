"""Networks in MLflow: what a run logs of its network, who is champion, and loading by name."""

import shutil

import mlflow
import numpy as np
import pytest
import torch
import yaml
from mlflow.entities import LoggedModelStatus

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.networks.registry import build
from kadanoff.project.published import publish
from kadanoff.project.records import recorded
from kadanoff.project.records.dvclock import folder_md5
from kadanoff.project.tracking import sync
from kadanoff.project.tracking.champions import candidate, champion, crown_best, promote
from kadanoff.project.tracking.models import logged_models
from kadanoff.project.tracking.promotion import promote_run
from kadanoff.project.tracking.store import open_store

MD5 = "0123456789abcdef0123456789abcdef.dir"
LOCK = f"stages:\n  simulate@coarsen16:\n    outs:\n    - path: data/coarsen16.zarr\n      md5: {MD5}\n"
ANY, BOUND = {"takes": [-1, -1, -1], "gives": [-1, -1, -1]}, {"takes": [-1, 8, 8], "gives": [-1, 4, 4]}


@pytest.fixture
def project(tracked_project):
    (tracked_project / "dvc.lock").write_text(LOCK)
    return tracked_project


def train(project, name="cnn", network="cnn", mse=0.5, seed=0, **described):
    """A run that leaves a network with freshly drawn weights, and its candidate."""
    torch.manual_seed(seed)
    arguments = {"block": 2, "size": 8}
    weights = project / "models/coarsen" / f"{name}.safetensors"
    save_model(weights, build(network, **arguments), Recipe(network, arguments))
    said = {"metric": "test/mse", "task": "threshold", "contender": True, **ANY} | described
    with recorded("coarsen", name, parameters={}, inputs=["data/coarsen16.zarr"]) as run:
        run.metrics({"test": {"mse": {"mean": mse, "error": 0.01}}})
        run.model(weights, **said)
    store = open_store(project)
    models = logged_models(store, store.experiment("coarsen")).values()
    return candidate(max(models, key=lambda model: model.creation_timestamp))


def spins(*shape):
    return np.sign(np.random.default_rng(1).normal(size=shape)).astype("int8")


def test_the_logged_model_predicts_from_plain_spins_of_any_size(project):
    made = train(project)
    logged = open_store(project).client.get_logged_model(made.model_id)
    assert logged.status == LoggedModelStatus.READY
    assert logged.tags["kadanoff.weights"] == "here"
    assert logged.tags["data"] == f"coarsen16 {MD5}"
    files = project / "mlartifacts/coarsen/models" / made.model_id / "artifacts"
    assert [path.name for path in (files / "data").iterdir()] == ["cnn.safetensors"]
    assert not list(files.rglob("*.pkl"))
    mlflow.set_tracking_uri(open_store(project).uri)
    loaded = mlflow.pyfunc.load_model(f"models:/{made.model_id}")
    assert str(loaded.metadata.signature.inputs) == "[Tensor('int8', (-1, -1, -1))]"
    network = kadanoff.load_model("models/coarsen/cnn.safetensors")
    for shape in ((5, 8, 8), (2, 12, 20)):
        configurations = spins(*shape)
        with torch.no_grad():
            expected = network(torch.from_numpy(configurations).float().unsqueeze(1)).squeeze(1).numpy()
        np.testing.assert_array_equal(loaded.predict(configurations), expected)


def test_its_metric_is_tied_to_its_data_and_stands_once_in_the_run(project):
    made = train(project)
    client = open_store(project).client
    points = {point.key: point for point in client.get_logged_model(made.model_id).metrics}
    assert {key: point.value for key, point in points.items()} == {"test/mse": 0.5, "test/mse_error": 0.01}
    assert (points["test/mse"].dataset_name, points["test/mse"].dataset_digest) == ("coarsen16", MD5)
    assert len(client.get_metric_history(made.run_id, "test/mse")) == 1
    [output] = client.get_run(made.run_id).outputs.model_outputs
    assert output.model_id == made.model_id


def test_a_network_of_data_without_a_version_is_shown(project, capfd):
    (project / "dvc.lock").unlink()
    made = train(project)
    assert capfd.readouterr().err == ""
    store = open_store(project)
    [point] = [metric for metric in store.client.get_logged_model(made.model_id).metrics if metric.key == "test/mse"]
    assert point.dataset_digest == "unversioned"


def test_predict_refuses_what_is_no_configuration(project):
    made = train(project, network="mlp", **BOUND)
    mlflow.set_tracking_uri(open_store(project).uri)
    loaded = mlflow.pyfunc.load_model(f"models:/{made.model_id}")
    assert loaded.predict(spins(3, 8, 8)).shape == (3, 4, 4)
    with pytest.raises(KadanoffError, match=r"values other than \+1 and -1"):
        loaded.predict(np.zeros((1, 8, 8), "int8"))
    with pytest.raises(mlflow.MlflowException, match="schema"):
        loaded.predict(spins(1, 12, 12))  # the signature of this network says 8 x 8


def test_the_best_contender_becomes_champion_and_a_better_one_replaces_it(project):
    store = open_store(project)
    assert champion(store, "coarsen") is None
    first, worse = train(project, "a", mse=0.3), train(project, "b", mse=0.4)
    other = train(project, "c", mse=0.001, task="average", contender=False)
    told = crown_best(store, "coarsen", [first, worse, other])
    assert told == "champion of coarsen: coarsen/a (test/mse 0.300(10)), version 1"
    assert crown_best(store, "coarsen", [first, worse, other]) is None
    assert crown_best(store, "coarsen", [worse]) is None
    better = train(project, "d", mse=0.2)
    assert crown_best(store, "coarsen", [first, worse, better]) == (
        "champion of coarsen: coarsen/d (test/mse 0.200(10)), version 2"
    )
    version = store.client.get_model_version_by_alias("coarsen", "champion")
    assert version.tags == {
        "test/mse": "0.200(10)",
        "variant": "d",
        "task": "threshold",
        "data": f"coarsen16 {MD5}",
        "model_id": better.model_id,
    }
    assert version.run_id == better.run_id


def test_a_score_may_be_better_when_it_is_greater(project):
    store = open_store(project)
    first, better = (train(project, name, mse=mse, greater_is_better=True) for name, mse in (("a", 0.3), ("b", 0.4)))
    assert "coarsen/b" in crown_best(store, "coarsen", [first, better])


def test_promotion_refuses_a_worse_one_unless_told_and_the_sync_respects_it(project):
    store = open_store(project)
    good, bad = train(project, "good", mse=0.1), train(project, "bad", mse=0.2)
    crown_best(store, "coarsen", [good, bad])
    with pytest.raises(KadanoffError, match=r"coarsen/bad \(test/mse 0\.200\(10\)\) is not better than the champion"):
        promote(store, bad, force=False)
    assert champion(store, "coarsen").name == "good"
    assert promote(store, bad, force=True) == "champion of coarsen: coarsen/bad (test/mse 0.200(10)), version 2"
    assert "better than coarsen/bad (test/mse 0.200(10)), which was made champion by hand" in crown_best(
        store, "coarsen", [good, bad]
    )
    assert champion(store, "coarsen").name == "bad"
    assert promote(store, good, force=False) == "champion of coarsen: coarsen/good (test/mse 0.100(10)), version 1"
    better = train(project, "better", mse=0.05)
    assert "coarsen/better" in crown_best(store, "coarsen", [good, bad, better])  # the best reigns: no longer by hand


def test_only_contenders_of_the_common_task_compete(project):
    store = open_store(project)
    candidates = [
        train(project, "other", mse=0.01, contender=False),
        train(project, "lonely", mse=0.02, task="another"),
        train(project, "good", mse=0.1),
        train(project, "bad", mse=0.2),
    ]
    assert "coarsen/good" in crown_best(store, "coarsen", candidates)
    assert crown_best(store, "coarsen", candidates) is None


def test_a_champion_whose_model_is_gone_is_replaced(project):
    store = open_store(project)
    first, second = train(project, "first", mse=0.1), train(project, "second", mse=0.2)
    crown_best(store, "coarsen", [first, second])
    store.client.delete_logged_model(first.model_id)
    assert champion(store, "coarsen") is None
    assert "coarsen/second" in crown_best(store, "coarsen", [second])
    foreign = store.client.create_model_version("coarsen", "file:///nowhere")
    store.client.set_registered_model_alias("coarsen", "champion", foreign.version)
    assert "coarsen/second" in promote(store, second, force=False)


def test_published_networks_do_not_compete(project):
    train(project, "own", mse=0.3)
    train(project, "paper", mse=0.1)
    lock(project)
    publish(project, "paper", ["coarsen/paper"])
    shutil.rmtree(project / "reports/coarsen/paper")
    assert sync(project).champions == ["champion of coarsen: coarsen/own (test/mse 0.300(10)), version 1"]


def test_scores_on_other_tasks_or_data_are_not_compared(project):
    store = open_store(project)
    first = train(project, "a")
    crown_best(store, "coarsen", [first])
    other = train(project, "b", mse=0.001, task="average", contender=False)
    with pytest.raises(KadanoffError, match="cannot be compared: average with coarsen16"):
        promote(store, other, force=False)
    (project / "dvc.lock").write_text(LOCK.replace("0123", "3210"))
    moved = train(project, "c", mse=0.001)
    assert "no present network can be compared with it" in crown_best(store, "coarsen", [moved])
    assert champion(store, "coarsen").name == "a"


def test_a_champion_is_loaded_by_name(project):
    store = open_store(project)
    first, second = train(project, "a", mse=0.3, seed=1), train(project, "b", mse=0.2, seed=2)
    crown_best(store, "coarsen", [first])
    crown_best(store, "coarsen", [first, second])
    by_path = {name: kadanoff.load_model(f"models/coarsen/{name}.safetensors").state_dict() for name in "ab"}
    for clear in (False, True):  # from the project's own file, then from MLflow's copy
        if clear:
            for file in (project / "models/coarsen").iterdir():
                file.unlink()
        for name, variant in (("models:/coarsen@champion", "b"), ("models:/coarsen/1", "a")):
            network = kadanoff.load_model(name)
            assert not network.training
            torch.testing.assert_close(network.state_dict(), by_path[variant], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("models:/coarsen", "names no registered model; write models:/STUDY@champion"),
        ("models:/coarsen@loser", "there is no models:/coarsen@loser in MLflow; its registered models are: coarsen"),
        ("models:/other@champion", "there is no models:/other@champion"),
        ("models:/coarsen/7", "there is no models:/coarsen/7"),
    ],
)
def test_a_name_that_is_not_registered_is_a_sentence(project, name, message):
    crown_best(open_store(project), "coarsen", [train(project)])
    with pytest.raises(KadanoffError, match=message):
        kadanoff.load_model(name)


def test_damaged_or_missing_weights_are_never_used(project):
    made = train(project)
    crown_best(open_store(project), "coarsen", [made])
    (project / "models/coarsen/cnn.safetensors").unlink()
    [copy] = (project / "mlartifacts/coarsen/models").rglob("cnn.safetensors")
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    with pytest.raises(KadanoffError, match="it is not used"):
        kadanoff.load_model("models:/coarsen@champion")
    copy.unlink()
    with pytest.raises(KadanoffError, match=r"are not here\. `kadanoff pull models/coarsen/cnn\.safetensors`"):
        kadanoff.load_model("models:/coarsen@champion")


def test_outside_a_project_no_store_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(KadanoffError, match="there is no MLflow store"):
        kadanoff.load_model("models:/coarsen@champion")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "test/other"}, "the model's metric is 'test/other'; give it to run.metrics"),
        ({"takes": [1]}, "the model's takes is"),
    ],
)
def test_a_model_that_is_described_wrongly_is_refused(project, change, message):
    with pytest.raises(KadanoffError, match=message):
        train(project, **change)


def test_weights_outside_models_are_refused(project):
    (project / "secret").write_text("secret")
    with recorded("coarsen", "cnn", parameters={}) as run, pytest.raises(KadanoffError, match="the model's weights is"):
        run.model("secret", metric="x", task="t", contender=True, **ANY)


def lock(project):
    """Write dvc.lock for the data and every record."""
    stages = yaml.safe_load(LOCK)["stages"]
    for folder in (project / "reports/coarsen").iterdir():
        outs = [{"path": f"reports/coarsen/{folder.name}", "md5": folder_md5(folder, folder.iterdir())}]
        stages[f"coarsen@{folder.name}"] = {"cmd": f"kadanoff coarsen {folder.name}", "outs": outs}
    (project / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def test_the_sync_registers_the_networks_of_a_fresh_clone_and_takes_their_weights_when_they_arrive(
    project, empty_store
):
    train(project, "a", mse=0.3)
    train(project, "b", mse=0.2)
    lock(project)
    (project / "models").rename(project / "pushed")
    shutil.rmtree(project / "mlartifacts")
    shutil.copy(empty_store, project)
    report = sync(project)
    assert report.imported == ["coarsen/a", "coarsen/b"]
    assert report.champions == ["champion of coarsen: coarsen/b (test/mse 0.200(10)), version 1"]
    store = open_store(project)
    found = logged_models(store, store.experiment("coarsen")).values()
    assert [model.tags["kadanoff.weights"] for model in found] == ["missing", "missing"]
    with pytest.raises(KadanoffError, match="are not here"):
        kadanoff.load_model("models:/coarsen@champion")
    assert sync(project).champions == []
    (project / "pushed").rename(project / "models")
    sync(project)
    shutil.rmtree(project / "models")
    kadanoff.load_model("models:/coarsen@champion")
    found = logged_models(store, store.experiment("coarsen")).values()
    assert [model.tags["kadanoff.weights"] for model in found] == ["here", "here"]
    assert len(store.client.search_model_versions("name = 'coarsen'")) == 1


def test_the_sync_takes_the_networks_of_live_runs_as_they_are(project):
    made = train(project)
    lock(project)
    assert sync(project).adopted == ["coarsen/cnn"]
    store = open_store(project)
    assert champion(store, "coarsen") == made
    assert len(logged_models(store, store.experiment("coarsen"))) == 1


def test_promotion_takes_present_results_and_ids_of_runs(project):
    good, bad = train(project, "good", mse=0.1), train(project, "bad", mse=0.2)
    with recorded("coarsen", "none", parameters={}) as run:
        run.metrics({"mse": 1})
    lock(project)
    with pytest.raises(KadanoffError, match="is not better than the champion coarsen/good"):
        promote_run(project, "coarsen/bad")
    assert "coarsen/bad" in promote_run(project, bad.run_id[:12], force=True)
    assert "coarsen/good" in promote_run(project, "coarsen/good")
    with pytest.raises(KadanoffError, match="the run coarsen/none left no network"):
        promote_run(project, "coarsen/none")
    with pytest.raises(
        KadanoffError,
        match="'coarsen/other' is neither the id of a run nor one of the present results: coarsen/bad, coarsen/good",
    ):
        promote_run(project, "coarsen/other")
    (project / "reports/coarsen/bad/metrics.json").write_text('{"test": {"mse": 0}}')
    with pytest.raises(KadanoffError, match=r"differs from dvc\.lock"):
        promote_run(project, "coarsen/bad")
    assert champion(open_store(project), "coarsen") == good
