"""The stages `pretrain` and `classify` in a tiny project, and what they say of parameters that break a rule."""

import json
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from small_classification import ALL, OPTIONS, TRAINING, save_data, use_small_table

from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import load_model, read_recipe
from kadanoff.phases import microstates, trials
from kadanoff.phases.classifiers import regions_of
from kadanoff.phases.models import Model
from kadanoff.phases.scores import macro_f1
from kadanoff.phases.stream import BLOCK
from kadanoff.phases.trials import Task
from kadanoff.studies.classify import classify as module
from kadanoff.studies.classify import pretrain as pretraining
from kadanoff.studies.classify import scores as classify_scores
from kadanoff.studies.classify.classify import _tasks, classify
from kadanoff.studies.classify.params import read_model, read_params
from kadanoff.studies.classify.pretrain import pretrain
from kadanoff.studies.classify.scores import read_scores

PARAMS = {
    "pretrain": {"sizes": [6, 8], "lattices": 16, "validation": 8, "held": 16, "threads": 1, "training": TRAINING},
    "classify": {
        "systems": {"periodic": {}, "antiferromagnet": {"coupling": -1}},
        "protocols": ["equilibrium"],
        "trials": 2,
        "at_once": 1,
        "tests": 2,
        "sizes": {"periodic": ["larger"]},
        "curve": {"protocol": "equilibrium", "system": "periodic", "images": [12]},
        "seed": 3,
        "training": TRAINING,
        "models": {"vit": {"library": "transformers", "model": "vit", "options": OPTIONS, "epochs": 1}},
    },
}


SCRATCH = {"weights": "none", "compare": ["none"]}


def write(folder, *path, value=None):
    """params.yaml, with another value in one place."""
    params = json.loads(json.dumps(PARAMS))
    inner = params
    for key in path[:-1]:
        inner = inner[key]
    if path:
        inner[path[-1]] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def write_data(folder):
    for seed, name in enumerate(("classify_periodic_equilibrium", "classify_antiferromagnet_equilibrium", "larger")):
        save_data(folder, seed, name, 12 if name == "larger" else 8)


def patched(patch, folder):
    patch.chdir(folder)
    patch.setattr("kadanoff.project.view.LIVE_AFTER_SECONDS", float("inf"))  # MLflow starts in seconds
    patch.setattr(module, "in_processes", lambda _, function, tasks, folder=None: [function(*task) for task in tasks])
    patch.setattr(torch.cuda, "is_available", lambda: False)
    use_small_table(patch, trials, module, classify_scores)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project in which both stages have run."""
    folder = tmp_path_factory.mktemp("classify")
    write(folder)
    write_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        patched(patch, folder)
        pretrain(folder, "vit")
        classify(folder, "vit")
    return folder


@pytest.fixture
def project(tmp_path, monkeypatch):
    """One with data, in which none has."""
    write(tmp_path)
    write_data(tmp_path)
    patched(monkeypatch, tmp_path)
    return tmp_path


def metrics(folder, stage):
    return json.loads((folder / "reports" / stage / "vit" / "metrics.json").read_text())


# --- what the stages write -------------------------------------------------------------------------------


def test_pre_training_leaves_a_network_that_reads_one_coupling_and_its_record(finished):
    path, record = finished / "models/pretrain/vit.safetensors", finished / "reports/pretrain/vit"
    assert load_model(path)(torch.ones(3, 1, 8, 8)).shape == (3, 1)
    assert read_recipe(path).training["sizes"] == [6, 8]
    found = metrics(finished, "pretrain")
    assert found["epochs"] == 2
    assert found["best_epoch"] in (1, 2)
    assert found["surplus"]["mean"] > 0
    assert found["surplus"]["mean"] == pytest.approx(
        found["nats_per_spin"]["mean"] - found["exact_nats_per_spin"]["mean"], abs=1e-9
    )
    names = {"history.csv", "history.png", "metrics.json", "reading.png", "run.json", "headlines.json"}
    assert {item.name for item in record.iterdir()} == names
    assert len((record / "history.csv").read_text().splitlines()) == 3


def test_quarters_of_a_block_do_not_count_as_independent():
    levels = np.random.default_rng(0).normal(size=64)
    found = pretraining._mean(np.repeat(levels, BLOCK))
    assert found.mean == pytest.approx(levels.mean())
    assert found.error == pytest.approx(levels.std(ddof=1) / 8)
    # negative control: all at random within the blocks, so the error is that of so many more
    mixed = np.random.default_rng(1).permutation(np.repeat(levels, BLOCK))
    assert pretraining._mean(mixed).error < found.error / 4
    assert np.isfinite(pretraining._mean(np.arange(BLOCK + 3.0)).error)  # a last block that is not whole


def test_all_trials_are_in_the_scores_and_the_first_networks_are_kept(finished, monkeypatch):
    patched(monkeypatch, finished)
    folder = finished / "models" / "classify" / "vit"
    systems = ("periodic", "antiferromagnet")
    assert {item.name for item in folder.iterdir()} == {
        "scores.csv",
        *(f"equilibrium_{system}.safetensors" for system in systems),
    }
    scores = read_scores(folder / "scores.csv")
    main = set(product(["equilibrium"], systems, ["physics"], [ALL], (0, 1)))
    curve = set(product(["equilibrium"], ["periodic"], ("none", "physics"), (12, ALL), (0, 1)))
    keys = ["protocol", "system", "start", "images", "trial"]
    assert set(scores[keys].itertuples(index=False, name=None)) == main | curve
    for system in systems:
        path = finished / "data" / "classify" / f"classify_{system}_equilibrium.zarr"
        images = microstates.draw(path, 2, 3).tests[1]
        network = load_model(folder / f"equilibrium_{system}.safetensors")
        own = regions_of(network, images.spins, torch.device("cpu"))
        wanted = {"system": system, "tested_on": system, "start": "physics", "images": ALL, "trial": 0, "test": 1}
        (score,) = scores[(scores[list(wanted)] == pd.Series(wanted)).all(axis=1)].macro_f1
        assert score == pytest.approx(macro_f1(images.labels, own), abs=1e-14)


def test_the_record_has_all_scores(finished):
    found = metrics(finished, "classify")
    assert set(found) == {"equilibrium", "sizes", "curve", "parameters"}
    assert set(found["curve"]) == {"none", "physics"}
    assert set(found["curve"]["none"]) == {"images=12", f"images={ALL}"}
    main = found["equilibrium"]
    assert found["curve"]["physics"][f"images={ALL}"] == main["periodic"]["macro_f1"]
    mean = (main["periodic"]["macro_f1"]["mean"] + main["antiferromagnet"]["macro_f1"]["mean"]) / 2
    assert main["mean_error"]["mean"] == pytest.approx(1 - mean, abs=1e-9)
    assert set(main["transfer"]) == {"periodic", "antiferromagnet"}
    training = main["periodic"]["training"]
    assert (training["epochs"], training["best_epoch"] in (0, 1)) == (1, True)
    assert (training["best_validation_loss"] < training["last_validation_loss"]) == (training["best_epoch"] == 0)
    assert set(found["sizes"]) == {"larger"}
    folder = finished / "reports" / "classify" / "vit"
    names = {"confusions.png", "history.csv", "metrics.json", "run.json", "headlines.json"}
    assert {item.name for item in folder.iterdir()} == names
    info = json.loads((folder / "run.json").read_text())
    assert [item["path"] for item in info["inputs"]] == [
        "data/classify/classify_periodic_equilibrium.zarr",
        "data/classify/classify_antiferromagnet_equilibrium.zarr",
        "data/classify/larger.zarr",
        "models/pretrain/vit.safetensors",
    ]
    assert info["model"]["weights"] == "models/classify/vit/equilibrium_periodic.safetensors"

    assert {item.suffix for item in (finished / ".checkpoints").iterdir()} <= {".lock"}  # nothing is left


@pytest.mark.parametrize("changed", [True, False])
def test_a_stage_that_was_killed_keeps_the_trials_that_had_ended_of_the_same_data(project, monkeypatch, changed):
    write(project, "classify", "models", "vit", value=PARAMS["classify"]["models"]["vit"] | SCRATCH)
    ran, original = [], trials.tune

    def killed_at(limit):
        def tune(network, train, *arguments):
            if len(ran) == limit:
                raise KeyboardInterrupt
            ran.append(len(train))
            return original(network, train, *arguments)

        return tune

    with monkeypatch.context() as patch:
        patch.setattr(trials, "tune", killed_at(3))
        with pytest.raises(KeyboardInterrupt):
            classify(project, "vit")
    assert not (project / "models").exists()
    assert not (project / "reports" / "classify").exists()
    if changed:
        save_data(project, 0, "classify_periodic_equilibrium", provenance={"seed": 1})
    monkeypatch.setattr(trials, "tune", killed_at(99))
    classify(project, "vit")
    assert ran[3 * changed :] == [ALL] * 4 + [12] * 2  # none of them twice
    scores = read_scores(project / "models" / "classify" / "vit" / "scores.csv")
    assert len(scores.groupby(["system", "images", "trial"])) == 6


# --- the order of the trials -----------------------------------------------------------------------------


def tasks(folder, images, protocols, repeated=2, **changes):
    write(folder, "classify", "curve", value={"protocol": "e", "system": "periodic", "images": images})
    model = Model(**{"library": "transformers", "model": "vit"} | changes)
    return _tasks(model, read_params(folder).model_copy(update={"trials": repeated}), protocols)


def test_trials_come_once_and_the_longest_first(tmp_path):
    found = tasks(tmp_path, [40, 150], ["e", "f"])
    assert len(found) == len(set(found))
    images = [task.images for task in found]
    assert images == sorted(images, reverse=True)
    systems = ("periodic", "antiferromagnet")
    main = [Task(p, s, "physics", 600, t) for p, s, t in product(("e", "f"), systems, (0, 1))]
    assert found[:8] == main
    rest = product(["e"], ["periodic"], ("none", "physics"), (40, 150, 600), (0, 1))
    assert set(found[8:]) == {Task(*values) for values in rest} - set(main)
    # what is given twice is one
    assert tasks(tmp_path, [150, 40, 40], ["e", "f"], compare=["none", "none", "physics"]) == found
    # without comparisons there are the main trials alone
    alone = tasks(tmp_path, [40], ["e"], 1, compare=[], weights="none")
    assert alone == [Task("e", system, "none", 600, 0) for system in systems]


# --- parameters ------------------------------------------------------------------------------------------


def test_keys_of_a_training_may_stand_in_a_line(tmp_path):
    line = {"library": "timm", "model": "resnet18", "learning_rate": 0.5, "pretrain": {"epochs": 7}}
    write(tmp_path, "classify", "models", "vit", value=line)
    model, training = read_model(tmp_path, "vit")
    assert (model.library, model.model, model.weights, model.scale) == ("timm", "resnet18", "physics", 1)
    assert (training.learning_rate, training.epochs) == (0.5, 2)
    _, _, training, _ = pretraining.read(tmp_path, "vit")
    assert (training.epochs, training.learning_rate) == (7, 0.01)
    with pytest.raises(KadanoffError, match=r"classify.models has no entry 'vti'; it has: vit"):
        read_model(tmp_path, "vti")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optins": {}}, r"classify.models.vit.optins is not a known key; did you mean 'options'\?"),
        ({"library": "keras"}, r"classify.models.vit.library is 'keras': .*'transformers' or 'timm'"),
        ({"scale": 17}, "classify.models.vit.scale is 17"),
        ({"epochs": -1}, "classify.models.vit.epochs is -1"),
        ({"scratch": {"epoch": 2}}, r"classify.models.vit.scratch.epoch is not a known key; did you mean 'epochs'"),
        ({"protocols": "equilibrium"}, "classify.models.vit.protocols is 'equilibrium'"),
    ],
)
def test_a_line_that_breaks_a_rule_is_a_sentence(tmp_path, changes, words):
    write(tmp_path, "classify", "models", "vit", value=PARAMS["classify"]["models"]["vit"] | changes)
    with pytest.raises(KadanoffError, match=words):
        read_model(tmp_path, "vit")


@pytest.mark.parametrize("images", [[3], [40, 3], [600], [40, 601]])
def test_a_learning_curve_outside_of_its_bounds_is_a_sentence(tmp_path, images):
    write(tmp_path, "classify", "curve", "images", value=[4, 599])
    assert read_params(tmp_path).curve.images == [4, 599]
    write(tmp_path, "classify", "curve", "images", value=images)
    with pytest.raises(KadanoffError, match=r"classify.curve.images is .*; each is at least 4 and below 600, the last"):
        read_params(tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("trials",), 0, "classify.trials is 0"),
        (("tests",), 10**9, "classify.tests is 1000000000"),
        (("seed",), 2**64, "classify.seed is 18446744073709551616"),
        (("protocols",), [], "classify.protocols is"),
        (("curve", "image"), [40], "classify.curve.image is not a known key; did you mean 'images'"),
        (("curve", "system"), "skewed", "classify.curve.system and classify.sizes have 'skewed'; take those of .*"),
        (("trails",), 1, "classify.trails is not a known key; did you mean 'trials'"),
        (("systems", "x"), {"boundary": "free"}, "classify.systems.x.boundary is 'free'"),
        (("systems", "x"), {"size": 8}, "classify.systems.x.size is not a known key; Known keys: boundary, coupling"),
    ],
)
def test_a_section_that_breaks_a_rule_is_a_sentence(tmp_path, path, value, words):
    write(tmp_path, "classify", *path, value=value)
    with pytest.raises(KadanoffError, match=words):
        read_params(tmp_path)


def test_an_unknown_model_names_the_nearest(project):
    for library, name, near in (("transformers", "vitt", "vit"), ("timm", "resnet-18", "resnet18")):
        write(project, "classify", "models", "vit", value={"library": library, "model": name})
        with pytest.raises(KadanoffError, match=rf"{library} has no .*'{name}'; the nearest are {near}"):
            pretrain(project, "vit")
    assert not (project / "models").exists()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("pretrain", "lattice"), 4, "pretrain.lattice is not a known key; did you mean 'lattices'"),
        (("pretrain", "held"), 1, "pretrain.held is 1"),
        (("pretrain", "sizes"), [8, 10**6], "pretrain.sizes.1 is 1000000"),
        (("classify", "models", "vit", "pretrain"), {"epochs": 0}, r"classify.models.vit.pretrain.epochs is 0"),
    ],
)
def test_pre_training_that_breaks_a_rule_is_a_sentence(tmp_path, path, value, words):
    write(tmp_path, *path, value=value)
    with pytest.raises(KadanoffError, match=words):
        pretraining.read(tmp_path, "vit")


def test_pre_trained_weights_that_are_not_there_are_asked_for(project):
    with pytest.raises(KadanoffError, match=r"there is no .*models/pretrain/vit.safetensors. Make it with `dvc repro"):
        classify(project, "vit")
    assert not (project / "models").exists()
    assert not (project / "reports" / "classify").exists()


@pytest.mark.parametrize(("gpu", "expected"), [(True, [3, 2]), (False, [1] * 5)])
def test_trials_share_a_gpu_and_else_have_a_process_each(gpu, expected, monkeypatch):
    tasks, shares = [Task("equilibrium", "periodic", "physics", ALL, trial) for trial in range(5)], []

    def in_turn(what, function, given, folder):
        shares.extend(len(share) for (share,) in given)
        return [function(*one) for one in given]

    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(module, "in_processes", in_turn)
    monkeypatch.setattr(module, "run", lambda setup, task: task.trial)
    found = module._run_all(SimpleNamespace(folder=None), tasks, at_once=2)
    assert list(found.items()) == [(task, task.trial) for task in tasks]
    assert shares == expected
