"""Averages of configurations of one temperature at another."""

import pytest

import kadanoff
from kadanoff.spins.reweighting import ThermalSample, reweighted


def test_reweighting_agrees_with_a_simulation_there():
    """Threshold: 4 standard errors; the temperature that is reweighted from fails."""
    here, there = (kadanoff.simulate(8, [t], 4000, seed=5).spins[0] for t in (2.5, 2.6))
    found, truth = reweighted(ThermalSample.of(2.5, here), 2.6), ThermalSample.of(2.6, there)
    assert abs(found[0].sigmas(truth.order)) < 4
    assert abs(ThermalSample.of(2.5, here).order.sigmas(truth.order)) > 4
    assert reweighted(truth, 2.6)[0].mean == pytest.approx(truth.order.mean)
