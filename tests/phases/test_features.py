import numpy as np
import pytest

import kadanoff
from kadanoff.phases.features import NAMES, neighbourhood_counts, pseudo_likelihood, table
from kadanoff.phases.microstates import Images
from kadanoff.phases.regions import region
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.observables import energy


def random_spins(*shape, seed=1):
    return np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), shape)


def images(spins, lattice=None, temperature=2.0):
    lattice = lattice or Lattice(*spins.shape[1:])
    temperatures = np.full(len(spins), temperature)
    return Images(spins, region(temperatures), temperatures, energy(spins, lattice), np.arange(len(spins)))


def slow_counts(spins):
    counts = np.zeros((len(spins), 5, 2), int)
    for image, lattice in enumerate(spins):
        for y, x in np.ndindex(lattice.shape[0] - 2, lattice.shape[1] - 2):
            neighbours = [lattice[y + i, x + j] for i, j in ((0, 1), (2, 1), (1, 0), (1, 2))]
            counts[image, neighbours.count(1), int(lattice[y + 1, x + 1] == 1)] += 1
    return counts


def test_counts_are_those_made_one_by_one():
    spins = random_spins(3, 6, 8)
    found = neighbourhood_counts(spins)
    assert found.dtype == np.int64
    assert np.array_equal(found, slow_counts(spins))
    assert found.sum((1, 2)).tolist() == [24] * 3
    assert np.array_equal(neighbourhood_counts(spins[:, ::-1]), found)  # a view, mirrored
    assert np.array_equal(neighbourhood_counts(-spins), found[:, ::-1, ::-1])
    assert not np.array_equal(neighbourhood_counts(spins[::-1]), found)  # negative control


def test_counts_of_states_without_disorder():
    up, checkerboard = np.ones((1, 5, 5), np.int8), (1 - 2 * (np.indices((5, 5)).sum(0) % 2)).astype(np.int8)[None]
    assert neighbourhood_counts(up)[0, 4].tolist() == [0, 9]
    found = neighbourhood_counts(checkerboard)[0]
    assert (found[4, 0], found[0, 1], found.sum()) == (4, 5, 9)


def test_features_of_a_ground_state_and_of_one_excitation():
    spins = np.ones((2, 10, 10), np.int8)
    spins[1, 5, 5] = -1
    ground, excited = (dict(zip(NAMES, values, strict=True)) for values in table(images(spins)))
    assert (ground["energy"], ground["|m|"], ground["staggered |m|"]) == (-2, 1, 0)
    logs = {"log excess": 0.5 / 100, "log aligned 4": 64.5 / 64, "log aligned 0": 0.5 / 64}  # no broken bond
    assert [ground[name] for name in logs] == pytest.approx(np.log(list(logs.values())))
    logs = {"log excess": 4.5 / 100, "log aligned 0": 1.5 / 64, "log aligned 3": 4.5 / 64}
    assert {name: excited[name] for name in logs} == pytest.approx(
        {name: np.log(value) for name, value in logs.items()}
    )


def test_features_do_not_change_with_a_flip_but_with_a_shuffle():
    spins = random_spins(5, 8, 8)
    spins[:, :4] = 1
    values = table(images(spins))
    np.testing.assert_allclose(table(images(-spins)), values, atol=1e-14)
    shuffled = np.random.default_rng(2).permuted(spins.reshape(5, 64), axis=1).reshape(spins.shape)
    assert np.abs(table(images(shuffled)) - values).max() > 0.1  # negative control


def test_an_antiferromagnet_is_a_ferromagnet_with_other_columns():
    spins = random_spins(5, 8, 8)
    signs = (1 - 2 * (np.indices((8, 8)).sum(0) % 2)).astype(np.int8)
    values = table(images(spins))
    other = table(images(spins * signs, Lattice.of(8, coupling=-1)))
    np.testing.assert_allclose(other, values[:, [0, 1, 3, 2, 8, 7, 6, 5, 4]], atol=1e-14)


@pytest.mark.parametrize(("coupling", "boundary"), [(1.0, "skewed"), (-1.0, "periodic")])
def test_the_pseudo_likelihood_reads_the_coupling(coupling, boundary):
    temperatures = [1.5, 2.27, 3.5]
    given = {"sampler": "hybrid", "sweeps": 40, "seed": 1, "workers": 1, "allow_unequilibrated": True}
    found = kadanoff.simulate(48, temperatures, 64, boundary=boundary, coupling=coupling, **given)
    for spins, temperature in zip(found.spins, temperatures, strict=True):
        read = pseudo_likelihood(np.asarray(spins))
        error = read.std(ddof=1) / 8
        assert read.shape == (64,)
        assert abs(read.mean() - coupling / temperature) < 4 * error
        assert abs(read.mean() - coupling / (1.05 * temperature)) > 4 * error  # negative control


def test_the_pseudo_likelihood_is_the_likeliest_coupling():
    spins = random_spins(3, 7, 9)
    fields = np.arange(-4, 5, 2)[:, None]
    signs, counts = np.array([-1, 1]), neighbourhood_counts(spins).astype(float)
    counts[:, [0, 0, 4, 4], [0, 1, 0, 1]] += 0.25  # half a site aligned, half a site against

    def likelihood(couplings):
        terms = -np.logaddexp(0, -2 * couplings[:, None, None] * fields * signs)
        return (counts * terms).sum((1, 2))

    best = pseudo_likelihood(spins)
    for step in (-1e-3, 1e-3):
        assert np.all(likelihood(best + step) < likelihood(best))


def test_the_pseudo_likelihood_of_ground_states_is_finite_and_has_their_sign():
    up, signs = np.ones((1, 12, 12), np.int8), (1 - 2 * (np.indices((12, 12)).sum(0) % 2)).astype(np.int8)
    found = pseudo_likelihood(np.concatenate([up, up * signs, -up]))
    assert found[0] == pytest.approx(np.arctanh(100 / 101) / 4, rel=1e-9)
    assert found.tolist() == pytest.approx([found[0], -found[0], found[0]], rel=1e-9)
    excited = up.copy()
    excited[0, 5, 5] = -1
    assert 0 < pseudo_likelihood(excited)[0] < found[0]
    assert pseudo_likelihood(up[:0]).shape == (0,)
