"""Weighed draws and the chain that accepts or rejects them, against exact results; the draws as they are must fail."""

import numpy as np
import pytest
from montecarlo.oracle import SIGMAS, SMALLEST_P, chi_squared_p

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.inverse.superresolve import log_prob, tables
from kadanoff.inverse.tables import known
from kadanoff.inverse.training import coarsened
from kadanoff.inverse.weights import WeightedSample, independence_chains, learn_levels, weighted_draws
from kadanoff.learning.training import Settings
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import (
    T_C,
    critical_square,
    enumerate_states,
    exact_energy_distribution,
    kaufman,
    log_partition,
)
from kadanoff.spins.statistics import independent_mean

T = float(T_C)
DRAWS = 20_000


@pytest.fixture(scope="module")
def seeds():
    return np.asarray(kadanoff.simulate(8, T_C, DRAWS, seed=1).spins[0])


def scheme(sharpness=1.0):
    """Tables of the network that comes with the package; less sharp ones give lattices that are too hot."""
    return tables(kadanoff.load_model("superres/blocks").at(T), sharpness)


@pytest.fixture(scope="module")
def sample(seeds):
    """From 8 x 8 to 16 x 16."""
    return weighted_draws(seeds, [scheme()], T, 3)


def test_weighed_averages_are_exact_and_plain_ones_are_not(sample):
    exact = kaufman(16, 16, T_C).energy
    assert sample.size == 16
    assert abs(sample.average(sample.energy).sigmas(exact)) < SIGMAS
    assert abs(sample.average(sample.magnetization**2).sigmas(critical_square(16))) < SIGMAS
    assert abs(independent_mean(sample.energy).sigmas(exact)) > SIGMAS


def test_the_mean_weight_is_the_partition_function(sample):
    found = sample.log_partition
    assert found.error < 5e-5
    assert abs(found.sigmas(log_partition(16, 16, T) / 256)) < SIGMAS
    assert abs(found.sigmas(log_partition(16, 16, 1.001 * T) / 256)) > SIGMAS


def test_relative_entropy_is_half_the_variance_of_nearly_equal_weights(sample):
    assert sample.effective_share.mean == pytest.approx(np.exp(-sample.variance.mean), rel=0.1)
    assert sample.relative_entropy.mean * 256 == pytest.approx(sample.variance.mean / 2, rel=0.1)


def test_averages_of_4_by_4_by_enumeration():
    small = np.asarray(kadanoff.simulate(2, T_C, DRAWS, seed=1).spins[0])
    found, exact = weighted_draws(small, [scheme()], T, 3), enumerate_states(Lattice(4, 4))
    order, square = exact.absolute_magnetization(T), exact.magnetization(T, power=2)
    assert abs(found.average(np.abs(found.magnetization)).sigmas(order)) < SIGMAS
    assert abs(found.susceptibility.sigmas(16 * (square - order**2) / T)) < SIGMAS
    assert abs(found.log_partition.sigmas(log_partition(4, 4, T) / 16)) < SIGMAS


def test_chains_of_accepted_draws_are_in_equilibrium_and_draws_are_not(seeds):
    found, steps = weighted_draws(seeds, [scheme(0.85)], T, 3), 20
    logs, energies = (values.reshape(-1, steps) for values in (found.log_weights, np.rint(256 * found.energy)))
    states = independence_chains(logs, 4)
    last = np.take_along_axis(energies, states[:, -1:], 1)[:, 0]
    exact = exact_energy_distribution(Lattice(16, 16), T)
    assert 0.1 < (np.diff(states, axis=1) > 0).mean() < 0.7
    assert chi_squared_p(last, exact) > SMALLEST_P
    assert chi_squared_p(energies[:, -1], exact) < SMALLEST_P


def test_the_last_level_knows_its_hamiltonian_and_the_others_do_not(seeds):
    settings = Settings(seed=0, epochs=60, batch_size=1000, learning_rate=1e-2, weight_decay=0.0)
    first, last = learn_levels(seeds[:2000], 2, T, settings, 16)
    assert np.array_equal(last[2].probabilities, known("majority", 2, 2, T).probabilities)
    fine = seeds[2000:]
    gain = log_prob(last, fine, coarsened(fine, "majority", 2)) - log_prob(first, fine, coarsened(fine, "majority", 2))
    assert independent_mean(gain).sigmas(0.0) > SIGMAS


def test_results_do_not_depend_on_threads(seeds, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    first = weighted_draws(seeds[:1200], [scheme()], T, 3)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    monkeypatch.setattr("kadanoff.inverse.weights.SLICE", 100)
    assert np.array_equal(weighted_draws(seeds[:1200], [scheme()], T, 3).log_weights, first.log_weights)


def test_effective_share_of_known_weights():
    logs = np.random.default_rng(0).standard_normal(100_000)
    share = WeightedSample(2, T, logs, logs, logs).effective_share
    assert share.mean == pytest.approx(np.exp(-1), rel=0.05)
    assert WeightedSample(2, T, 0 * logs, logs, logs).effective_share.mean == 1


def test_lattices_that_cannot_be_halved_so_often():
    with pytest.raises(kadanoff.KadanoffError, match="cannot be halved 2 times"):
        learn_levels(np.ones((4, 12, 12), np.int8), 2, T, Settings(seed=0), 8)


def test_seeds_that_are_not_square_are_refused():
    with pytest.raises(KadanoffError, match=r"give square lattices \(n, L, L\)"):
        weighted_draws(np.ones((3, 4, 8), np.int8), [], 2.0, 0)
