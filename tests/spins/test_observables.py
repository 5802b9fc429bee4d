"""Observables against their definitions, written out."""

import numpy as np
import pytest

import kadanoff
from kadanoff.spins import observables
from kadanoff.spins.boundary import BOUNDARIES, Lattice
from kadanoff.spins.exact import T_C, chain_correlation, enumerate_states
from kadanoff.spins.observables import energy, magnetization, two_point


def random_spins(*shape, seed=0):
    return np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), shape)


def slow_energy(spins, lattice):
    """Energy per site of one configuration, bond by bond."""
    height, width = lattice.shape
    total = 0.0
    for y in range(height):
        for x in range(width):
            total -= lattice.right[y, x] * spins[y, x] * spins[y, (x + 1) % width]
            total -= lattice.down[y, x] * spins[y, x] * spins[(y + 1) % height, x]
            total -= lattice.ghost[y, x] * spins[y, x]
    return total / lattice.sites


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("coupling", [1, -1])
@pytest.mark.parametrize("real", [False, True])
def test_energy_is_the_sum_over_bonds(boundary, coupling, real):
    lattice = Lattice(3, 5, boundary, coupling)
    spins = random_spins(2, 4, 3, 5)
    if real:
        spins = np.random.default_rng(1).normal(size=spins.shape).astype(np.float32)
    expected = [[slow_energy(one.astype(float), lattice) for one in group] for group in spins]
    assert energy(spins, lattice) == pytest.approx(np.array(expected), abs=1e-13)


def test_energy_of_every_state_gives_the_enumerated_levels():
    lattice = Lattice(2, 4, "skewed")
    states = (1 - 2 * (np.arange(256)[:, None] >> np.arange(8) & 1)).astype(np.int8).reshape(-1, 2, 4)
    levels, counts = np.unique(energy(states, lattice) * 8, return_counts=True)
    exact = enumerate_states(lattice)
    assert levels.tolist() == exact.energies.tolist()
    assert counts.tolist() == exact.degeneracies.sum(1).tolist()


def test_energy_of_chains_of_one_configuration_and_of_other_memory_layouts():
    lattice = Lattice.of(6, "antiperiodic", dimension=1)
    assert energy(np.ones((2, 3, 6), np.int8), lattice) == pytest.approx(np.full((2, 3), -4 / 6))
    assert energy(np.ones((3, 3)), Lattice(3, 3)) == -2
    spins = random_spins(8, 8)
    assert energy(spins[::2, ::2], Lattice(4, 4)) == energy(spins[::2, ::2].copy(), Lattice(4, 4))
    assert energy(spins.astype(int), Lattice(8, 8)) == energy(spins, Lattice(8, 8))


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int16, np.int64])
def test_whole_numbers_do_not_wrap(kind):
    large = 256 if np.dtype(kind).itemsize > 1 else 1
    whole = np.full((1, 4, 4), large, kind)
    assert magnetization(whole) == large
    assert energy(whole, Lattice(4, 4)) == -2 * large**2
    assert two_point(whole) == pytest.approx(np.full((1, 3), large**2))
    assert (observables.block_sums(whole, 2) == 4 * large).all()


def test_sums_of_sums_do_not_wrap():
    ones = np.ones((64, 64), np.int8)
    assert (observables.block_sums(observables.block_sums(ones, 16), 2) == 1024).all()
    assert observables.block_sums(ones, 16).dtype == np.int32
    huge = np.full((2, 2), 2**31 - 1, np.int32)
    assert observables.block_sums(huge, 2) == 4 * (2**31 - 1)


def test_magnetization_is_the_mean_spin():
    spins = random_spins(2, 3, 4, 5)
    assert magnetization(spins) == pytest.approx(spins.mean((2, 3)))
    assert magnetization(spins, dimension=1) == pytest.approx(spins.mean(3))


@pytest.mark.parametrize("periodic", [(True, True), (False, True), (False, False)])
@pytest.mark.parametrize("real", [False, True])
def test_two_point_is_the_mean_over_pairs(periodic, real, monkeypatch):
    monkeypatch.setattr(observables, "CHUNK", 100)  # several chunks
    spins = random_spins(3, 2, 6, 9)
    if real:
        spins = np.random.default_rng(2).normal(size=spins.shape).astype(np.float32)
    expected = np.zeros((3, 2, 4))
    values = spins.astype(float)
    for axis, wraps in zip((2, 3), periodic, strict=True):
        for r in range(4):
            inside = values.shape[axis] if wraps else values.shape[axis] - r
            products = np.take(values * np.roll(values, -r, axis), range(inside), axis)
            expected[..., r] += products.mean((2, 3)) / 2
    assert two_point(spins, periodic) == pytest.approx(expected, abs=1e-12)


def test_two_point_averages_to_the_exact_chain():
    sites, temperature = 8, 1.3
    for boundary in ("periodic", "antiperiodic", "free"):
        lattice = Lattice.of(sites, boundary, dimension=1)
        states = (1 - 2 * (np.arange(256)[:, None] >> np.arange(sites) & 1)).astype(np.int8)
        weights = np.exp(-sites * energy(states, lattice) / temperature)
        found = weights @ two_point(states, (boundary == "periodic",)) / weights.sum()
        exact = chain_correlation(np.arange(5), sites, temperature, boundary)
        assert found == pytest.approx(exact, abs=1e-12)


def test_averages_of_independent_states_agree_with_enumeration():
    lattice, temperature = Lattice(4, 4), 2.5
    exact = enumerate_states(lattice)
    probabilities = exact.probabilities(temperature)
    classes = np.random.default_rng(3).choice(probabilities.size, 20000, p=probabilities.ravel())
    level, up = np.unravel_index(classes, probabilities.shape)
    energies, m = exact.energies[level] / 16, exact.magnetizations[up] / 16
    second, fourth = (exact.magnetization(temperature, power=power) for power in (2, 4))
    absolute = exact.absolute_magnetization(temperature)
    expected = {
        observables.specific_heat(energies, 16, temperature): exact.thermal(temperature).specific_heat,
        observables.susceptibility(m, 16, temperature): 16 * second / temperature,
        observables.susceptibility(abs(m), 16, temperature): 16 * (second - absolute**2) / temperature,
        observables.binder(m): 1 - fourth / (3 * second**2),
    }
    for estimate, value in expected.items():
        assert abs(estimate.sigmas(value)) < 4
        assert estimate.error < 0.05 * abs(estimate.mean)
        assert abs(estimate.sigmas(1.3 * value)) > 4  # a wrong value is seen


def test_variances_of_few_samples_have_no_bias():
    few = np.array([0.1, -0.3, 0.4])
    assert observables.specific_heat(few, 16, 2.0).mean == pytest.approx(16 * few.var(ddof=1) / 4)
    assert observables.susceptibility(few, 16, 2.0).mean == pytest.approx(16 * few.var(ddof=1) / 2)


@pytest.fixture(scope="module")
def critical_order():
    return kadanoff.simulate(16, T_C, 2000, sampler="swendsen_wang", seed=1).magnetization[0]


@pytest.mark.parametrize("count", [3, 8, 16])
def test_error_of_binder_covers_from_few_critical_lattices(critical_order, count):
    exact = 1 - (critical_order**4).mean() / (3 * (critical_order**2).mean() ** 2)  # of those that are drawn from
    draws = np.random.default_rng(count).choice(critical_order, (1000, count))
    found = [observables.binder(order) for order in draws]
    assert {estimate.n for estimate in found} == {count}
    inside = np.mean([abs(estimate.sigmas(exact)) < 1 for estimate in found])
    bound = 4 * np.sqrt(0.683 * 0.317 / 1000)
    assert abs(inside - 0.683) < bound
    if count < 16:  # the jackknife's own error
        factor = 1 + (5 / count) ** 2.5
        assert np.mean([abs(estimate.sigmas(exact)) < 1 / factor for estimate in found]) < 0.683 - bound


def test_two_configurations_have_no_error_of_what_scatters():
    assert np.isnan(observables.binder(np.array([0.5, 0.6])).error)
    assert np.isnan(observables.specific_heat([0.5, 0.6], 16, 2.0).error)
    assert observables.binder(np.array([0.5, 0.6, 0.7])).error > 0


def test_binder_of_order_and_disorder():
    assert observables.binder(np.tile([0.8, -0.8], 50)).mean == pytest.approx(2 / 3)
    assert abs(observables.binder(np.random.default_rng(4).normal(size=50000)).sigmas(0)) < 4
