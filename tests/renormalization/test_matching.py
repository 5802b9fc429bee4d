"""The critical coupling from matched lattices, and its derivatives."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from enumerated import enumerated

from kadanoff.errors import KadanoffError
from kadanoff.renormalization.flow import BOND, Setup, measure
from kadanoff.renormalization.matching import critical_coupling, matched_coupling, separation
from kadanoff.renormalization.rules import corner, majority
from kadanoff.spins.exact import T_C

EXACT = 1 / float(T_C)


def test_the_derivative_is_that_of_the_average():
    setup = Setup(4, 1, 1, (BOND, "00 11"), temperature=2.5)
    low, here, high = (enumerated(majority(2), replace(setup, temperature=1 / k)) for k in (0.3999, 0.4, 0.4001))
    slope = here.bonds[0] - here.means[0] * here.bond[0]
    assert np.allclose(slope, (high.means[0] - low.means[0]) / 2e-4, rtol=1e-5)


def flows(rule, setups):
    return [measure({"": rule}, setup, 32)[""] for setup in setups]


def found(rule, seed):
    setup = Setup(32, 3, 400, (BOND,), seed=seed)
    return critical_coupling(partial(flows, rule), setup, 2, start=0.43)[-1]


@pytest.mark.slow
def test_matching_finds_the_critical_coupling():
    estimate = found(majority(2), 3)
    assert estimate.error < 7e-4
    assert abs(estimate.mean - EXACT) < 3 * estimate.error + 1e-4  # irrelevant operators
    assert abs(estimate.mean - 0.43) > 10 * estimate.error


def parted(rule, centre, size=32, steps=2):
    """Separation at the last step of flows from `centre` and 2% above and below, 4% on the smaller lattices."""
    pairs = [
        tuple(
            flows(rule, [Setup(size // n, steps + 1 - n, 700, (BOND,), centre * (1 + 0.02 * n * s)) for s in (-1, 1)])
        )
        for n in (1, 2)
    ]
    return separation(*pairs, steps)


@pytest.mark.slow
def test_the_flow_separates_as_it_should():
    y = parted(majority(2), float(T_C))
    assert y.error < 0.025
    assert abs(y.sigmas(1)) < 4
    assert abs(parted(majority(2), 2.6).sigmas(1)) > 10


def test_lattices_that_do_not_match_are_refused():
    small = measure({"": corner(2)}, Setup(8, 1, 2, (BOND,)), 2)[""]
    with pytest.raises(KadanoffError, match="lattices of 8 and 8 do not match under blocks of 2"):
        matched_coupling(small, small, 1)
    large = measure({"": corner(2)}, Setup(16, 1, 2, (BOND,)), 2)[""]
    with pytest.raises(KadanoffError, match="step is 2, and these lattices match after steps 1 to 1"):
        matched_coupling(large, small, 2)
    with pytest.raises(KadanoffError, match="step is 2, and these"):
        separation((large, large), (small, small), 2)
    with pytest.raises(KadanoffError, match="give the flow of the lower one first"):
        separation((large, large), (small, small), 1)
    cold = [replace(flow, setup=replace(flow.setup, temperature=2.0)) for flow in (large, small)]
    with pytest.raises(KadanoffError, match="separation is lost in noise"):
        separation((cold[0], large), (cold[1], small), 1)  # of one set of spins
    with pytest.raises(KadanoffError, match="have two temperatures"):
        matched_coupling(large, replace(small, setup=replace(small.setup, temperature=2.0)), 1)


def test_an_extrapolation_to_nowhere_is_refused():
    with pytest.raises(KadanoffError, match=r"match at K = -.*; take more measurements, or a better start"):
        critical_coupling(partial(flows, majority(2)), Setup(8, 1, 2, (BOND,)), 2, start=0.1)
