"""Fine-tuning of tiny models to four classes made by hand, which play the regions."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kadanoff.errors import KadanoffError
from kadanoff.learning.fit import fit
from kadanoff.learning.randomness import seeded
from kadanoff.learning.training import Settings
from kadanoff.networks.registry import build
from kadanoff.phases import classifiers
from kadanoff.phases.classifiers import label_loss, regions_of, tune
from kadanoff.phases.microstates import Images
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.observables import energy

VIT = {"patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
SETTINGS = Settings(seed=1, epochs=12, batch_size=10, learning_rate=0.01, schedule="linear", optimizer="adamw")
CPU = torch.device("cpu")


def images(count, seed, size=12):
    """Uniform, staggered, striped and random lattices; one spin in twenty of the first three is turned."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    y, x = np.indices((size, size))
    patterns = np.stack([np.ones((size, size), int), 1 - 2 * ((y + x) % 2), 1 - 2 * (y // 2 % 2), np.ones_like(y)])
    turned = random.random((count, size, size)) < np.where(labels == 3, 0.5, 0.05)[:, None, None]
    spins = (patterns[labels] * np.where(turned, -1, 1)).astype(np.int8)
    return Images(spins, labels.astype(np.int64), np.ones(count), energy(spins, Lattice.of(size)), np.arange(count))


TRAIN, VALIDATION, TEST = images(80, 1), images(40, 2), images(200, 3)


def network(seed=0, library="transformers"):
    with seeded(seed):
        if library == "timm":
            return build("timm", model="test_resnet", outputs=4, scale=1, options={})
        return build("transformers", model="vit", outputs=4, size=12, scale=1, options=VIT)


def tuned(found, folder, settings=SETTINGS, train=TRAIN):
    folder.mkdir(exist_ok=True)
    return tune(found, train, VALIDATION, settings, "cpu", folder)


def weights(found):
    return {name: tensor.clone() for name, tensor in found.state_dict().items()}


def same(found, others):
    return all(torch.equal(tensor, others[name]) for name, tensor in found.items())


def accuracy(found):
    return np.mean(regions_of(found, TEST.spins, CPU) == TEST.labels)


# --- what is seen ----------------------------------------------------------------------------------------


def positions(lattice):
    """The sixteen of a lattice, as bytes: four turns, mirrored or not, all spins reversed or not."""
    turns = [np.rot90(part, turn) for part in (lattice, lattice[:, ::-1]) for turn in range(4)]
    return [(sign * turn).tobytes() for turn in turns for sign in (1, -1)]


def test_every_image_is_shown_in_one_of_sixteen_positions():
    spins = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), (1600, 6, 6))
    given = Images(spins, np.arange(1600) % 4, np.ones(1600), np.zeros(1600), np.arange(1600))
    turned = given.augmented(2)
    assert (turned.spins.dtype, turned.spins.shape) == (np.int8, (1600, 6, 6))
    assert all(getattr(turned, name) is getattr(given, name) for name in ("labels", "temperatures", "chains"))
    places = [positions(old).index(new.tobytes()) for old, new in zip(spins, turned.spins, strict=True)]
    found = np.bincount(places, minlength=16)
    assert found.sum() == 1600
    assert np.abs(found - 100).max() < 50  # five standard errors
    # negative control: a shuffled lattice is in none of them
    assert np.random.default_rng(3).permuted(spins[0].ravel()).tobytes() not in positions(spins[0])


def test_every_epoch_shows_other_positions_and_resumed_ones_the_same(tmp_path, monkeypatch):
    sources = []

    def noted(network, source, *arguments, **options):
        sources.append(source)
        return fit(network, source, *arguments, **options)

    monkeypatch.setattr(classifiers, "fit", noted)
    for number, seed in enumerate((1, 1, 2)):
        tuned(network(), tmp_path / str(number), replace(SETTINGS, epochs=1, seed=seed))
    first, again, other = sources
    assert torch.equal(first(3)[0], again(3)[0])
    assert not torch.equal(first(3)[0], first(4)[0])
    assert not torch.equal(first(3)[0], other(3)[0])


# --- what is learned -------------------------------------------------------------------------------------


LONG = replace(SETTINGS, epochs=20)


def test_classes_are_learned(tmp_path):
    found = network()
    result = tuned(found, tmp_path, LONG)
    assert accuracy(found) > 0.8
    assert result.best.validation_loss < 0.6
    predicted = regions_of(found, TEST.spins, CPU)
    assert (predicted.dtype, predicted.shape) == (np.int8, (200,))


def test_labels_that_tell_nothing_teach_nothing(tmp_path):
    # negative control: a quarter of each class has each label
    found = network()
    result = tuned(found, tmp_path, LONG, replace(TRAIN, labels=np.arange(80) // 4 % 4))
    assert result.best.validation_loss > np.log(4) - 0.2
    assert accuracy(found) < 0.8


def test_the_loss_is_the_mean_of_minus_log_p():
    logits = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 2, 3, 3, 1, 0])
    log_p = logits.double() - logits.double().exp().sum(1, keepdim=True).log()
    expected = -log_p[torch.arange(7), labels].mean().item()
    assert label_loss(logits, labels.float()).item() == pytest.approx(expected, rel=1e-6)


# --- a start that is better than every epoch -------------------------------------------------------------


@pytest.mark.parametrize("library", ["transformers", "timm"])
def test_where_no_epoch_is_better_the_network_stays_as_it_was(library, tmp_path):
    found = network(library=library)
    tuned(found, tmp_path / "good", replace(SETTINGS, epochs=6))
    before = weights(found)
    result = tuned(found, tmp_path / "bad", replace(SETTINGS, epochs=1, learning_rate=1.0))
    assert same(weights(found), before)
    assert result.metrics()["best_epoch"] == 0
    assert result.metrics()["best_validation_loss"] <= min(epoch.validation_loss for epoch in result.history)
    # negative control: training itself did change it
    other = network(library=library)
    other.load_state_dict(before)
    fit(other, classifiers._pair(TRAIN), classifiers._pair(VALIDATION),
        replace(SETTINGS, epochs=1, learning_rate=1.0), loss=label_loss, device="cpu")  # fmt: skip
    assert not same(weights(other), before)


def test_where_an_epoch_is_better_its_weights_are_kept(tmp_path):
    found = network()
    before = weights(found)
    result = tuned(found, tmp_path, replace(SETTINGS, epochs=3, seed=4))
    assert not same(weights(found), before)
    logits = found(torch.from_numpy(VALIDATION.spins).float().unsqueeze(1)).detach()
    loss = label_loss(logits, torch.from_numpy(VALIDATION.labels)).item()
    assert loss == pytest.approx(result.best.validation_loss, rel=1e-5)
    assert result.best in result.history


# --- mistakes --------------------------------------------------------------------------------------------


def test_a_region_without_images_is_named(tmp_path):
    lacking = TRAIN[TRAIN.labels != 2]
    with pytest.raises(KadanoffError, match="the training set of 60 images has none of the critical region"):
        tune(network(), lacking, VALIDATION, SETTINGS, "cpu", tmp_path)
    with pytest.raises(KadanoffError, match="validation set of 60 images has none of the critical region"):
        tune(network(), TRAIN, lacking, SETTINGS, "cpu", tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_size_that_the_model_does_not_take_is_named(tmp_path):
    with seeded(0):
        found = build("transformers", model="vit", outputs=4, size=12, scale=1, options=VIT | {"patch_size": 20})
    with pytest.raises(KadanoffError, match="the lattice is 12 x 12, which vit does not take"):
        tuned(found, tmp_path)
