"""Averages of configurations of one temperature at another."""

import numpy as np
import pytest

import kadanoff
from kadanoff.spins.reweighting import ThermalSample, interval_shares, reweighted


def test_reweighting_agrees_with_a_simulation_there():
    """Threshold: 4 standard errors; the temperature that is reweighted from fails."""
    here, there = (kadanoff.simulate(8, [t], 4000, seed=5).spins[0] for t in (2.5, 2.6))
    found, truth = reweighted(ThermalSample.of(2.5, here), 2.6), ThermalSample.of(2.6, there)
    assert abs(found["order"].sigmas(truth.order)) < 4
    assert abs(ThermalSample.of(2.5, here).order.sigmas(truth.order)) > 4
    assert reweighted(truth, 2.6)["order"].mean == pytest.approx(truth.order.mean)


def test_histogram_bins_share_out_what_lies_between_them():
    shares = interval_shares(np.array([0.0, 1.0, 1.0]), 1.0, np.array([-0.5, 0.25, 1.5]))
    assert [share.mean for share in shares] == pytest.approx([0.25, 0.75])
