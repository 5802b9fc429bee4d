"""Measurement in bands of rows: that of a lattice in memory, and errors that are those of lattices."""

import numpy as np
import pytest

import kadanoff
from kadanoff.estimate import Estimate
from kadanoff.inverse import streaming
from kadanoff.inverse.measurement import measure_lattice
from kadanoff.inverse.streaming import STRIPES, Streamed, stream
from kadanoff.spins.exact import T_C

SIDE, LATTICES = 128, 128  # of the errors: the scatter of as many lattices is known to 6.3%
NEAR, FAR = 0.25, 0.32
"""By which errors may be off, up to side / 32 and side / 8: what they are known to miss, and 3 sigma."""


def lattice(side, seed=3):
    """Spins with some order, no symmetry, and rows unlike columns."""
    rough = np.random.default_rng(seed).normal(size=(side, side))
    smooth = rough + np.roll(rough, 1, 0) + np.roll(rough, 1, 1) + np.roll(rough, 2, 1) + 0.3
    return np.where(smooth > 0, 1, -1).astype(np.int8)


def measured(spins, rows=None, workers=None):
    return stream(lambda first, end: spins[first:end], len(spins), rows or len(spins), workers)


def shifted(spins, y, x):
    return (spins * np.roll(spins, (y, x), (0, 1))).sum(dtype=int)


@pytest.mark.parametrize(("side", "rows"), [(128, 128), (129, 2), (200, 199)])
def test_sums_are_exact_whatever_the_bands(side, rows):
    spins = lattice(side)
    found, expected = measured(spins, rows), measure_lattice(spins)
    assert found.nearest.mean == pytest.approx((shifted(spins, 0, 1) + shifted(spins, 1, 0)) / (2 * side**2), abs=1e-14)
    assert found.diagonal.mean == pytest.approx(
        (shifted(spins, 1, 1) + shifted(spins, 1, -1)) / (2 * side**2), abs=1e-14
    )
    assert found.magnetization == spins.sum(dtype=int) / side**2
    assert found.nearest.mean == pytest.approx(expected.nearest[0], abs=1e-6)
    assert found.diagonal.mean == pytest.approx(expected.diagonal[0], abs=1e-14)
    np.testing.assert_array_equal(found.sums, expected.sums[0])
    np.testing.assert_allclose(found.structure.mean(0), expected.structure[0], rtol=1e-3, atol=1e-3)
    exact = np.abs(np.fft.fft2(spins))[: side // 2 + 1, : side // 2 + 1] ** 2 / side**2
    np.testing.assert_allclose(found.structure, [exact[0], exact[:, 0]], atol=1e-10)


def test_with_all_rows_and_columns_correlations_are_exact():
    spins = lattice(192)
    found = measured(spins, 50)
    assert found.lines == 192
    np.testing.assert_allclose(found.correlation.mean((0, 1)), measure_lattice(spins).correlation[0, :49], atol=1e-6)
    along_x = [shifted(spins, 0, r) / spins.size for r in range(49)]
    np.testing.assert_allclose(found.correlation[0].mean(0), along_x, atol=1e-6)


def test_of_larger_lattices_some_rows_and_columns_are_taken(monkeypatch):
    side = 301
    monkeypatch.setattr(streaming, "LINES", 128)
    spins = lattice(side)
    found = measured(spins, 37)
    assert found.lines == 128
    places = np.arange(128) * side // 128
    for axis, lines in enumerate((spins[places], spins[:, places].T)):
        stripes = lines.reshape(STRIPES, -1, side)
        for r in (0, 1, 7, side // 4):
            expected = (stripes * np.roll(stripes, -r, 2)).mean((1, 2), dtype=float)
            np.testing.assert_allclose(found.correlation[axis, :, r], expected, atol=1e-6)


def test_bands_and_threads_change_no_bit():
    spins = lattice(256)
    one, other = measured(spins, 256, 1), measured(spins, 19, 3)
    for name in vars(one):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def power_law(exponent, noise=0.0, size=1.0):
    """G(r) = A (1 + z) r^-x, z being noise of the stripes."""
    z = noise * np.random.default_rng(1).normal(size=(2, STRIPES, 1))
    correlation = size * (1 + z) * np.maximum(np.arange(129), 1.0) ** -exponent
    nothing = Estimate(0, 0)
    return Streamed(512, nothing, nothing, 0, np.ones(10), correlation, np.ones((2, 257)), 512)


def test_the_exponent_of_a_power_law_is_that_power():
    assert power_law(0.3).decay().mean == pytest.approx(0.3)
    found = power_law(0.3, noise=0.1).decay()
    assert found.mean == pytest.approx(0.3)
    assert found.error < 1e-9  # the noise of a stripe is the same at all distances
    assert power_law(0.3, noise=0.1).at(8).error > 0.01
    negative = power_law(0.3, size=-1.0).decay()
    assert np.isnan([negative.mean, negative.error]).all()


@pytest.fixture(scope="module")
def critical():
    return kadanoff.simulate(SIDE, [T_C], LATTICES, seed=5).spins[0]


def ratio(estimates):
    """What errors say of the scatter of their means, as a share of it."""
    means, errors = (np.array([getattr(item, name) for item in estimates]) for name in ("mean", "error"))
    return np.sqrt((errors**2).mean()) / means.std(ddof=1)


def test_errors_are_the_scatter_of_lattices(critical):
    found = [measured(spins) for spins in critical]
    near = [ratio([item.nearest for item in found]), ratio([item.diagonal for item in found])]
    near += [ratio([item.at(r) for item in found]) for r in (1, 2, SIDE // 32)]
    np.testing.assert_allclose(near, 1, atol=NEAR)
    far = [ratio([item.at(r) for item in found]) for r in (SIDE // 16, SIDE // 8)]
    far.append(ratio([item.decay() for item in found]))
    np.testing.assert_allclose(far, 1, atol=FAR)


def test_rows_as_independent_samples_would_be_far_too_sure(critical):
    def rows_alone(spins, r):
        rows = (spins * np.roll(spins, r, 1)).mean(1, dtype=float)
        return Estimate(rows.mean(), rows.std(ddof=1) / SIDE**0.5)

    for r in (1, SIDE // 32):
        assert ratio([rows_alone(spins, r) for spins in critical]) < 1 - NEAR - 0.1
    assert ratio([rows_alone(spins, SIDE // 8) for spins in critical]) < 1 - FAR - 0.1
