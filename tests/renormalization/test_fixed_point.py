"""Training towards a fixed point: exact targets, gradients, and a divergence that tells rules apart."""

from itertools import product

import numpy as np
import pytest
import torch

from kadanoff.renormalization import fixed_point
from kadanoff.renormalization.couplings import sums
from kadanoff.renormalization.critical import critical_lattices, known_means, weighted_features
from kadanoff.renormalization.fixed_point import (
    MATCHED,
    Target,
    Training,
    blocked_square,
    blocked_sums,
    exact_sums,
    observed,
)
from kadanoff.renormalization.learned import Weights, features
from kadanoff.renormalization.rules import majority, weighted
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, exact_energy_distribution


def test_exact_sums_are_those_of_all_states():
    names = ("00 01", "00 11", "00 01 10 11", "00 02", "00 12", "00 01 02 11")
    states = np.array(list(product((-1, 1), repeat=9)), np.int8).reshape(-1, 3, 3)
    totals = sums(states, names)
    weights = np.exp((totals[:, 0] - 18) / 2.5)
    assert np.allclose(exact_sums(names, 3, 2.5), weights @ totals / weights.sum())
    assert not np.allclose(exact_sums(names, 3, 2.6), weights @ totals / weights.sum(), rtol=1e-3)


def test_the_exact_energy_is_that_of_kaufman():
    energies = exact_energy_distribution(Lattice.of(8), float(T_C))
    assert exact_sums(["00 01"])[0] == pytest.approx(-energies.probabilities @ energies.levels, rel=1e-12)


@pytest.mark.parametrize("function", [blocked_sums, blocked_square])
def test_derivatives(function):
    random = np.random.default_rng(0)
    inputs = torch.tensor(random.integers(-4, 5, (3, 16, 8, 8)), dtype=torch.int8)
    shares, weights, step = torch.full((16,), 1 / 16), random.normal(0, 0.2, 3), 3e-3
    slopes = function(weights, inputs, shares)[1]
    numeric = [
        np.subtract(function(weights + away, inputs, shares)[0], function(weights - away, inputs, shares)[0])
        / (2 * step)
        for away in step * np.eye(3)
    ]
    assert np.allclose(slopes, np.stack(numeric, -1), atol=1e-3 * np.abs(slopes).max())


def test_blocked_averages_are_those_of_drawn_blocks():
    spins = next(critical_lattices(16, 4000, 1))
    rule = Weights(2, {"11": 0.4, "01": 0.1})
    inputs, shares = torch.from_numpy(features(spins, 2, ["11", "01"])), torch.full((4000,), 1 / 4000)
    drawn = rule.rule().draw(spins, np.uint64(5))
    found, weights = observed(drawn), np.array([0.4, 0.1])
    errors = found.std(0) / np.sqrt(len(found))
    assert (np.abs(blocked_sums(weights, inputs, shares)[0] - found.mean(0)) < 4 * errors).all()
    square = drawn.sum((1, 2), dtype=float) ** 2
    assert blocked_square(weights, inputs, shares)[0] == pytest.approx(square.mean(), abs=4 * square.std() / 4000**0.5)


def test_shares_give_few_lattices_the_averages_of_many():
    inputs, shares, square = weighted_features(2, ["11"], 8, 200, 4096, 3)
    assert inputs.shape == (1, 200, 4, 4)
    many, controls = known_means(critical_lattices(8, 4096, 3), 8)
    energies, known = sums(next(critical_lattices(8, 4096, 3))[:200], ["00 01"])[:, 0], Target.of(0).known
    assert float(shares.sum()) == pytest.approx(1)
    assert shares.numpy() @ energies == pytest.approx(known[0], rel=1e-5)
    assert shares.numpy() @ energies**2 == pytest.approx(known[-1], rel=1e-5)
    assert square == many[-1]
    assert square == pytest.approx(controls[:, -1].mean(), rel=0.05)


def test_critical_lattices_have_the_exact_sums():
    found = np.concatenate([sums(spins, MATCHED) for spins in critical_lattices(8, 16384, 7)])
    errors = found.std(0) / np.sqrt(len(found) / 4)  # three sweeps lie between them
    assert (np.abs(found.mean(0) - exact_sums(MATCHED)) < 4 * errors).all()
    assert (np.abs(found.mean(0) - exact_sums(MATCHED, temperature=2.3)) > 4 * errors).all()


@pytest.mark.slow
def test_training_comes_near_the_fixed_point():
    steps = []
    trained = fixed_point.train(Training(2, 4, 2048, 8192, 0), lambda step, loss: steps.append(loss))
    assert steps == sorted(steps, reverse=True)
    assert abs(trained.amplitude) < 0.01
    target = Target.of(1)
    known = [target.divergence_of(rule, 16384, 9) for rule in (trained.weights.rule(), majority(2), weighted(2, 0.45))]
    assert known[0] < 0.03
    assert min(known[1:]) > 3 * known[0]
