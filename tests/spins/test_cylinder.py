"""The exact density of states of skewed cylinders, held against enumeration, transfer matrix and known integers."""

import itertools

import numpy as np
import pytest

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.montecarlo.quality import compare, exact_energy
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import (
    T_C,
    enumerate_states,
    exact_energy_distribution,
    kaufman_energy_distribution,
    skewed_density_of_states,
    transfer_energy_distribution,
)

SMALL = list(itertools.product((2, 3, 4), (2, 3, 4, 5)))
TEMPERATURES = [0.3, 1.0, T_C, 5.0]


def enumerated(lattice):
    """Numbers of states by unsatisfied bonds, 0 included."""
    exact = enumerate_states(lattice)
    bonds = 2 * lattice.sites + lattice.width
    counts = np.zeros(bonds + 1, int)
    counts[(exact.energies + bonds) // 2] = exact.degeneracies.sum(1)
    return tuple(counts.tolist())


@pytest.mark.parametrize("shape", SMALL)
def test_small_cylinders_are_those_of_enumeration(shape):
    counts = skewed_density_of_states(*shape)
    assert counts == enumerated(Lattice(*shape, "skewed"))
    alike = Lattice(*shape, "skewed")
    vars(alike)["ghost"] = abs(alike.ghost)  # the negative control: + spins below too
    assert counts != enumerated(alike)
    for coupling in (1, -1):
        exact = enumerate_states(Lattice(*shape, "skewed", coupling))
        for temperature in TEMPERATURES:
            found = exact_energy_distribution(Lattice(*shape, "skewed", coupling), temperature)
            expected = exact.energy_distribution(temperature)
            assert found.levels.tolist() == expected.levels.tolist()
            assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-13)


@pytest.mark.parametrize("coupling", [1, -1])
@pytest.mark.parametrize("shape", [(16, 8), (9, 7), (12, 6), (40, 5), (3, 9)])
def test_narrow_cylinders_are_those_of_the_transfer_matrix(shape, coupling):
    lattice = Lattice(*shape, "skewed", coupling)
    for temperature in TEMPERATURES:
        expected = transfer_energy_distribution(lattice, temperature)
        found, other = (spread(lattice, near, len(expected.levels)) for near in (temperature, temperature + 1e-6))
        assert found == pytest.approx(expected.probabilities, abs=1e-12)
        assert other != pytest.approx(expected.probabilities, abs=1e-12)
    free = transfer_energy_distribution(Lattice(*shape, "free", coupling), T_C).thermal(lattice.sites, T_C)
    assert exact_energy_distribution(lattice, T_C).thermal(lattice.sites, T_C) != pytest.approx(free, rel=0.01)


def spread(lattice, temperature, count):
    """P over all energies, those that do not occur included."""
    levels, probabilities = exact_energy_distribution(lattice, temperature)
    full = np.zeros(count)
    full[(levels.astype(int) + count - 1) // 2] = probabilities
    return full


@pytest.mark.parametrize(
    ("height", "width"),
    [(2, 7), (30, 41), (31, 33), (33, 30), (64, 64), pytest.param(100, 100, marks=pytest.mark.slow)],
)
def test_known_integers_of_large_cylinders(height, width):
    """The lowest walls; and moments of E over all states, where <E^3> is of the triangles that a fixed row closes."""
    counts, sites, bonds = skewed_density_of_states(height, width), height * width, 2 * height * width + width
    assert len(counts) == bonds + 1
    assert not any(counts[:width])
    assert not any(counts[width + 1 :: 2])
    # A flat wall; or one with a step up and a step down, between two heights that are neighbours.
    assert counts[width : width + 3 : 2] == (height + 1, height * width * (width - 1))
    across = 6 * width if height == 2 else 0  # from the row above to that below in three bonds
    moments = [sum(count * (2 * k - bonds) ** power for k, count in enumerate(counts)) for power in range(4)]
    assert moments == [moment << sites for moment in (1, 0, bonds, across - 12 * width)]


def test_tori_of_any_boundary_are_kaufmans():
    for boundary, coupling in itertools.product(("periodic", "antiperiodic"), (1, -1)):
        found = exact_energy_distribution(Lattice(5, 6, boundary, coupling), 2.0)
        expected = kaufman_energy_distribution(5, 6, 2.0, boundary, coupling)
        assert found.levels.tolist() == expected.levels.tolist()
        assert found.probabilities.tolist() == expected.probabilities.tolist()


def test_a_cold_cylinder_has_one_flat_wall():
    lattice = Lattice(32, 30, "skewed")
    assert exact_energy(lattice, 0.01) == pytest.approx(-(2 * 960 - 30) / 960, rel=1e-14)
    assert exact_energy(lattice, 0.3) > -(2 * 960 - 30) / 960


def test_wide_ensembles_agree_with_exact_energies():
    lattice = Lattice(12, 10, "skewed")
    ensemble = kadanoff.simulate((12, 10), [2.5, 3.5], 2000, boundary="skewed", seed=5)
    assert all(abs(row["deviation"]) < 4 for row in compare(ensemble, lattice))
    ensemble.temperatures = ensemble.temperatures + 0.3  # the negative control: not these temperatures
    assert all(abs(row["deviation"]) > 4 for row in compare(ensemble, lattice))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: skewed_density_of_states(129, 128), "129 x 128 has 16512 spins.*16384"),
        (lambda: skewed_density_of_states(1, 8), "size is 1 x 8"),
        (lambda: exact_energy_distribution(Lattice(8, 8, "free"), 2.0), "lattice is free.*transfer_energy_dist"),
        (lambda: exact_energy_distribution(Lattice(1, 8, dimension=1), 2.0), "chain is periodic.*two dimensions"),
        (lambda: exact_energy_distribution(Lattice(8, 8, "skewed"), 0.0), "temperature is 0.0"),
    ],
)
def test_refuses_what_it_cannot_count(call, words):
    with pytest.raises(KadanoffError, match=words):
        call()
    assert exact_energy(Lattice(129, 128, "skewed"), 2.0) is None
