"""The exact density of states of large tori: integers that are known otherwise, and averages and P(E) made of them."""

import math

import mpmath
import numpy as np
import pytest

from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, enumerate_states, exact_energy_distribution, kaufman, torus_density_of_states

TORI = ["periodic", "antiperiodic"]
LARGE = [32, pytest.param(100, marks=pytest.mark.slow)]


def lowest(side, boundary):
    """The first numbers of states: a flipped spin, two neighbours, .. or a shortest wall in both directions."""
    sites = side**2
    if boundary == "periodic":
        return 0, (2, 0, 2 * sites, 4 * sites, sites**2 + 9 * sites, 4 * sites**2 + 24 * sites)
    # Up or down; side * comb monotonic closed walls of either slope, a straight pair being of both.
    return 2 * side, (2 * (side * math.comb(2 * side, side) - sites),)


@pytest.mark.parametrize("boundary", TORI)
@pytest.mark.parametrize("side", LARGE)
def test_the_number_of_states_is_exact(side, boundary):
    counts = torus_density_of_states(side, side, boundary)
    first, known = lowest(side, boundary)
    assert counts[first : first + 2 * len(known) : 2] == known
    assert not any(counts[:first])
    assert not any(counts[1::2])
    assert counts == counts[::-1]
    assert sum(counts) == 2 ** (side**2)


def test_the_lowest_walls_are_those_of_enumeration():
    first, known = lowest(4, "antiperiodic")
    exact = enumerate_states(Lattice(4, 4, "antiperiodic"))
    assert exact.energies[0] == 2 * first - 32
    assert exact.degeneracies.sum(1)[0] == known[0] == 528


def test_an_odd_torus_with_all_bonds_reversed_is_the_antiperiodic_one():
    periodic, antiperiodic = (torus_density_of_states(15, 21, boundary) for boundary in TORI)
    assert periodic == antiperiodic[::-1]
    assert periodic != antiperiodic
    assert sum(torus_density_of_states(15, 22, "antiperiodic")[1::2]) == 2**330  # 37 bonds are reversed


SLOW = [pytest.param(shape, marks=pytest.mark.slow) for shape in ((100, 100), (99, 101))]


@pytest.mark.parametrize("boundary", TORI)
@pytest.mark.parametrize("shape", [(6, 9), (16, 16), (21, 23), (20, 31), (32, 32), *SLOW])
def test_moments_of_tori_agree_with_kaufman(shape, boundary):
    for temperature in (0.5, T_C, 4.0):
        exact = kaufman(*shape, temperature, boundary)
        found, other = (
            exact_energy_distribution(Lattice(*shape, boundary), near).thermal(math.prod(shape), near)
            for near in (temperature, temperature * 1.0001)
        )
        assert found == pytest.approx(exact, rel=1e-11)
        assert other.specific_heat != pytest.approx(exact.specific_heat, rel=1e-5)


@pytest.mark.parametrize("boundary", TORI)
@pytest.mark.parametrize("side", LARGE)
def test_every_probability_is_that_of_forty_digits(side, boundary):
    counts, bonds = torus_density_of_states(side, side, boundary), 2 * side**2
    for temperature in (0.01, 0.5, 2.27):
        with mpmath.workdps(40):
            beta = 1 / mpmath.mpf(temperature)
            weights = [count * mpmath.exp(-beta * (2 * k - bonds)) for k, count in enumerate(counts) if count]
            total = mpmath.fsum(weights)
            expected = np.array([float(weight / total) for weight in weights])
        seen = expected > 1e-30
        found = exact_energy_distribution(Lattice(side, side, boundary), temperature).probabilities
        assert found[seen] == pytest.approx(expected[seen], rel=1e-11)
        if temperature > 0.1:  # below only the ground state is seen
            other = exact_energy_distribution(Lattice(side, side, boundary), temperature + 1e-9).probabilities
            assert other[seen] != pytest.approx(expected[seen], rel=1e-11)
