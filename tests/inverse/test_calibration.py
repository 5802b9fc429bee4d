"""The sharpness of a chain: found where the energy is exact, and refused where no sharpness helps."""

import numpy as np
import pytest
import torch

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.inverse import calibration
from kadanoff.inverse.calibration import calibrate, excess
from kadanoff.inverse.superresolve import tables
from kadanoff.inverse.training import train_blocks
from kadanoff.learning.randomness import seeded
from kadanoff.learning.training import Settings
from kadanoff.networks.registry import build
from kadanoff.spins.exact import T_C

SETTINGS = Settings(
    seed=0, epochs=60, batch_size=1000, learning_rate=1e-2, weight_decay=0.0, plateau_patience=5,
    early_stopping_patience=10,
)  # fmt: skip


@pytest.fixture(scope="module")
def network():
    with seeded(1):
        model = build("blocks", rule="majority", block=2, dimension=2, temperatures=[float(T_C)], width=32)
    fine = kadanoff.simulate(16, [T_C], 1500, seed=1).spins[0]
    train_blocks(model.networks[0], fine, "majority", 2, SETTINGS, None)
    return model.networks[0]


@pytest.fixture(scope="module")
def seeds():
    return kadanoff.simulate(8, [T_C], 4000, seed=2).spins[0]


def test_the_energy_is_exact_at_the_sharpness_and_not_elsewhere(network, seeds):
    """Held out: other seeds of the same kind. Threshold: 4 standard errors; a sharpness 0.03 away fails."""
    found = calibrate(network, seeds, float(T_C), 0)
    assert abs(found.after.mean) < 1e-4
    assert 0.95 < found.sharpness.mean < 1.05
    others = kadanoff.simulate(8, [T_C], 4000, seed=3).spins[0]
    combined = np.hypot(found.after.error, excess(tables(network, found.sharpness.mean), others, float(T_C), 7).error)
    assert abs(excess(tables(network, found.sharpness.mean), others, float(T_C), 7).mean) < 4 * combined
    for wrong in (-0.03, 0.03):
        assert abs(excess(tables(network, found.sharpness.mean + wrong), others, float(T_C), 7).mean) > 4 * combined


def test_the_error_of_the_sharpness_is_that_of_the_energy_over_the_slope(network, seeds, monkeypatch):
    monkeypatch.setattr(calibration, "sharpened", lambda network, logs, sharpness: sharpness)
    monkeypatch.setattr(calibration, "excess", lambda value, *_: Estimate(0.5 * (1.02 - value), 0.003))
    found = calibrate(network, seeds, float(T_C), 0)
    assert (found.sharpness.mean, found.sharpness.error) == pytest.approx((1.02, 0.006), abs=2e-5)
    assert (found.before.mean, found.after.mean) == pytest.approx((0.01, 0), abs=1e-5)


def test_sharper_is_colder(network, seeds):
    values = [excess(tables(network, value), seeds[:1000], float(T_C), 0).mean for value in (0.9, 1.0, 1.1)]
    assert values[0] > values[1] > values[2]


def test_a_network_of_something_else_is_refused(seeds):
    model = build("blocks", rule="majority", block=2, dimension=2, temperatures=[float(T_C)], width=4)
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
    with pytest.raises(KadanoffError, match=r"miss the exact energy .* should change sign. Train"):
        calibrate(model.networks[0], seeds[:100], float(T_C), 0)
