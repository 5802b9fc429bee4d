"""Refining at temperatures between trained ones, and the likelihood by which networks compete."""

import numpy as np
import pytest
import torch
from torch import nn

from kadanoff.errors import KadanoffError
from kadanoff.inverse.reconstruction import negative_log_likelihood, reconstruct, superresolve_between
from kadanoff.inverse.training import train_network
from kadanoff.learning.training import Settings
from kadanoff.montecarlo.simulate import simulate
from kadanoff.networks.registry import build
from kadanoff.networks.superres import Pixels, Superresolution


class Certain(nn.Module):
    """A network that gives every fine spin of a chain the same probability."""

    def __init__(self, probability):
        super().__init__()
        self.probability = probability

    def forward(self, spins):
        return torch.full((len(spins), 1, 2 * spins.shape[-1]), self.probability)


def test_between_two_temperatures_the_probabilities_are_between():
    """Threshold: 4 standard errors of 25,600 tosses; the middle and the ends must fail it."""
    model = Superresolution("decimation", 2, 1, [1.0, 2.0], [Certain(0.0), Certain(1.0)])
    up = (superresolve_between(model, np.ones((200, 64), np.int8), 1.25, 0) > 0).mean()
    error = np.sqrt(0.25 * 0.75 / 25600)
    assert abs(up - 0.25) < 4 * error
    assert min(abs(up - other) for other in (0, 0.5, 1)) > 4 * error
    with pytest.raises(KadanoffError, match="temperature is 5"):
        superresolve_between(model, np.ones((2, 64), np.int8), 5.0, 0)


def test_a_certain_network_pays_for_its_mistakes_alike_in_both_signs():
    network = Pixels(2, 1, 2, 2)
    for weights in network.parameters():
        nn.init.zeros_(weights)
    for sign in (1, -1):
        nn.init.constant_(network.layers[-1].bias, 20.0 * sign)
        spins = np.full((1, 4), -sign, np.int8)
        assert negative_log_likelihood(network, spins, spins[:, ::2]) == pytest.approx(20)


def test_the_likelihood_prefers_the_network_of_the_right_temperature():
    """That is what lets networks compete. Threshold: 4 standard errors."""
    settings = Settings(seed=0, epochs=60, batch_size=1000, learning_rate=1e-2, early_stopping_patience=60)
    torch.manual_seed(0)
    model = build("blocks", rule="majority", block=2, dimension=2, temperatures=[2.0, 3.0], width=8)
    ensemble = simulate(16, [2.0, 3.0], 100, seed=16)
    for network, fine in zip(model.networks, np.asarray(ensemble.spins), strict=True):
        train_network(network, fine[:60], "majority", 2, settings)
    tested = reconstruct(model, 0, np.asarray(ensemble.spins)[0, 60:], 0)
    right, wrong = (negative_log_likelihood(network, tested.fine, tested.coarse) for network in model.networks)
    difference = wrong - right
    assert difference.mean() > 4 * difference.std(ddof=1) / np.sqrt(len(difference))
    assert tested.drawn.shape == tested.fine.shape
    assert tested.differences(tested.drawn)["broken_blocks"].mean == 0
