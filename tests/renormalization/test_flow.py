"""Streamed averages against enumeration and exact energies, whatever the number of workers."""

from dataclasses import replace

import numpy as np
import pytest
from enumerated import enumerated

from kadanoff.errors import KadanoffError
from kadanoff.renormalization import flow
from kadanoff.renormalization.flow import BOND, Setup, follow, joined, measure
from kadanoff.renormalization.rules import majority, weighted
from kadanoff.spins.exact import T_C, kaufman

INTERACTIONS = (BOND, "00 11", "00", "00 01 10")
ARRAYS = "means", "squares", "pairs", "bond", "bonds"
SMALL = Setup(4, 1, 1000, INTERACTIONS, temperature=2.5, every=2)


def worst(found, exact):
    """Largest deviation from exact averages, in standard errors; entries that cannot vary are left out."""
    deviations = []
    for name in ARRAYS:
        values = getattr(found, name)
        errors = values.std(0, ddof=1) / np.sqrt(len(values))
        off = np.abs(values.mean(0) - getattr(exact, name)[0])
        deviations.append(np.max(off / np.where(errors > 0, errors, np.inf)))
        assert np.allclose(off[errors == 0], 0)
    return max(deviations)


def test_averages_are_those_of_enumeration():
    rules = {"coin": majority(2), "soft": weighted(2, 0.3)}
    found = measure(rules, SMALL, 64)
    for name, rule in rules.items():
        assert worst(found[name], enumerated(rule, SMALL)) < 4.5  # of 100 numbers
        assert worst(found[name], enumerated(rule, replace(SMALL, temperature=2.52))) > 4.5
    assert worst(found["soft"], enumerated(weighted(2, 0.32), SMALL)) > 4.5


def test_chains_are_in_equilibrium_when_they_are_first_measured():
    setup = Setup(32, 1, 1, INTERACTIONS)
    energies = -measure({"": majority(2)}, setup, 512)[""].bond / 32**2
    error, exact = energies.std() / np.sqrt(512), kaufman(32, 32, T_C).energy
    assert abs(energies.mean() - exact) < 4 * error
    assert abs(energies.mean() - kaufman(32, 32, 1.01 * T_C).energy) > 4 * error


def test_nothing_depends_on_workers_groups_or_other_rules(monkeypatch):
    setup = Setup(12, 1, 5)
    whole = measure({"a": majority(2), "b": weighted(3, 0.4)}, setup, 6, workers=1)["a"]
    monkeypatch.setattr(flow, "GROUP", 2)
    parts = measure({"a": majority(2)}, setup, 6, workers=3)["a"]
    alone = joined([follow({"a": majority(2)}, setup, first, 1)["a"] for first in range(6)])
    for name in ARRAYS:
        assert (getattr(whole, name) == getattr(parts, name)).all()
        assert (getattr(whole, name) == getattr(alone, name)).all()


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        (Setup(20, 3, 1), "size is 20, which 3 steps with blocks of 2 do not divide; take a multiple of 8"),
        (Setup(16, 3, 1), "16 x 16 is 2 x 2, and the interactions need 3 x 3; take fewer steps"),
    ],
)
def test_what_does_not_fit_is_refused(setup, message):
    with pytest.raises(KadanoffError, match=message):
        measure({"": majority(2)}, setup, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Setup(8, 1, 0), "measurements is 0; it must be a whole number from 1"),
        (lambda: Setup(8.0, 1, 1), "size is 8.0"),
        (lambda: Setup(8, 1, 1, temperature=0.0), "temperature is 0.0"),
        (lambda: majority(0), "block is 0"),
        (lambda: measure({}, Setup(8, 1, 1), 0), "chains is 0"),
        (lambda: measure({}, Setup(8, 1, 1), 1, workers=0), "workers"),
    ],
)
def test_what_is_no_number_is_refused(call, message):
    with pytest.raises(KadanoffError, match=message):
        call()
