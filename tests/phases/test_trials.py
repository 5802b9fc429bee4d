"""Trials on small datasets made by hand, with a small Table 1."""

from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_classification import ALL, OPTIONS, TRAINING, save_data, use_small_table

from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, load_model, read_recipe, save_model
from kadanoff.learning.fit import fit
from kadanoff.learning.parameters import TunedParams
from kadanoff.learning.randomness import seeded
from kadanoff.learning.training import Training
from kadanoff.networks.registry import build
from kadanoff.phases import classifiers, trials
from kadanoff.phases.classifiers import regions_of
from kadanoff.phases.microstates import Datasets
from kadanoff.phases.models import Model
from kadanoff.phases.scores import confusion, macro_f1
from kadanoff.phases.trials import NETWORK, RESULT, Setup, Task, run

MODEL = Model(library="transformers", model="vit", options=OPTIONS, scratch={"learning_rate": 0.02})
TUNING = TunedParams(**TRAINING | {"epochs": 3})
CPU = torch.device("cpu")
FULL = Task("equilibrium", "periodic", "none", ALL, 0)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trials")
    for seed, (system, protocol) in enumerate(product(("periodic", "antiperiodic"), ("equilibrium", "quench"))):
        save_data(folder, seed, f"classify_{system}_{protocol}")
    save_data(folder, 8, "larger", 12)
    with seeded(5):
        network = build("transformers", **MODEL.arguments(5, 8))
    save_model(folder / "physics.safetensors", network, Recipe("transformers", MODEL.arguments(5, 8)))
    return folder


@pytest.fixture(autouse=True)
def small_table(monkeypatch):
    use_small_table(monkeypatch, trials)


@pytest.fixture
def setup(root, tmp_path):
    return Setup(
        data=Datasets(root / "data" / "classify", tests=2, seed=3),
        folder=tmp_path,
        model=MODEL,
        training=TUNING,
        physics=root / "physics.safetensors",
        systems=("periodic", "antiperiodic"),
        sizes={"periodic": ["larger"]},
    )


def elsewhere(setup):
    (setup.folder / "other").mkdir()
    return replace(setup, folder=setup.folder / "other")


def network_bytes(setup, task):
    return (setup.folder / task.name / NETWORK).read_bytes()


def files(setup, task):
    return {path.name for path in (setup.folder / task.name).iterdir()}


def fail(*_, **__):
    pytest.fail("this ran again")


def kill(*_, **__):
    raise Killed


# --- what a trial gives ----------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["none", "physics"])
def test_a_trial_scores_its_tests_and_others(setup, weights):
    task = FULL._replace(weights=weights)
    found = run(setup, task)
    assert [epoch.epoch for epoch in found.fit.history] == [1, 2, 3]
    network = load_model(setup.folder / task.name / NETWORK)
    assert found.parameters == sum(item.numel() for item in network.parameters())
    own = setup.data.sets("periodic", "equilibrium").tests
    other = setup.data.sets("antiperiodic", "equilibrium").tests[0]
    larger = setup.data.test("larger")
    assert larger.spins.shape[1:] == (12, 12)
    tested = [("periodic", 0, own[0]), ("periodic", 1, own[1]), ("antiperiodic", 0, other), ("larger", 0, larger)]
    assert [(row["tested_on"], row["test"]) for row in found.scores] == [(name, number) for name, number, _ in tested]
    for row, (_, _, images) in zip(found.scores, tested, strict=True):
        assert row["macro_f1"] == macro_f1(images.labels, regions_of(network, images.spins, CPU))
    expected = sum(confusion(images.labels, regions_of(network, images.spins, CPU)) for images in own)
    assert np.array_equal(found.confusion, expected)
    made = read_recipe(setup.folder / task.name / NETWORK).training
    assert made.items() >= task._asdict().items()
    assert made["dataset"] == "classify_periodic_equilibrium.zarr"


def test_only_the_first_trial_with_all_images_keeps_its_network(setup):
    quenched = run(setup, FULL._replace(protocol="quench"))
    assert {row["tested_on"] for row in quenched.scores} == {
        "periodic",
        "antiperiodic",
    }  # other sizes are equilibrium's
    for task, kept in ((FULL, True), (FULL._replace(trial=1), False), (FULL._replace(images=12), False)):
        found = run(setup, task)
        assert files(setup, task) == ({RESULT, NETWORK} if kept else {RESULT})
        assert ({row["tested_on"] for row in found.scores} != {"periodic"}) == kept


def test_trials_differ_in_their_draws_and_share_their_sets(setup, monkeypatch):
    seen = []

    def noted(network, train, validation, *arguments):
        seen.append((train.chains, validation.chains, {k: v.clone() for k, v in network.state_dict().items()}))
        return classifiers.tune(network, train, validation, *arguments)

    monkeypatch.setattr(trials, "tune", noted)
    first, second, fewer = (run(setup, task) for task in (FULL, FULL._replace(trial=1), FULL._replace(images=12)))
    assert np.array_equal(seen[0][0], seen[1][0])
    assert all(np.array_equal(seen[0][1], one[1]) for one in seen)
    assert np.array_equal(seen[2][0], seen[0][0][:12])
    assert not all(torch.equal(tensor, seen[1][2][name]) for name, tensor in seen[0][2].items())
    assert first.fit.history != second.fit.history != fewer.fit.history


def test_the_same_task_gives_the_same_bytes_in_another_folder_and_with_other_threads(setup):
    other, before = elsewhere(setup), torch.get_num_threads()
    for weights in ("none", "physics"):
        task = FULL._replace(weights=weights)
        try:
            torch.set_num_threads(2)
            expected = run(setup, task)
            torch.set_num_threads(1)
            assert run(other, task) == expected
        finally:
            torch.set_num_threads(before)
        assert network_bytes(setup, task) == network_bytes(other, task)
    # negative control: another seed of the training
    otherwise = replace(other, folder=other.folder / "seed", training=TUNING.model_copy(update={"seed": 1}))
    otherwise.folder.mkdir()
    run(otherwise, FULL)
    assert network_bytes(setup, FULL) != network_bytes(otherwise, FULL)


def test_pre_trained_networks_start_from_a_probe_and_keep_their_statistics_and_have_no_recipe_of_scratch(
    setup, monkeypatch
):
    probed, tuned = [], []
    probe, tune = trials.probe, trials.tune
    monkeypatch.setattr(trials, "probe", lambda *given: (probed.append(given[0]), probe(*given)))
    monkeypatch.setattr(trials, "tune", lambda *given: (tuned.append(given[0].keep_statistics), tune(*given))[1])
    drawn = run(setup, FULL)
    assert (len(probed), tuned) == (0, [False])
    given = run(setup, FULL._replace(weights="physics"))
    assert (len(probed), tuned) == (1, [False, True])
    assert [epoch.learning_rate for epoch in drawn.fit.history] == [0.02] * 3
    assert [epoch.learning_rate for epoch in given.fit.history] == [0.01] * 3


def test_without_epochs_the_probe_is_the_network(setup):
    probed = replace(setup, training=TUNING.model_copy(update={"epochs": 0}))
    found = run(probed, FULL._replace(weights="physics"))
    assert found.fit.history == ()
    assert found.fit.metrics()["last_validation_loss"] == found.fit.best.validation_loss > 0


@pytest.mark.parametrize(
    ("model", "head"), [(MODEL, "classifier"), (Model(library="timm", model="resnet18"), "fc")], ids=["vit", "resnet18"]
)
def test_a_trial_starts_from_the_weights_of_a_folder(setup, model, head, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    with seeded(7):
        body = build(model.library, **model.arguments(10, 8)).body
    if model is MODEL:
        body.save_pretrained(folder)
    else:
        save_file(body.state_dict(), folder / "model.safetensors")
    task = FULL._replace(weights=str(folder))
    probed = replace(setup, model=model, training=TUNING.model_copy(update={"epochs": 0}))
    assert len(run(probed, task).scores) == 4
    found, saved = load_model(setup.folder / task.name / NETWORK).body.state_dict(), body.state_dict()
    assert {name.split(".")[0] for name in saved if not torch.equal(found[name], saved[name])} == {head}


# --- what is left of an earlier run ----------------------------------------------------------------------


def test_a_finished_trial_is_read_and_not_run_again_and_a_damaged_one_is_made_again(setup, monkeypatch):
    expected = run(setup, FULL)
    path = setup.folder / FULL.name / RESULT
    whole = path.read_bytes()
    for damaged in (b"", whole[:-5], bytes(len(whole))):
        path.write_bytes(damaged)
        assert run(setup, FULL) == expected
        assert path.read_bytes() == whole
    monkeypatch.setattr(trials, "tune", fail)
    assert run(setup, FULL) == expected


def test_a_trial_killed_in_the_middle_of_training_goes_on(setup, monkeypatch):
    task, other = FULL._replace(weights="physics"), elsewhere(setup)
    expected = run(setup, task)

    def kill_late(epoch):
        if epoch.epoch > 1:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(classifiers, "fit", partial(fit, on_epoch=kill_late, checkpoint_seconds=0))
        with pytest.raises(Killed):
            run(other, task)
    assert "training.pt" in files(other, task)
    ran, advance = [], Training.advance

    def noted(training, *pairs):
        ran.append(len(training.history) + 1)
        return advance(training, *pairs)

    monkeypatch.setattr(Training, "advance", noted)
    assert run(other, task) == expected
    assert ran == [2, 3]
    assert files(other, task) == {RESULT, NETWORK}
    assert network_bytes(setup, task) == network_bytes(other, task)


@pytest.mark.parametrize("place", ["save_model", "regions_of", "write_atomic"])
def test_a_trial_killed_after_training_does_not_train_again(setup, place, monkeypatch):
    other = elsewhere(setup)
    expected = run(setup, FULL)
    with monkeypatch.context() as patch:
        patch.setattr(trials, place, kill)
        with pytest.raises(Killed):
            run(other, FULL)
    monkeypatch.setattr(Training, "advance", fail)
    assert run(other, FULL) == expected
    assert network_bytes(setup, FULL) == network_bytes(other, FULL)


# --- mistakes, and names ---------------------------------------------------------------------------------


def test_a_size_that_the_model_does_not_take_is_named_before_it_is_trained(setup, monkeypatch):
    monkeypatch.setattr(trials, "tune", fail)
    options = {"img_size": 8, "patch_size": 4, "depth": 1}
    bound = Model(library="timm", model="vit_tiny_patch16_224", options=options)
    with pytest.raises(KadanoffError, match="the lattice is 12 x 12, which vit_tiny_patch16_224 does not take"):
        run(replace(setup, model=bound), FULL)


def test_tasks_have_folders_of_their_own():
    weights = ["none", "physics", "google/vit-base-patch16-224", "models/my/own weights", "../elsewhere"]
    tasks = [Task(*values) for values in product(("e", "m"), ("periodic", "skewed"), weights, (4, 24), (0, 1))]
    names = {task.name for task in tasks}
    assert len(names) == len(tasks)
    assert not any("/" in name or ".." in name or " " in name for name in names)
