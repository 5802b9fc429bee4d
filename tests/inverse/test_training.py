"""Training finds what is known exactly: the decimated ring, whose middle spins depend on their two neighbours alone."""

import numpy as np
import pytest
import torch

from kadanoff.inverse.superresolve import probabilities, tables
from kadanoff.inverse.tables import known
from kadanoff.inverse.training import (
    mean_loss,
    pixel_loss,
    torus_energy,
    train_network,
    turned,
)
from kadanoff.learning.randomness import seeded
from kadanoff.learning.training import Settings
from kadanoff.networks.registry import build
from kadanoff.networks.superres import Blocks
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.observables import energy

TEMPERATURE, WRONG = 2.0, 1.5
TOLERANCE = 0.03  # of a probability; those at WRONG are off by 0.054
SETTINGS = Settings(
    seed=0, epochs=60, batch_size=100, learning_rate=1e-2, weight_decay=0.0, plateau_patience=3,
    early_stopping_patience=10,
)  # fmt: skip


def rings(count, sites, temperature, seed):
    """Exact samples: unsatisfied bonds are independent, but for their even number."""
    random = np.random.default_rng(seed)
    found = np.empty((0, sites), np.int8)
    while len(found) < count:
        walls = random.random((count, sites)) < 1 / (1 + np.exp(2 / temperature))
        walls = walls[walls.sum(1) % 2 == 0]
        first = random.integers(0, 2, (len(walls), 1))
        spins = 1 - 2 * ((first + np.cumsum(walls, 1)) % 2)
        found = np.concatenate([found, spins.astype(np.int8)])
    return found[:count]


def same(temperature):
    """P(+1) of a spin between two that are +1."""
    return 1 / (1 + np.exp(-4 / temperature))


def model(name, **changes):
    arguments = {"rule": "decimation", "block": 2, "dimension": 1, "temperatures": [TEMPERATURE], "width": 16}
    with seeded(3):
        return build(name, **arguments, **changes).networks[0]


def trained(name, fine, settings=SETTINGS, folder=None):
    network = model(name, **({"layers": 3} if name == "pixels" else {}))
    train_network(network, fine, "decimation", 2, settings, folder=folder)
    return network


@pytest.fixture(scope="module")
def fine():
    return rings(6000, 16, TEMPERATURE, 1)


def refined(count, temperature, seed):
    """Exact samples of the rings of 8 whose decimation is ++--: their middle spins are independent."""
    coarse = np.tile(np.array([1, 1, -1, -1], np.int8), (count, 1))
    field = coarse + np.roll(coarse, -1, 1)
    up = np.random.default_rng(seed).random(coarse.shape) < 1 / (1 + np.exp(-2 * field / temperature))
    return np.stack([coarse, np.where(up, np.int8(1), np.int8(-1))], axis=2).reshape(count, -1)


def test_pixels_find_the_exact_probabilities():
    """In ++-- all places are told apart by the walls within three sites: kept spins are certain, those between equal
    ones follow the temperature, those in a wall are even.

    The validation set of 6,000 chooses the epoch: an even probability has an error of 0.0065 there, 1/4.6 of the
    tolerance.
    """
    fine = refined(60000, TEMPERATURE, 1)
    large = Settings(**(vars(SETTINGS) | {"batch_size": 1000, "epochs": 12}))
    up = probabilities(trained("pixels", fine, large), np.array([[1, 1, -1, -1]], np.int8))[0]

    def exact(temperature):
        return np.array([1, same(temperature), 1, 0.5, 0, 1 - same(temperature), 0, 0.5])

    assert np.abs(up - exact(TEMPERATURE)).max() < TOLERANCE
    assert np.abs(up - exact(WRONG)).max() > TOLERANCE


def test_blocks_find_the_exact_conditional(fine):
    """The last part of a draw, every row of it; the state has two sites, of which the rule keeps the first."""
    found = tables(trained("blocks", fine))[-1].probabilities
    for temperature, agrees in ((TEMPERATURE, True), (WRONG, False)):
        exact = known("decimation", 2, 1, temperature).probabilities
        assert (np.abs(found - exact).max() < TOLERANCE) == agrees


def weights(network):
    return [tensor.numpy().tobytes() for tensor in network.state_dict().values()]


@pytest.mark.parametrize("name", ["pixels", "blocks"])
def test_the_same_seed_gives_the_same_bytes_and_a_finished_training_is_not_repeated(name, fine, tmp_path, monkeypatch):
    short, otherwise = (Settings(**(vars(SETTINGS) | {"epochs": 3, "batch_size": 32, "seed": seed})) for seed in (0, 1))
    first = weights(trained(name, fine[:200], short, tmp_path))
    assert weights(trained(name, fine[:200], short)) == first
    assert weights(trained(name, fine[:200], otherwise)) != first
    monkeypatch.setattr("kadanoff.learning.training.Training.advance", None)
    assert weights(trained(name, fine[:200], short, tmp_path)) == first


@pytest.mark.parametrize("shape", [(5, 12), (5, 4, 6)])
def test_the_energy_in_the_loss_is_the_energy(shape):
    spins = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), shape)
    exact = energy(spins, Lattice.of(shape[1:] if len(shape) == 3 else shape[1], dimension=len(shape) - 1))
    np.testing.assert_allclose(torus_energy(torch.from_numpy(spins).float().unsqueeze(1)).numpy(), exact, atol=1e-6)


def test_the_loss_of_even_odds_is_one_bit_and_the_squared_energy():
    spins = torch.ones(3, 1, 4, 4)
    even = torch.zeros_like(spins)
    assert pixel_loss(even, spins, 0.0).item() == pytest.approx(np.log(2))
    assert pixel_loss(even, spins, 0.25).item() == pytest.approx(np.log(2) + 0.25 * 4)  # energies 0 and -2


def test_the_loss_of_means_has_their_squared_error_and_that_of_c10():
    found = mean_loss(torch.full((3, 1, 4, 4), 0.75), torch.ones(3, 1, 4, 4), 2.0).item()
    assert found == pytest.approx(0.25 + 2 * (0.25 - 0.7066) ** 2)  # mean spins of a half


def test_a_network_that_is_wrongly_certain_still_learns():
    logits = torch.full((1, 1, 4, 4), 200.0, requires_grad=True)
    pixel_loss(logits, -torch.ones(1, 1, 4, 4), 0.0).backward()
    torch.testing.assert_close(logits.grad, torch.full((1, 1, 4, 4), 1 / 16))


def test_counts_that_are_turned_keep_their_sum_and_forget_the_position():
    network = Blocks("majority", 3, 2, 4, gibbs=True)
    orbit, shape = network.parts[1].orbit, (2 ** network.scheme[1].inputs, 2**9)
    rng = np.random.default_rng(1)
    counts = np.zeros(shape, np.int64)
    np.add.at(counts, (rng.integers(0, shape[0], 5000), rng.integers(0, shape[1], 5000)), 1)
    counts[-1] = 7  # all spins up: the row with all symmetries
    found = turned(counts, orbit)
    assert found.sum() == pytest.approx(counts.sum())
    assert found[-1].sum() == pytest.approx(counts[-1].sum())
    other = np.zeros_like(counts)
    other[orbit.moved[3].numpy()[:, None], orbit.states[3].numpy()] = counts
    assert (other != counts).any()
    np.testing.assert_allclose(turned(other, orbit), found)
