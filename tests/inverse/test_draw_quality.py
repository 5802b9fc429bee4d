"""The measures of super-resolved lattices, on lattices and histograms for which they are known."""

import numpy as np
import pytest

import kadanoff
from kadanoff.inverse.quality import Measured, asymmetries, binned, compare, expected_distance, measure
from kadanoff.spins.blocking import RULES
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import enumerate_states, exact_energy_distribution
from kadanoff.spins.statistics import independent_mean

RANDOM = np.random.default_rng(0)


def lattices(count, *sides):
    return RANDOM.choice(np.array([-1, 1], np.int8), (count, *sides))


def drawn(exact, count, seed):
    """Energies that follow an exact distribution; blocks and magnetization of no meaning."""
    random = np.random.default_rng(seed)
    energies = random.choice(exact.levels, count, p=exact.probabilities).astype(np.int64)
    sums = random.multinomial(16, [0.3, 0.15, 0.1, 0.15, 0.3], count)
    none = np.zeros(count)
    return Measured(energies, random.random(count), sums, none, none, none, 64)


@pytest.mark.parametrize(
    ("rule", "block", "sides"), [("majority", 2, (4, 8)), ("decimation", 3, (6, 6)), ("threshold", 2, (8,))]
)
def test_what_is_measured_follows_its_definition(rule, block, sides):
    fine, dimension = lattices(5, *sides), len(sides)
    coarse = RULES[rule](fine, block, dimension)
    coarse.reshape(5, -1)[0, :2] *= -1
    found = measure(coarse, fine, rule)
    bonds = sum((fine * np.roll(fine, 1, axis)).reshape(5, -1).sum(1, dtype=int) for axis in range(1, dimension + 1))
    assert (found.energy == -bonds).all()
    assert found.order == pytest.approx(np.abs(fine.reshape(5, -1).mean(1)))
    assert found.broken.tolist() == [2 / coarse[0].size, 0, 0, 0, 0]
    assert (found.sums.sum(1) == coarse[0].size).all()
    assert (found.sums @ np.arange(block**dimension + 1) == (fine > 0).reshape(5, -1).sum(1)).all()
    assert found.sites == fine[0].size


@pytest.mark.parametrize(("block", "sides"), [(2, (4, 8)), (3, (6, 6)), (3, (7, 8)), (2, (8,))])
def test_bonds_lie_between_blocks_or_inside_and_along_an_axis(block, sides):
    fine = lattices(4, *sides)
    between, along_x = asymmetries(fine, block)
    for number, spins in enumerate(fine):
        bonds = [spins * np.roll(spins, -1, axis) for axis in range(len(sides))]
        apart = [np.diff(np.arange(side + 1) // block) > 0 for side in sides]  # the bond across the seam is the last
        for edges, side in zip(apart, sides, strict=True):
            edges[-1] = side % block == 0
        lines = [np.moveaxis(item, axis, -1) for axis, item in enumerate(bonds)]
        pairs = zip(lines, apart, strict=True)
        expected = np.mean([line[..., edges].mean() - line[..., ~edges].mean() for line, edges in pairs])
        assert between[number] == pytest.approx(expected)
        assert along_x[number] == pytest.approx(bonds[-1].mean() - bonds[0].mean())


def test_equilibrium_has_the_symmetries_and_independent_blocks_have_not():
    """Threshold: 4 standard errors, and 20 for blocks without bonds to each other, or stretched ones."""
    fine = kadanoff.simulate(24, [2.4], 500, seed=4).spins[0]
    assert all(abs(independent_mean(values).sigmas(0.0)) < 4 for values in asymmetries(fine, 3))
    blocks = fine.reshape(500, 8, 3, 8, 3).transpose(0, 1, 3, 2, 4)
    moved = RANDOM.permutation(blocks.reshape(500, 64, 9), axis=1).reshape(500, 8, 8, 3, 3).transpose(0, 1, 3, 2, 4)
    assert independent_mean(asymmetries(moved.reshape(fine.shape), 3)[0]).sigmas(0.0) < -20
    stretched = np.repeat(fine[:, :, :12], 2, axis=2)
    assert independent_mean(asymmetries(stretched, 3)[1]).sigmas(0.0) > 20


def test_parts_are_joined_and_cut():
    coarse, fine = lattices(7, 2, 2), lattices(7, 4, 4)
    whole = measure(coarse, fine, "majority")
    parts = Measured.joined([measure(coarse[rows], fine[rows], "majority") for rows in (slice(3), slice(3, None))])
    assert len(parts) == 7
    for name in vars(whole):
        assert np.all(getattr(parts, name) == getattr(whole, name))
        if name != "sites":
            assert (getattr(parts.first(3), name) == getattr(whole, name)[:3]).all()


def test_a_set_does_not_differ_from_itself():
    exact = exact_energy_distribution(Lattice(8, 8), 2.3)
    found = drawn(exact, 3000, 1)
    quality = compare(found, found, exact)
    for name in ("energy", "energies", "levels", "sums", "order", "broken"):
        assert (getattr(quality, name).mean, getattr(quality, name).error) == (0, 0)
    assert quality.variance.mean == pytest.approx(1)
    assert quality.ties.mean == 1
    assert abs(quality.exact_energy.sigmas(0)) < 4


def test_independent_sets_of_one_distribution_differ_by_noise_alone():
    exact = exact_energy_distribution(Lattice(8, 8), 2.3)
    found = [compare(drawn(exact, 5000, seed), drawn(exact, 5000, 100 + seed), exact) for seed in range(10)]
    for name in ("energy", "order", "exact_energy"):
        assert abs(getattr(found[0], name).sigmas(0)) < 4
    for name in ("variance", "ties"):
        assert abs(getattr(found[0], name).sigmas(1)) < 4
    few = binned(exact.probabilities, exact)
    for name, probabilities, others in (
        ("energies", few, 5000),
        ("energies_exact", few, None),
        ("levels", exact.probabilities, 5000),
    ):
        noise = expected_distance(probabilities, 5000, others)
        assert np.mean([getattr(quality, name).mean for quality in found]) == pytest.approx(noise, rel=0.2)


def test_another_temperature_is_seen_in_every_measure_of_the_energy():
    exact, other = (exact_energy_distribution(Lattice(8, 8), temperature) for temperature in (2.3, 2.5))
    quality = compare(drawn(other, 20_000, 1), drawn(exact, 20_000, 2), exact)
    true = (other.probabilities @ other.levels - exact.probabilities @ exact.levels) / 64
    assert abs(quality.energy.sigmas(true)) < 4
    assert quality.energy.sigmas(0) > 20
    expected = 0.5 * np.abs(binned(other.probabilities - exact.probabilities, exact)).sum()
    assert quality.energies_exact.mean == pytest.approx(expected, abs=0.02)
    assert quality.energies.mean == pytest.approx(expected, abs=0.02)


def test_blocks_of_an_odd_number_of_spins_have_no_ties():
    exact = enumerate_states(Lattice(6, 3)).energy_distribution(2.0)
    fine = lattices(20, 6, 3)
    found = measure(RULES["majority"](fine, 3), fine, "majority")
    assert compare(found, found, exact).ties is None
