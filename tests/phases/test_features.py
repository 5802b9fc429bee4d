import numpy as np
import pytest

import kadanoff
from kadanoff.errors import KadanoffError
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


def test_other_arrays_are_a_mistake():
    with pytest.raises(KadanoffError, match="int8"):
        neighbourhood_counts(random_spins(2, 6, 6).astype(float))
    with pytest.raises(KadanoffError, match=r"\(6, 6\)"):
        neighbourhood_counts(random_spins(6, 6))
    with pytest.raises(KadanoffError, match="images of 2 x 5 have no site off their edges"):
        table(images(random_spins(2, 2, 5)))


def test_features_of_a_ground_state():
    names, values = table(images(np.ones((1, 10, 10), np.int8)))
    found = dict(zip(names, values[0], strict=True))
    assert names == NAMES
    assert found["energy"] == -2
    assert found["log excess"] == pytest.approx(np.log(0.5 / 100))  # no broken bond
    assert (found["|m|"], found["staggered |m|"]) == (1, 0)
    assert found["log aligned 4"] == pytest.approx(np.log(64.5 / 64))
    assert found["log aligned 0"] == pytest.approx(np.log(0.5 / 64))


def test_features_know_broken_bonds():
    spins = np.ones((1, 10, 10), np.int8)
    spins[0, 5, 5] = -1
    values = dict(zip(NAMES, table(images(spins))[1][0], strict=True))
    assert values["log excess"] == pytest.approx(np.log(4.5 / 100))
    assert values["log aligned 0"] == pytest.approx(np.log(1.5 / 64))
    assert values["log aligned 3"] == pytest.approx(np.log(4.5 / 64))


def test_features_do_not_change_with_a_flip_but_with_a_shuffle():
    spins = random_spins(5, 8, 8)
    spins[:, :4] = 1
    values = table(images(spins))[1]
    np.testing.assert_allclose(table(images(-spins))[1], values, atol=1e-14)
    shuffled = np.random.default_rng(2).permuted(spins.reshape(5, 64), axis=1).reshape(spins.shape)
    assert np.abs(table(images(shuffled))[1] - values).max() > 0.1  # negative control


def test_an_antiferromagnet_is_a_ferromagnet_with_other_columns():
    spins = random_spins(5, 8, 8)
    signs = (1 - 2 * (np.indices((8, 8)).sum(0) % 2)).astype(np.int8)
    values = table(images(spins))[1]
    other = table(images(spins * signs, Lattice.of(8, coupling=-1)))[1]
    np.testing.assert_allclose(other, values[:, [0, 1, 3, 2, 8, 7, 6, 5, 4]], atol=1e-14)


@pytest.mark.parametrize("boundary", ["periodic", "antiperiodic", "skewed"])
def test_features_are_finite_and_order_temperatures(boundary):
    lattice = Lattice.of(8, boundary)
    found = kadanoff.simulate(
        8,
        [0.5, 4.0],
        samples=20,
        boundary=boundary,
        seed=3,
        sweeps=400,
        workers=1,
        sampler="metropolis",
        allow_unequilibrated=True,
    )
    cold, hot = (table(images(found.read(place), lattice))[1] for place in (0, 1))
    assert np.isfinite(cold).all()
    assert np.isfinite(hot).all()
    assert hot[:, 1].mean() > cold[:, 1].mean() + 1


@pytest.mark.parametrize("coupling", [1.0, -1.0])
@pytest.mark.parametrize("boundary", ["periodic", "skewed"])
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
