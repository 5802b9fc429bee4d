"""Mutual information of a block and its surroundings: estimates against exact values on strips."""

import os
import subprocess
import sys

import numpy as np
import pytest
from strips import strip_information

from kadanoff.errors import KadanoffError
from kadanoff.montecarlo import swendsen_wang
from kadanoff.renormalization.information import environment, mutual_information, train
from kadanoff.renormalization.learned import Weights, features, first_weights
from kadanoff.renormalization.rules import corner, majority, weighted
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C

LENGTH, BUFFER = 12, 1


@pytest.fixture(scope="module")
def strips():
    """Critical tori of 4 x 12, and the two columns around the first block."""
    spins = np.ones((8192, 4, LENGTH), np.int8)
    swendsen_wang.advance(spins, Lattice(4, LENGTH), float(T_C), 0.0, np.uint64(1), 0, 0, 60)
    return spins, np.concatenate([spins[:, :, -2 - BUFFER], spins[:, :, 3 + BUFFER]], 1)


RULES = {"majority": majority(2), "weighted": weighted(2, 0.45), "decimation": corner(2)}


@pytest.mark.parametrize("name", RULES)
def test_estimates_on_strips_are_exact(strips, name):
    spins, around = strips
    mean, exact = RULES[name].mean(spins)[:, 0, 0], strip_information(RULES[name], LENGTH, BUFFER)
    found = mutual_information(mean, around)
    assert -4 < found.sigmas(exact) < 3
    assert abs(found.sigmas(strip_information(RULES[name], LENGTH, BUFFER, 2.1))) > 4  # that of another temperature
    assert mutual_information(mean, np.roll(around, 1, 0)).sigmas(0.0) < 3  # that of another lattice


def test_exact_information_of_a_spin_on_a_ring_of_columns():
    """Decimation: against the sum over all states of the torus, by the columns' transfer matrix alone."""
    columns = 1 - 2 * (np.arange(16)[:, None] >> np.arange(4) & 1)
    bonds = (columns * np.roll(columns, 1, 1)).sum(1)
    matrix = np.exp((columns @ columns.T + (bonds[:, None] + bonds) / 2) / float(T_C))
    power = np.linalg.matrix_power
    joint = np.einsum("la,ar,rl->lra", power(matrix, 3), power(matrix, 4), power(matrix, 5))  # columns -3, 0, 4
    both = np.array([joint[:, :, columns[:, 0] == spin].sum(2) for spin in (1, -1)]) / joint.sum()
    expected = np.sum(both * np.log(both / (both.sum((1, 2), keepdims=True) * both.sum(0))))
    assert strip_information(corner(2), LENGTH, BUFFER) == pytest.approx(expected, rel=1e-10)


@pytest.mark.slow
def test_a_trained_rule_keeps_more_than_the_majority(strips):
    spins, around = strips
    terms = ("11", "01", "00")
    weights = train(first_weights(2, terms), features(spins, 2, terms)[:, :, 0, 0], around)
    learned = Weights(2, dict(zip(terms, map(float, weights), strict=True))).rule()
    assert strip_information(learned, LENGTH, BUFFER) > strip_information(majority(2), LENGTH, BUFFER) + 0.01


def test_the_frame_lies_around_the_ring():
    spins = np.arange(100, dtype=np.int8).reshape(1, 10, 10)
    found = environment(spins, 2, 0)
    assert found.shape == (1, 20)
    assert {0, 1, 11, 22, 99, 90} & set(found[0].tolist()) == set()
    assert {88, 83, 38, 33, 80, 3} <= set(found[0].tolist())
    with pytest.raises(KadanoffError, match="takes 12 x 12"):
        environment(spins, 2, 3)


THREADS = """
import sys
import numpy as np, torch
from kadanoff.renormalization.critical import critical_lattices
from kadanoff.renormalization.information import environment, train
from kadanoff.renormalization.learned import compact_terms, features, first_weights
torch.set_num_threads(int(sys.argv[1]))
spins = np.concatenate([spins.copy() for spins in critical_lattices(16, 16384, 0)])
terms = compact_terms(2, 20)
inputs = features(spins, 2, terms)[:, :, 0, 0]
print(train(first_weights(2, terms), inputs, environment(spins, 2, 1)).tobytes().hex())
"""


@pytest.mark.slow
def test_threads_do_not_change_what_is_trained():
    environ = os.environ | {"MKL_CBWR": "COMPATIBLE"}  # as in the stage: without it they would not
    commands = ([sys.executable, "-c", THREADS, threads] for threads in "12")
    found = {subprocess.run(each, env=environ, check=True, capture_output=True).stdout for each in commands}
    assert len(found) == 1
