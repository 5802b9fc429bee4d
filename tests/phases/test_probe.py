"""The probe, on tiny networks and on features made by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from kadanoff.learning.predict import predict
from kadanoff.learning.randomness import seeded
from kadanoff.networks.registry import build
from kadanoff.phases.microstates import Images
from kadanoff.phases.probe import STRENGTHS, probe

CPU = torch.device("cpu")
VIT = {"patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


class Bonds(nn.Module):
    """A network whose features are products of neighbours, in squares of four and along rows and columns."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.last = nn.Linear(32, 4)

    def forward(self, spins):
        products = torch.cat([spins * spins.roll(1, axis) for axis in (2, 3)], 1)
        return self.last(nn.functional.avg_pool2d(products, 2).flatten(1))


def images(count=80, seed=1, noise=0.1):
    """Uniform lattices, stripes and squares two wide, and staggered ones; each spin is turned with a probability."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    y, x = 1 - 2 * (np.indices((8, 8)) // 2 % 2)
    patterns = np.stack([np.ones((8, 8), int), y, y * x, 1 - 2 * (np.indices((8, 8)).sum(0) % 2)])
    spins = (patterns[labels] * np.where(random.random((count, 8, 8)) < noise, -1, 1)).astype(np.int8)
    return Images(spins, labels.astype(np.int64), np.ones(count), np.zeros(count), np.arange(count))


def network(name):
    with seeded(0):
        if name == "bonds":
            return Bonds()
        if name == "timm":
            return build("timm", model="test_resnet", outputs=4, scale=1, options={})
        return build("transformers", model="vit", outputs=4, size=8, scale=1, options=VIT)


def weights(found):
    return {name: tensor.clone() for name, tensor in found.state_dict().items()}


def accuracy(found, given):
    return np.mean(predict(found, given.spins).argmax(1) == given.labels)


LAST = {"bonds": "last", "transformers": "body.classifier", "timm": "body.fc"}


def test_separable_features_are_separated():
    given = images(noise=0.03)
    found = network("bonds")
    assert accuracy(found, given) < 0.6  # as drawn
    probe(found, given, images(40, seed=2, noise=0.03), 0, CPU)
    assert accuracy(found, given) == 1
    assert accuracy(found, images(400, seed=3, noise=0.03)) > 0.97


@pytest.mark.parametrize("name", LAST)
def test_only_the_last_layer_changes(name):
    found = network(name)
    before = weights(found)
    probe(found, images(), images(40, seed=2), 0, CPU)
    changed = {key for key, tensor in found.state_dict().items() if not torch.equal(tensor, before[key])}
    assert changed == {f"{LAST[name]}.weight", f"{LAST[name]}.bias"}
    assert all(tensor.dtype == before[key].dtype for key, tensor in found.state_dict().items())
    assert {parameter.device.type for parameter in found.parameters()} == {"cpu"}
    assert not any(module._forward_hooks for module in found.modules())
    assert all(parameter.requires_grad for parameter in found.parameters())


def test_labels_that_tell_nothing_are_not_read():
    # negative control
    given = images(200)
    labels = np.random.default_rng(1).permuted(given.labels)
    found = network("bonds")
    probe(found, replace(given, labels=labels), images(40, seed=2), 0, CPU)
    assert accuracy(found, images(400, seed=3)) < 0.6


def test_the_penalty_is_chosen_on_the_validation_set(monkeypatch):
    """With labels of the validation set that contradict the training set, the strongest penalty loses least."""
    given, held = images(noise=0.05), images(40, seed=2, noise=0.05)
    contrary = replace(held, labels=3 - held.labels)
    agreeing, opposed = network("bonds"), network("bonds")
    probe(agreeing, given, held, 0, CPU)
    probe(opposed, given, contrary, 0, CPU)
    assert opposed.last.weight.norm() < agreeing.last.weight.norm()
    monkeypatch.setattr("kadanoff.phases.probe.STRENGTHS", STRENGTHS[:1])
    strongest = network("bonds")
    probe(strongest, given, held, 0, CPU)
    assert torch.equal(strongest.last.weight, opposed.last.weight)


class Reader(nn.Module):
    """Pre-trained to give the first product of `Bonds`."""

    def __init__(self, bias=0.5):
        super().__init__()
        self.last = nn.Linear(32, 1)
        with torch.no_grad():
            self.last.weight.copy_(torch.eye(32)[:1])
            self.last.bias.fill_(bias)


def levels(random, count, noise):
    """Random spins, and labels by the level of the first product."""
    spins = random.choice(np.array([-1, 1], np.int8), (count, 8, 8))
    level = predict(Features(), spins)[:, 0] + random.normal(0, noise, count)
    return replace(images(count), spins=spins, labels=np.digitize(level, (-0.6, 0.0, 0.6)).astype(np.int64))


def test_a_number_that_tells_the_labels_is_regressed_on_alone():
    """The labels depend on the first product, with noise; all others would be learned by heart."""
    random = np.random.default_rng(4)

    train, held, far = (levels(random, count, 0.2) for count in (48, 200, 2000))
    with_it, shifted, without = network("bonds"), network("bonds"), network("bonds")
    probe(with_it, train, held, 0, CPU, Reader())
    probe(shifted, train, held, 0, CPU, Reader(bias=-3.0))
    probe(without, train, held, 0, CPU)
    assert with_it.last.weight[:, 1:].abs().max() == 0
    assert with_it.last.weight[:, 0].abs().min() > 0
    assert torch.allclose(with_it.last.bias, shifted.last.bias, atol=1e-5)
    # negative control: the features without it
    assert accuracy(with_it, far) > accuracy(without, far) + 0.05


def test_a_number_that_tells_nothing_is_left():
    given, held = images(noise=0.03), images(40, seed=2, noise=0.03)
    found, plain = network("bonds"), network("bonds")
    probe(found, given, held, 0, CPU, Reader())
    probe(plain, given, held, 0, CPU)
    assert torch.equal(found.last.weight, plain.last.weight)


def test_chance_alone_does_not_choose_the_axes(monkeypatch):
    """With many images to learn from, the axes tell as much, and lose less on some validation sets."""
    random = np.random.default_rng(6)
    pairs = [(levels(random, 400, 0.5), levels(random, 48, 0.5)) for _ in range(8)]

    def alone(train, held):
        found = network("bonds")
        probe(found, train, held, 0, CPU, Reader())
        return bool(found.last.weight[:, 1:].abs().max() == 0)

    assert all(alone(*pair) for pair in pairs)
    # negative control: by the lower loss, whatever its error
    monkeypatch.setattr("kadanoff.phases.probe.ERRORS", 0.0)
    assert not all(alone(*pair) for pair in pairs)


class Features(Bonds):
    def forward(self, spins):
        products = torch.cat([spins * spins.roll(1, axis) for axis in (2, 3)], 1)
        return nn.functional.avg_pool2d(products, 2).flatten(1)


class Distilled(nn.Module):
    """With two heads, of which the mean is taken."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(64, 4), nn.Linear(64, 4)

    def forward(self, spins):
        return (self.one(spins.flatten(1)) + self.two(spins.flatten(1))) / 2


def test_without_a_single_last_layer_nothing_happens():
    with seeded(0):
        found = Distilled()
    before = weights(found)
    probe(found, images(), images(40, seed=2), 0, CPU)
    assert all(torch.equal(tensor, before[name]) for name, tensor in found.state_dict().items())
