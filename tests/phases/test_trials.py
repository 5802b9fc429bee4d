"""Trials on small datasets made by hand, with a small Table 1."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors import safe_open

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, load_model, read_recipe, save_model
from kadanoff.learning.fit import fit
from kadanoff.learning.parameters import TunedParams
from kadanoff.learning.randomness import seeded
from kadanoff.learning.training import Training
from kadanoff.networks.registry import build
from kadanoff.phases import classifiers, microstates, trials
from kadanoff.phases.classifiers import regions_of
from kadanoff.phases.models import Model
from kadanoff.phases.trials import NETWORK, RESULT, Setup, Task, run

TEMPERATURES = np.array([0.5, 1.0, 1.5, 2.0, 2.2, 2.3, 2.5, 3.5])  # two of each region
TRAIN, VALIDATION, TEST = (8, 4, 4, 8), (4, 2, 2, 4), (6, 2, 3, 5)
ALL = sum(TRAIN)
OPTIONS = {"patch_size": 4, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 16}
MODEL = Model(library="transformers", model="vit", options=OPTIONS, scratch={"learning_rate": 0.02})
TRAINING = TunedParams(
    seed=0, epochs=3, batch_size=8, learning_rate=0.01, weight_decay=0.0, plateau_patience=1, plateau_factor=0.5,
    early_stopping_patience=9, precision="float32",
)  # fmt: skip
FULL = Task("equilibrium", "periodic", "none", ALL, 0)


class Killed(Exception):
    pass


def ensemble(seed, size, samples):
    """Spins that are up the more often, the colder it is."""
    random = np.random.default_rng(seed)
    up = 1 / (1 + np.exp(2 - 8 / TEMPERATURES))
    spins = np.where(random.random((8, samples, size, size)) < up[:, None, None, None], 1, -1).astype(np.int8)
    return Ensemble(spins, TEMPERATURES, *random.standard_normal((2, 8, samples)), np.ones(8), {})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trials")
    for seed, name in enumerate(("periodic_equilibrium", "antiperiodic_equilibrium", "periodic_quench")):
        ensemble(seed, 8, 16).save(folder / "data" / "classify" / f"classify_{name}.zarr")
    ensemble(8, 12, 16).save(folder / "data" / "classify" / "larger.zarr")
    ensemble(9, 8, 16).save(folder / "data" / "classify" / "classify_antiperiodic_quench.zarr")
    with seeded(5):
        network = build("transformers", **MODEL.arguments(5, 8))
    save_model(folder / "physics.safetensors", network, Recipe("transformers", MODEL.arguments(5, 8)))
    return folder


@pytest.fixture(autouse=True)
def small_table(monkeypatch):
    for name, counts in (("TRAIN", TRAIN), ("VALIDATION", VALIDATION), ("TEST", TEST)):
        monkeypatch.setattr(microstates, name, counts)
    monkeypatch.setattr(trials, "LABELLED", ALL)


@pytest.fixture
def setup(root, tmp_path):
    return Setup(
        root=root,
        folder=tmp_path,
        model=MODEL,
        training=TRAINING,
        physics=root / "physics.safetensors",
        systems=("periodic", "antiperiodic"),
        sizes={"periodic": ("larger",)},
        tests=2,
        seed=3,
    )


def elsewhere(setup, name="other"):
    (setup.folder / name).mkdir()
    return replace(setup, folder=setup.folder / name)


def alike(first, second):
    return (
        np.array_equal(first.tests, second.tests)
        and first.others.keys() == second.others.keys()
        and all(np.array_equal(values, second.others[name]) for name, values in first.others.items())
        and (first.fit.history, first.fit.metrics()) == (second.fit.history, second.fit.metrics())
        and first.parameters == second.parameters
    )


def network_bytes(setup, task):
    return (setup.folder / task.name / NETWORK).read_bytes()


def files(setup, task):
    return {path.name for path in (setup.folder / task.name).iterdir()}


def fail(*_, **__):
    pytest.fail("this ran again")


# --- what a trial gives ----------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["none", "physics"])
def test_a_trial_looks_at_its_tests_and_elsewhere(setup, weights):
    task = FULL._replace(weights=weights)
    found = run(setup, task)
    assert (found.tests.dtype, found.tests.shape) == (np.int8, (2, sum(TEST)))
    assert {name: said.shape for name, said in found.others.items()} == {
        "system/antiperiodic": (sum(TEST),),
        "size/larger": (sum(TEST),),
    }
    assert set(np.unique(found.tests)) <= {0, 1, 2, 3}
    assert [epoch.epoch for epoch in found.fit.history] == [1, 2, 3]
    network = load_model(setup.folder / task.name / NETWORK)
    assert found.parameters == sum(item.numel() for item in network.parameters())
    states = setup.microstates("periodic", "equilibrium")
    for said, images in zip(found.tests, states.tests, strict=True):
        assert np.array_equal(said, regions_of(network, images.spins, torch.device("cpu")))
    other = setup.microstates("antiperiodic", "equilibrium").tests[0]
    assert np.array_equal(found.others["system/antiperiodic"], regions_of(network, other.spins, torch.device("cpu")))
    larger = setup.size_test("larger").spins
    assert larger.shape[1:] == (12, 12)
    assert np.array_equal(found.others["size/larger"], regions_of(network, larger, torch.device("cpu")))


def test_other_sizes_are_of_equilibrium(setup):
    found = run(setup, FULL._replace(protocol="quench"))
    assert set(found.others) == {"system/antiperiodic"}


def test_only_the_first_trial_with_all_images_keeps_its_network(setup):
    for task, kept in (
        (FULL, True),
        (FULL._replace(trial=1), False),
        (FULL._replace(images=12), False),
    ):
        found = run(setup, task)
        assert files(setup, task) == ({RESULT, NETWORK} if kept else {RESULT})
        assert bool(found.others) == kept
    assert len(list(setup.folder.iterdir())) == 3


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


def test_the_same_task_gives_the_same_bytes_in_another_folder(setup):
    for weights in ("none", "physics"):
        task = FULL._replace(weights=weights)
        other = replace(setup, folder=setup.folder / weights)
        other.folder.mkdir()
        assert alike(run(setup, task), run(other, task))
        assert network_bytes(setup, task) == network_bytes(other, task)
    # negative control: another seed of the training
    seeded_otherwise = replace(elsewhere(setup), training=TRAINING.model_copy(update={"seed": 1}))
    run(seeded_otherwise, FULL)
    assert network_bytes(setup, FULL) != network_bytes(seeded_otherwise, FULL)


def test_pre_trained_networks_start_from_a_probe_and_keep_their_statistics(setup, monkeypatch):
    probed, tuned = [], []
    probe, tune = trials.probe, trials.tune
    monkeypatch.setattr(trials, "probe", lambda *given: (probed.append(given[0]), probe(*given)))
    monkeypatch.setattr(trials, "tune", lambda *given: (tuned.append(given[0].keep_statistics), tune(*given))[1])
    run(setup, FULL)
    assert (len(probed), tuned) == (0, [False])
    run(setup, FULL._replace(weights="physics"))
    assert (len(probed), tuned) == (1, [False, True])


def test_the_recipe_of_scratch_is_for_drawn_weights_alone(setup):
    drawn, given = run(setup, FULL), run(setup, FULL._replace(weights="physics"))
    assert [epoch.learning_rate for epoch in drawn.fit.history] == [0.02] * 3
    assert [epoch.learning_rate for epoch in given.fit.history] == [0.01] * 3
    assert TRAINING.learning_rate == 0.01


@pytest.mark.parametrize(
    ("scratch", "words"),
    [
        ({"epoch": 2}, r"scratch.*epoch is not a known key; did you mean 'epochs'\?"),
        ({"epochs": 0}, r"scratch.*epochs is 0"),
    ],
)
def test_a_recipe_of_scratch_that_breaks_a_rule_is_a_sentence(setup, scratch, words):
    wrong = replace(setup, model=MODEL.model_copy(update={"scratch": scratch}))
    with pytest.raises(KadanoffError, match=words):
        run(wrong, FULL)


# --- what is left of an earlier run ----------------------------------------------------------------------


@pytest.mark.parametrize("task", [FULL, FULL._replace(trial=1), FULL._replace(images=12, weights="physics")])
def test_a_finished_trial_is_read_and_not_run_again(setup, task, monkeypatch):
    expected = run(setup, task)
    before = {path.name: path.read_bytes() for path in (setup.folder / task.name).iterdir()}
    monkeypatch.setattr(trials, "tune", fail)
    monkeypatch.setattr(trials, "initial", fail)
    assert alike(run(setup, task), expected)
    assert {path.name: path.read_bytes() for path in (setup.folder / task.name).iterdir()} == before


@pytest.mark.parametrize("weights", ["none", "physics"])
def test_a_trial_killed_in_the_middle_of_training_goes_on(setup, weights, monkeypatch):
    task, other = FULL._replace(weights=weights), elsewhere(setup)
    expected = run(setup, task)

    def kill(epoch):
        if epoch.epoch > 1:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(classifiers, "fit", partial(fit, on_epoch=kill, checkpoint_seconds=0))
        with pytest.raises(Killed):
            run(other, task)
    assert "training.pt" in files(other, task)
    ran, advance = [], Training.advance

    def noted(training, *pairs):
        ran.append(len(training.history) + 1)
        return advance(training, *pairs)

    monkeypatch.setattr(Training, "advance", noted)
    assert alike(run(other, task), expected)
    assert ran == [2, 3]
    assert files(other, task) == {RESULT, NETWORK}
    assert network_bytes(setup, task) == network_bytes(other, task)


@pytest.mark.parametrize("place", ["save_model", "regions_of", "_elsewhere", "_write"])
def test_a_trial_killed_after_training_does_not_train_again(setup, place, monkeypatch):
    other = elsewhere(setup)
    expected = run(setup, FULL)

    def kill(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(trials, place, kill)
        with pytest.raises(Killed):
            run(other, FULL)
    monkeypatch.setattr(Training, "advance", fail)
    assert alike(run(other, FULL), expected)
    assert network_bytes(setup, FULL) == network_bytes(other, FULL)


def test_a_trial_killed_while_it_tidies_up_is_finished(setup, monkeypatch):
    def kill(*_, **__):
        raise Killed

    task = FULL._replace(trial=1)
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.iterdir", kill)
        with pytest.raises(Killed):
            run(setup, task)
    monkeypatch.setattr(trials, "tune", fail)
    assert run(setup, task).tests.shape == (2, sum(TEST))


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: b"nothing", lambda data: data[:-5], lambda data: bytes(len(data))])  # fmt: skip  # noqa: E501
def test_a_damaged_result_is_made_again(setup, damage):
    expected = run(setup, FULL)
    path = setup.folder / FULL.name / RESULT
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert alike(run(setup, FULL), expected)
    assert path.read_bytes() == whole


def test_the_number_of_threads_outside_makes_no_difference(setup):
    before, task = torch.get_num_threads(), FULL._replace(weights="physics")
    try:
        torch.set_num_threads(2)
        expected = run(setup, task)
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        other = elsewhere(setup)
        assert alike(run(other, task), expected)
    finally:
        torch.set_num_threads(before)
    assert network_bytes(setup, task) == network_bytes(other, task)


def test_without_epochs_the_probe_is_the_network(setup):
    probed = replace(setup, training=TRAINING.model_copy(update={"epochs": 0}))
    found = run(probed, FULL._replace(weights="physics"))
    assert found.fit.history == ()
    assert found.fit.metrics()["best_epoch"] == 0
    assert found.fit.metrics()["last_validation_loss"] == found.fit.best.validation_loss > 0


def test_a_network_knows_what_it_was_trained_on(setup):
    run(setup, FULL)
    made = read_recipe(setup.folder / FULL.name / NETWORK).training
    assert made.items() >= FULL._asdict().items()
    assert made["dataset"] == "classify_periodic_equilibrium.zarr"


def test_a_size_that_the_model_does_not_take_is_named_before_it_is_trained(setup, monkeypatch):
    monkeypatch.setattr(trials, "tune", fail)
    options = {"img_size": 8, "patch_size": 4, "depth": 1}
    bound = Model(library="timm", model="vit_tiny_patch16_224", options=options)
    with pytest.raises(KadanoffError, match="the lattice is 12 x 12, which vit_tiny_patch16_224 does not take"):
        run(replace(setup, model=bound), FULL)


def test_physics_that_is_not_there_is_asked_for(setup):
    lacking = replace(setup, physics=setup.folder / "vit.safetensors")
    with pytest.raises(KadanoffError, match=r"there is no .*vit.safetensors. Make it with `dvc repro pretrain`"):
        run(lacking, FULL._replace(weights="physics"))


# --- names of trials ---------------------------------------------------------------------------


WEIGHTS = ["none", "physics", "google/vit-base-patch16-224", "models/my/own weights", "../elsewhere"]


def test_tasks_have_folders_of_their_own():
    tasks = [
        FULL._replace(protocol=protocol, system=system, weights=weights, images=images, trial=trial)
        for protocol in ("equilibrium", "metropolis500")
        for system in ("periodic", "skewed")
        for weights in WEIGHTS
        for images in (4, 24)
        for trial in (0, 1)
    ]
    names = {task.name for task in tasks}
    assert len(names) == len(tasks)
    assert not any("/" in name or ".." in name or " " in name for name in names)


def test_only_networks_of_first_trials_with_all_images_are_kept():
    assert FULL.kept
    assert not FULL._replace(trial=1).kept
    assert not FULL._replace(images=12).kept


def test_a_result_holds_what_its_trial_predicts(setup):
    found = run(setup, FULL)
    with safe_open(setup.folder / FULL.name / RESULT, "np") as file:
        assert set(file.keys()) == {"tests", "system/antiperiodic", "size/larger"}
        assert np.array_equal(file.get_tensor("tests"), found.tests)
        assert json.loads(file.metadata()["trial"])["parameters"] == found.parameters
