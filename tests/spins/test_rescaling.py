"""Temperatures of decimated lattices: exact on the chain, by collapse of curves elsewhere."""

import mpmath
import numpy as np
import pytest

from kadanoff.spins.exact import T_C, chain, chain_correlation
from kadanoff.spins.rescaling import (
    Collapse,
    collapse,
    decimated_temperature,
    inversion_error,
    invert_collapse,
    restored_temperature,
)

TEMPERATURES = np.concatenate([[0.0005, 0.003, 0.009, 0.011], np.geomspace(0.01, 10, 40)])


def reference(temperature, power):
    """tanh K' = tanh^power K with many digits."""
    with mpmath.workdps(40 + int(6 / temperature)):
        return float(1 / mpmath.atanh(mpmath.tanh(1 / mpmath.mpf(float(temperature))) ** power))


@pytest.mark.parametrize("block", [2, 3, 8])
def test_chain_temperatures_are_accurate(block):
    decimated = [reference(temperature, block) for temperature in TEMPERATURES]
    np.testing.assert_allclose(decimated_temperature(TEMPERATURES, block), decimated, rtol=1e-13)
    restored = [reference(temperature, mpmath.mpf(1) / block) for temperature in TEMPERATURES]
    np.testing.assert_allclose(restored_temperature(TEMPERATURES, block), restored, rtol=1e-13)


def test_restored_is_the_inverse_of_decimated():
    for block in (1, 2, 5):
        np.testing.assert_allclose(
            restored_temperature(decimated_temperature(TEMPERATURES, block), block), TEMPERATURES, rtol=1e-12
        )
    twice = decimated_temperature(decimated_temperature(TEMPERATURES))
    np.testing.assert_allclose(twice, decimated_temperature(TEMPERATURES, 4), rtol=1e-13)
    assert (decimated_temperature(TEMPERATURES) > TEMPERATURES).all()


@pytest.mark.parametrize("boundary", ["periodic", "antiperiodic"])
@pytest.mark.parametrize("block", [2, 4])
def test_energy_of_a_decimated_chain_is_that_at_the_decimated_temperature(boundary, block):
    for temperature in (0.3, 1.0, 3.5):
        bond = float(chain_correlation(block, 32, temperature, boundary))
        if boundary == "antiperiodic":  # the pair across the edge has the opposite sign, and so has its bond
            assert chain_correlation(32 - block, 32, temperature, boundary) == pytest.approx(-bond)
        after = float(decimated_temperature(temperature, block))
        assert chain(32 // block, after, boundary).energy == pytest.approx(-bond, rel=1e-12)
        assert abs(chain(32 // block, temperature, boundary).energy + bond) > 1e-5  # negative control


GRID = np.linspace(1.0, 3.6, 27)


def flow(temperature):
    """A map that pushes temperatures away from T_c, and its curves: an energy and a magnetization."""
    return T_C + 1.25 * (np.asarray(temperature) - T_C)


def observables(temperature):
    energy = -1.2 + 0.8 * np.tanh(1.5 * (temperature - T_C))
    return np.stack([energy, 0.6 - 0.4 * np.tanh(2 * (temperature - T_C - 0.1))])


def measured(temperature, error, seed):
    values = observables(temperature)
    rng = np.random.default_rng(seed)
    return values + error * rng.normal(size=values.shape), np.full(values.shape, error)


def test_collapse_of_exact_curves():
    exact = observables(GRID), np.zeros((2, len(GRID)))
    same, error = collapse(GRID, exact, exact)
    np.testing.assert_allclose(same, GRID, atol=1e-6)
    assert error.max() < 1e-6
    fine = np.linspace(1.0, 3.6, 2601)
    zeros = np.zeros((2, len(fine)))
    found, _ = collapse(fine, (observables(fine), zeros), (observables(flow(fine)), zeros))
    inside = (flow(fine) >= fine[0]) & (flow(fine) <= fine[-1])
    np.testing.assert_allclose(found[inside], flow(fine)[inside], atol=1e-5)
    assert np.isnan(found[~inside]).all()
    assert np.abs(found - fine)[inside].max() > 0.2  # negative control


@pytest.mark.parametrize("chosen", [[0], [0, 1]])
def test_collapse_lies_within_its_error(chosen):
    near = np.flatnonzero(np.abs(GRID - T_C) < 0.5)
    sigmas, controls = [], []
    for seed in range(200):
        curves, decimated = measured(GRID, 0.003, seed), measured(flow(GRID), 0.003, 1000 + seed)
        found, error = collapse(GRID, *([part[chosen] for part in pair] for pair in (curves, decimated)))
        pick = near[seed % len(near)]
        sigmas.append((found[pick] - flow(GRID[pick])) / error[pick])
        controls.append((found[pick] - GRID[pick]) / error[pick])
    # Two observables that are independent are better than the error, which takes them as correlated.
    assert 0.58 < np.mean(np.abs(sigmas) < 1) < (0.78 if len(chosen) == 1 else 0.95)
    assert np.mean(np.abs(controls) < 1) < 0.4  # negative control


def test_observables_are_weighted_by_their_errors():
    exact, decimated = observables(GRID), observables(flow(GRID))
    decimated[1] = observables(GRID)[1]  # this one says that T~ is T
    middle = slice(9, 17)

    def found(*errors):
        sizes = np.array(errors)[:, None] * np.ones(len(GRID))
        return collapse(GRID, (exact, sizes), (decimated, sizes))

    np.testing.assert_allclose(found(1e-5, 1e-2).rescaled[middle], flow(GRID)[middle], atol=0.01)
    np.testing.assert_allclose(found(1e-2, 1e-5).rescaled[middle], GRID[middle], atol=0.01)
    both = found(1e-4, 1e-4)
    between = (both.rescaled - GRID)[middle] / (flow(GRID) - GRID)[middle]
    assert ((between > 0.05) & (between < 0.95)).all()
    # Observables that disagree make the error as large as their disagreement.
    assert (both.error[middle] > 0.2 * np.abs(flow(GRID) - GRID)[middle]).all()


def test_a_plateau_leaves_the_temperature_open():
    curve = np.array([[-2.0, -2.0, -2.0, -1.9, -1.5, -1.0]])
    grid = np.arange(1.0, 7.0)
    found, error = collapse(grid, (curve, np.zeros((1, 6))), (curve, np.zeros((1, 6))))
    np.testing.assert_allclose(found, [2, 2, 2, 4, 5, 6], atol=1e-6)
    np.testing.assert_allclose(error, [1, 1, 1, 0, 0, 0], atol=1e-6)


def test_inverse_of_a_collapse():
    collapsed = Collapse(np.where(GRID < 1.2, np.nan, flow(GRID)), np.full(len(GRID), 0.01))
    new = np.array([[1.5, T_C], [3.0, 3.9]])
    np.testing.assert_allclose(flow(invert_collapse(GRID, collapsed, new)), new)
    edges = flow(np.array([1.2, 3.6])) + np.array([-1e-6, 1e-6])
    assert np.isnan(invert_collapse(GRID, collapsed, edges)).all()
    assert float(invert_collapse(GRID, collapsed, T_C)) == pytest.approx(T_C)


def test_the_error_of_the_inverse_is_that_of_the_map_over_its_slope():
    collapsed = Collapse(np.where(GRID < 1.2, np.nan, flow(GRID)), 0.003 * GRID)
    points = np.array([1.6, T_C, 3.0])
    slopes = (flow(points + 0.01) - flow(points - 0.01)) / 0.02
    found = inversion_error(GRID, collapsed, flow(points))
    np.testing.assert_allclose(found, 0.003 * points / slopes, rtol=0.1)
    assert np.isnan(inversion_error(GRID, collapsed, 99.0))


def test_the_error_of_the_inverse_is_finite_where_the_map_is_flat():
    flat = Collapse(np.array([1.2, 2.0, 2.0, 2.0, 3.3]), np.full(5, 0.05))
    found = inversion_error(np.arange(1.0, 6.0), flat, np.array([1.6, 2.0, 3.0]))
    assert (found > 0).all()
    assert (found < 1).all()


def test_inverse_is_monotone_whatever_the_noise():
    rng = np.random.default_rng(0)
    noisy = Collapse(flow(GRID) + rng.normal(0, 0.2, len(GRID)), np.full(len(GRID), 0.2))
    assert (np.diff(noisy.rescaled) < 0).any()
    new = np.linspace(1.2, 3.4, 200)
    found = invert_collapse(GRID, noisy, new)
    assert (np.diff(found) >= 0).all()
    assert np.abs(flow(found) - new).max() < 0.4
