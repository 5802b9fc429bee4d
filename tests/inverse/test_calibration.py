"""Sharpness and factor: found where energy and <m^2> are exact, and refused where none helps.

What is found for a network that enlarges by three is tested in tests/studies/grow/test_upsample.py.
"""

import numpy as np
import pytest
import torch

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.inverse import calibration
from kadanoff.inverse.calibration import MOST, calibrate, calibrate_growth, excess, growth_excess
from kadanoff.inverse.renormalized import RenormalizedGibbs
from kadanoff.inverse.superresolve import draw_blocks, tables
from kadanoff.inverse.training import train_network
from kadanoff.learning.randomness import seeded
from kadanoff.learning.training import Settings
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.registry import build
from kadanoff.spins.exact import T_C, critical_square, kaufman
from kadanoff.spins.observables import periodic_energy
from kadanoff.spins.surroundings import AROUND

ODDS = np.linspace(-3, 3, 1 << len(AROUND), dtype=np.float32)  # some that depend on what a spin sees
SETTINGS = Settings(
    seed=0, epochs=60, batch_size=1000, learning_rate=1e-2, weight_decay=0.0, plateau_patience=5,
    early_stopping_patience=10,
)  # fmt: skip


@pytest.fixture(scope="module")
def network():
    with seeded(1):
        model = build("blocks", rule="majority", block=2, dimension=2, temperatures=[float(T_C)], width=32)
    fine = kadanoff.simulate(16, [T_C], 1500, seed=1).spins[0]
    train_network(model.networks[0], fine, "majority", 2, SETTINGS)
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


def test_a_network_of_something_else_is_refused(seeds):
    model = build("blocks", rule="majority", block=2, dimension=2, temperatures=[float(T_C)], width=4)
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
    with pytest.raises(KadanoffError, match=r"miss the exact energy .* should change sign. Train"):
        calibrate(model.networks[0], seeds[:100], float(T_C), 0)


@pytest.fixture(scope="module")
def larger():
    return kadanoff.simulate(16, [T_C], 40, seed=2).spins[0]


def untrained():
    with seeded(1):
        return build("blocks", rule="majority", block=3, dimension=2, temperatures=[float(T_C)], width=4)


def off(spins):
    """Energy and m^2 less their exact values: (2, n)."""
    side = spins.shape[-1]
    energies = periodic_energy(spins) - kaufman(side, side, float(T_C)).energy
    return np.stack([energies, spins.mean((1, 2)) ** 2 - critical_square(side)])


def test_the_excess_is_what_the_seeds_do_not_explain_in_any_slices(larger, monkeypatch):
    monkeypatch.setattr(calibration, "SLICE", 16)
    network = untrained().networks[0]
    found = growth_excess(network, ODDS, larger, float(T_C), 5, 3)(1.1, 0.9)
    swept = RenormalizedGibbs((1.1 * ODDS).astype(np.float32)).sweep(larger, (stream_key(5, "dress"), 0))
    fine = draw_blocks(swept, tables(network, 0.9), 3, (stream_key(5, "calibrate"), 0))
    known = np.concatenate([np.ones((1, len(larger))), off(larger)])
    slopes = np.linalg.lstsq(known.T, off(fine).T)[0][1:]
    expected = off(fine) - slopes.T @ off(larger)
    assert found == pytest.approx(expected / np.array([[1.0], [critical_square(48)]]), abs=1e-9)


@pytest.mark.parametrize(("weight", "odds"), [(0.0, ODDS), (1.0, 0 * ODDS), (1.0, ODDS)])
def test_what_cannot_be_calibrated_is_refused(larger, weight, odds):
    """Without weights no sharpness, and without odds no factor changes anything; with both the network is untrained."""
    model = untrained()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(weight)
    with pytest.raises(KadanoffError, match=r"16 x 16 lattices miss the exact energy .* correct that. Train the"):
        calibrate_growth(model.networks[0], odds, larger, float(T_C), 0, 3)


def test_steps_are_halved_where_full_ones_go_to_and_fro(monkeypatch):
    noise = 0.01 * np.array([[1, -1, 1, -1], [1, 1, -1, -1]])

    def excess(*numbers):
        """Zero at 0.98 and 0.97; the slope is 1 above 1, where it is measured, else 2: full steps come back to 1."""
        pairs = zip((0.04, 0.06), numbers, strict=True)
        return np.array([[off + (1 if number > 1 else 2) * (number - 1)] for off, number in pairs]) + noise

    def found():
        return calibrate_growth(None, None, np.ones((4, 16, 16)), float(T_C), 0, 3)

    monkeypatch.setattr(calibration, "growth_excess", lambda *_: excess)
    assert (found().factor.mean, found().sharpness.mean) == pytest.approx((0.98, 0.97))
    error = 0.01 * np.sqrt(4 / 3 / 4)  # of four seeds, at the slope of 1 that was measured
    assert (found().factor.error, found().sharpness.error) == pytest.approx((error, error))
    for name, (factor, sharpness) in (("before", (1.0, 1.0)), ("after", (0.98, 0.97))):
        means = [estimate.mean for estimate in getattr(found(), name)]
        assert means == pytest.approx(excess(factor, sharpness).mean(1), abs=1e-9)
    monkeypatch.setattr(calibration, "FULL", MOST)
    with pytest.raises(KadanoffError, match="no factor and sharpness"):
        found()
