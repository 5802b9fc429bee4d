"""The exact density of states of skewed cylinders, against enumeration, transfer matrix and known integers."""

import numpy as np
import pytest

import kadanoff
from kadanoff.montecarlo.quality import compare, exact_energy
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import (
    T_C,
    enumerate_states,
    exact_energy_distribution,
    skewed_density_of_states,
    transfer_energy_distribution,
)

SMALL = [(2, 2), (2, 5), (3, 3), (3, 4), (4, 2), (4, 5)]
TEMPERATURES = [0.3, T_C, 5.0]


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
@pytest.mark.parametrize("shape", [(9, 7), (12, 6), (40, 5)])
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
    [(2, 7), (20, 31), (21, 23), (33, 20), pytest.param(100, 100, marks=pytest.mark.slow)],
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
