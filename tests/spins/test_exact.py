"""Exact results against each other, against enumeration, and against published numbers."""

import itertools
import math

import numpy as np
import pytest

import kadanoff
from kadanoff.spins.boundary import BOUNDARIES, Lattice
from kadanoff.spins.exact import (
    AMPLITUDE,
    SQUARE,
    T_C,
    chain,
    chain_correlation,
    critical_correlation,
    critical_diagonal,
    critical_energy,
    critical_row,
    critical_square,
    enumerate_states,
    exact_energy_distribution,
    kaufman,
    log_partition,
    onsager,
    ring_order,
    spontaneous_magnetization,
    torus_density_of_states,
    transfer_energy_distribution,
)
from kadanoff.spins.statistics import independent_mean

SIZES = [(2, 2), (2, 4), (3, 3), (4, 3), (3, 5)]
TORI = ["periodic", "antiperiodic"]
TEMPERATURES = [0.3, T_C, 5.0]


def all_states(lattice):
    """All states, shape (2^N, height, width), and their total energies from the definition of H."""
    states = np.array(list(itertools.product((1, -1), repeat=lattice.sites))).reshape(-1, *lattice.shape)
    energies = -(lattice.right * states * np.roll(states, -1, 2)).sum((1, 2))
    energies -= (lattice.down * states * np.roll(states, -1, 1)).sum((1, 2))
    return states, energies - (lattice.ghost * states).sum((1, 2))


@pytest.mark.parametrize(("boundary", "coupling"), list(itertools.product(BOUNDARIES, (1, -1))))
def test_enumeration_is_the_boltzmann_average(boundary, coupling):
    lattice, temperature, field = Lattice(3, 4, boundary, coupling), 1.7, 0.3
    states, energies = all_states(lattice)
    m = states.mean((1, 2))
    energies = energies - field * lattice.sites * m
    weights = np.exp(-energies / temperature)
    weights /= weights.sum()
    mean = weights @ energies
    exact = enumerate_states(lattice)
    energy, heat = exact.thermal(temperature, field)
    assert energy == pytest.approx(mean / 12, abs=1e-13)
    assert heat == pytest.approx(weights @ (energies - mean) ** 2 / 12 / temperature**2, abs=1e-13)
    assert exact.magnetization(temperature, field) == pytest.approx(weights @ m, abs=1e-13)
    assert exact.magnetization(temperature, field, 2) == pytest.approx(weights @ m**2, abs=1e-13)
    assert exact.absolute_magnetization(temperature, field) == pytest.approx(weights @ abs(m), abs=1e-13)
    levels, probabilities = exact.energy_distribution(temperature, field)
    ground = np.isclose(energies, energies.min())
    assert levels[0] == pytest.approx(energies.min())
    assert probabilities[0] == pytest.approx(weights[ground].sum(), abs=1e-13)


def test_enumeration_of_2_by_2_by_hand():
    exact = enumerate_states(Lattice(2, 2))
    assert exact.energies.tolist() == [-8, 0, 8]
    assert exact.degeneracies.sum(1).tolist() == [2, 12, 2]
    assert exact.degeneracies.tolist()[0] == [1, 0, 0, 0, 1]


@pytest.mark.parametrize(("shape", "boundary", "coupling"), list(itertools.product(SIZES, BOUNDARIES, (1, -1))))
def test_every_solution_agrees_with_enumeration(shape, boundary, coupling):
    lattice = Lattice(*shape, boundary, coupling)
    exact = enumerate_states(lattice)
    for temperature in TEMPERATURES:
        expected = exact.energy_distribution(temperature)
        thermal = expected.thermal(lattice.sites, temperature)
        full = transfer_energy_distribution(lattice, temperature)
        possible = np.isin(full.levels, expected.levels)
        assert full.probabilities[possible] == pytest.approx(expected.probabilities, abs=1e-13)
        assert not full.probabilities[~possible].any()
        if boundary in TORI:
            found = exact_energy_distribution(lattice, temperature)
            assert found.levels.tolist() == expected.levels.tolist()
            assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-13)
            assert kaufman(*shape, temperature, boundary, coupling) == pytest.approx(thermal, abs=1e-13)
            partition = sum(exact.degeneracies.sum(1) * np.exp(-(exact.energies - exact.energies[0]) / temperature))
            ground = exact.energies[0] / temperature
            found = log_partition(*shape, temperature, boundary, coupling)
            assert found == pytest.approx(np.log(partition) - ground, abs=1e-12)


def test_oracle_rejects_the_neighbouring_temperature():
    exact = enumerate_states(Lattice(4, 4)).thermal(T_C)
    assert kaufman(4, 4, T_C + 1e-6) != pytest.approx(exact, abs=1e-7)
    assert kaufman(4, 4, T_C, "antiperiodic") != pytest.approx(exact, abs=1e-2)


def test_density_of_states_of_32_by_32_as_published():
    counts = torus_density_of_states(32, 32)
    assert sum(counts) == 2**1024
    assert counts[:11:2] == (2, 0, 2048, 4096, 1057792, 4218880)  # Beale 1996
    assert not any(counts[1::2])
    assert counts == counts[::-1]
    assert str(counts[1024]).startswith("6342873169001916568766443273025000331593063924436135196680")


def test_odd_antiferromagnet_is_the_antiperiodic_ferromagnet():
    frustrated = kaufman(9, 9, 1.5, "periodic", -1)
    assert frustrated == pytest.approx(kaufman(9, 9, 1.5, "antiperiodic"), rel=1e-14)
    assert frustrated.energy > kaufman(9, 9, 1.5).energy + 0.1


def test_critical_energy_approaches_onsager_as_one_over_size():
    corrections = [(-kaufman(size, size, T_C).energy / 2 - 0.5**0.5) * size for size in (32, 64)]
    assert corrections == pytest.approx([0.31122] * 2, abs=2e-4)


def test_onsager_agrees_with_a_large_torus_away_from_the_critical_point():
    for temperature in (1.0, 1.8, 3.0):
        assert kaufman(64, 64, temperature) == pytest.approx(onsager(temperature), rel=1e-6)


def test_onsager_at_known_points():
    assert pytest.approx(2.269185314213022, abs=1e-15) == T_C
    assert onsager(T_C).energy == pytest.approx(-np.sqrt(2), abs=1e-13)
    step = 1e-5
    slope = (onsager(2 + step).energy - onsager(2 - step).energy) / (2 * step)
    assert onsager(2).specific_heat == pytest.approx(slope, rel=1e-7)
    assert onsager(1e6).specific_heat == pytest.approx(2e-12, rel=1e-6)


def test_spontaneous_magnetization_at_known_points():
    found = spontaneous_magnetization([0.01, 2.0, T_C, 3.0])
    assert found == pytest.approx([1, 0.911319377877496, 0, 0], abs=1e-12)
    near = spontaneous_magnetization(T_C * (1 - 1e-8)) / spontaneous_magnetization(T_C * (1 - 1e-7))
    assert near == pytest.approx(10**-0.125, rel=1e-5)


@pytest.mark.parametrize(
    ("sites", "boundary", "coupling"),
    list(itertools.product((2, 3, 8), ("periodic", "antiperiodic", "free"), (1, -1))),
)
def test_chain_agrees_with_enumeration(sites, boundary, coupling):
    lattice = Lattice.of(sites, boundary, coupling, dimension=1)
    states, energies = all_states(lattice)
    for temperature in (0.2, 1.0, 4.0):
        expected = enumerate_states(lattice).thermal(temperature)
        assert chain(sites, temperature, boundary, coupling) == pytest.approx(expected, abs=1e-12)
        weights = np.exp(-(energies - energies.min()) / temperature)
        correlations = weights @ (states[:, 0] * states[:, 0, :1]) / weights.sum()
        found = chain_correlation(np.arange(sites), sites, temperature, boundary, coupling)
        assert found == pytest.approx(correlations, abs=1e-12)


def test_long_chain():
    assert chain(10**6, 1.0).energy == pytest.approx(-np.tanh(1), abs=1e-14)
    assert chain(10**6, 1.0).specific_heat == pytest.approx(1 / np.cosh(1) ** 2, abs=1e-14)
    assert chain_correlation([[0, 1], [2, 3]], 10**6, 2.0) == pytest.approx(np.tanh(0.5) ** np.array([[0, 1], [2, 3]]))


def test_tall_cylinder_approaches_the_infinite_one():
    def energy_of_rows(rows):
        lattice = Lattice(rows, 4, "skewed")
        return rows * transfer_energy_distribution(lattice, 3.0).thermal(lattice.sites, 3.0).energy

    torus = kaufman(400, 4, 3.0).energy
    assert energy_of_rows(100) - energy_of_rows(80) == pytest.approx(20 * torus, rel=1e-9)


@pytest.mark.parametrize("side", [16, 32])
def test_the_critical_energy_is_kaufmans_up_to_a_cube(side):
    difference = abs(critical_energy(side) - kaufman(side, side, float(T_C)).energy)
    assert difference < 0.5 / side**3
    assert abs(critical_energy(2 * side) - kaufman(side, side, float(T_C)).energy) > 0.1 / side


def test_the_critical_correlation_is_that_of_the_plane_nearby_and_symmetric_on_the_torus():
    assert critical_correlation(0, 1, 10**6) == pytest.approx(AMPLITUDE, rel=1e-3)
    assert critical_correlation(0, 30, 100) == pytest.approx(critical_correlation(30, 0, 100), rel=1e-12)
    assert critical_correlation(5, 30, 100) == pytest.approx(critical_correlation(-5, 70, 100), rel=1e-12)
    assert critical_correlation(0, 50, 100) < critical_correlation(0, 40, 100)


def test_the_average_of_the_critical_correlation_is_the_square_of_the_magnetization():
    """By the midpoint rule, whose error at the singularity falls as h^(7/4)."""
    coarse, fine = (
        np.mean([critical_correlation(y, x, 1) for y in places for x in places])
        for places in ((np.arange(count) + 0.5) / count for count in (16, 32))
    )
    limit = fine + (fine - coarse) / (2**1.75 - 1)
    assert limit == pytest.approx(SQUARE, abs=1e-4)
    assert abs(coarse - SQUARE) > 3 * abs(limit - SQUARE)


def test_the_critical_row_is_exact_nearby_and_joins_its_limit():
    """sqrt(1/2), half of -e, at r = 1, and 1 - 4 / pi^2 at r = 2."""
    near = [critical_row(r, 10**6) for r in (1, 2)]
    assert near[0] == pytest.approx(math.sqrt(0.5), rel=1e-6)
    assert near[1] == pytest.approx(1 - 4 / math.pi**2, rel=1e-6)
    assert critical_correlation(0, 2, 10**6) != pytest.approx(1 - 4 / math.pi**2, rel=1e-3)
    above = [critical_row(r, 10**6) / critical_correlation(0, r, 10**6) - 1 for r in (32, 33)]
    assert above[0] / above[1] == pytest.approx((33 / 32) ** 2, rel=0.02)


def test_the_critical_row_of_a_torus_is_that_of_monte_carlo():
    """Side 32, 4 standard errors; the infinite lattice is rejected."""
    spins = kadanoff.simulate(
        32, [T_C], 2000, sampler="swendsen_wang", sweeps=100, seed=8, allow_unequilibrated=True
    ).spins[0]
    for distance in (1, 2, 3, 8):
        found = independent_mean((spins * np.roll(spins, distance, 2)).mean((1, 2), dtype=float))
        assert abs(found.sigmas(critical_row(distance, 32))) < 4
        assert abs(found.sigmas(critical_row(distance, 10**6))) > 4


def test_the_critical_square_of_small_tori_is_that_of_enumeration():
    """4 x 4: all 65,536 states; and where the scaling limit takes over there is no step: the slope falls to 7/4."""
    states = 1 - 2 * (np.arange(2**16)[:, None] >> np.arange(16) & 1).reshape(-1, 4, 4)
    energies = -(states * (np.roll(states, 1, 1) + np.roll(states, 1, 2))).sum((1, 2))
    weights = np.exp(-(energies + 32) / float(T_C))
    exact = weights @ states.mean((1, 2)) ** 2 / weights.sum()
    assert critical_square(4) == pytest.approx(exact, rel=1e-12)
    assert critical_square(10) == pytest.approx(0.6125676827, rel=3e-5)  # by the transfer matrix, in 20 seconds
    assert abs(SQUARE * 10**-0.25 / 0.6125676827 - 1) > 3e-4
    sides = np.array([4, 6, 8, 10, 12, 16, 32])
    susceptibilities = np.log([critical_square(side) * side**2 for side in sides])
    slopes = np.diff(susceptibilities) / np.diff(np.log(sides))
    assert (np.diff(slopes) < 0).all()
    assert slopes[-1] == pytest.approx(1.75, abs=2e-3)


def test_the_critical_diagonal_is_exact_up_to_a_cube():
    """c11 of 4 x 4 is that of two sites two apart in a row, by symmetry; of 10 x 10 by the transfer matrix."""
    for side, exact in ((4, 0.7405204461), (6, 0.7087175138), (8, 0.6911953399), (10, 0.6804279820)):
        assert abs(critical_diagonal(side) - exact) < 0.5 / side**3
        assert abs(2 / math.pi - exact) > 0.5 / side**3


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_order_of_a_ring_is_that_of_all_its_states(temperature):
    order = ring_order(10, temperature)
    states = 1 - 2 * (np.arange(2**10)[:, None] >> np.arange(10) & 1)
    weights = np.exp((states * np.roll(states, 1, 1)).sum(1) / temperature)
    assert order == pytest.approx(np.average(np.abs(states.mean(1)), weights=weights), abs=1e-12)
    assert order != pytest.approx(ring_order(10, 1.1 * temperature), abs=1e-4)
