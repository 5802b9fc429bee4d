"""Measurements of large lattices against plain sums."""

import numpy as np
import pytest

from kadanoff.inverse.measurement import Measurements, estimates, exact_decay, fit_distances, measure_lattice
from kadanoff.spins.exact import critical_row


@pytest.fixture
def spins():
    return 2 * np.random.default_rng(3).integers(0, 2, (24, 24), np.int8) - 1


def shifted(spins, y, x):
    return float((spins * np.roll(spins, (y, x), (0, 1))).mean(dtype=float))


def test_correlations_are_plain_sums(spins):
    found = measure_lattice(spins)
    expected = [(shifted(spins, r, 0) + shifted(spins, 0, r)) / 2 for r in range(13)]
    np.testing.assert_allclose(found.correlation[0], expected, atol=1e-6)
    assert found.nearest[0] == pytest.approx(expected[1], abs=1e-6)
    assert found.diagonal[0] == pytest.approx((shifted(spins, 1, 1) + shifted(spins, 1, -1)) / 2)


def test_the_structure_factor_is_that_of_plane_waves():
    x = np.arange(24)
    wave = np.where(np.cos(2 * np.pi * 3 * (x + 0.5) / 24) > 0, 1, -1).astype(np.int8)
    along_x = measure_lattice(np.tile(wave, (24, 1))).structure[0]
    expected = np.abs(np.fft.rfft(wave)) ** 2  # all rows alike: (24 |f|)^2 / 24^2
    expected[1:] /= 2  # nothing along y
    np.testing.assert_allclose(along_x, expected, atol=1e-4)
    np.testing.assert_allclose(measure_lattice(np.tile(wave[:, None], (1, 24))).structure[0], expected, atol=1e-4)


def test_block_sums_count_spins_up(spins):
    ups = [(spins[y : y + 3, x : x + 3] > 0).sum() for y in range(0, 24, 3) for x in range(0, 24, 3)]
    np.testing.assert_allclose(measure_lattice(spins).sums[0], np.bincount(ups, minlength=10) / 64)


def power_law(side, lattices, exponent, noise, seed):
    """Measurements with G(r) = (1 + z) r^-x, z being noise that lattices of one row share."""
    rng = np.random.default_rng(seed)
    z = 1 + noise * rng.normal(size=(lattices, 1))
    correlation = z * np.maximum(np.arange(side // 2 + 1), 1.0) ** -exponent
    one = np.ones(lattices)
    return Measurements(side, one, one, z[:, 0], np.ones((lattices, 10)), correlation, correlation, one, one)


def test_the_exponent_is_that_of_a_power_law():
    assert estimates(power_law(64, 20, 0.3, 0.2, 1))["exponent"].mean == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("side", "distances"),
    [
        (64, [1, 2, 4, 8]),
        (1152, [1, 2, 4, 8, 16, 32, 64, 128, 144]),
        (8000, [1, 2, 4, 8, 16, 32, 64, 128, 256, 500]),
    ],
)
def test_the_fit_of_the_exact_correlations_is_that_of_measurements(side, distances):
    assert fit_distances(side) == distances
    exact = [critical_row(distance, side) for distance in distances]
    assert exact_decay(side) == pytest.approx(-np.polyfit(np.log(distances), np.log(exact), 1)[0])


def test_the_ensemble_of_constant_order_has_a_binder_ratio_of_two_thirds():
    up = measure_lattice(np.ones((24, 24), np.int8))
    many = Measurements.joined([up, up, up])
    found = estimates(many)
    assert found["binder"].mean == pytest.approx(2 / 3)
    assert len(many) == 3
    assert found["order"].mean == pytest.approx(24**0.125)
    assert found["square"].mean == pytest.approx(24**0.25)
