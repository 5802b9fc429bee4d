"""Sets drawn from a hand-made ensemble, whose spins and energies spell the number of their chain."""

import numpy as np
import pytest

import kadanoff
from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.phases.microstates import draw, draw_tests
from kadanoff.phases.regions import TEST, TRAIN, VALIDATION, region

TEMPERATURES = np.array([4.0, 0.5, 1.05, 1.06, 2.11, 2.12, 2.32, 2.33])  # two of each region, not in order
SAMPLES = 310  # what Table 1 with two test sets takes of the coldest region


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("data"))


def saved(folder, temperatures=TEMPERATURES):
    numbers = np.arange(len(TEMPERATURES) * SAMPLES).reshape(len(TEMPERATURES), SAMPLES)
    bits = numbers[..., None] >> np.arange(16) & 1
    spins = (2 * bits - 1).astype(np.int8).reshape(*numbers.shape, 4, 4)
    Ensemble(spins, temperatures, numbers / 2, numbers / 3, np.ones(len(temperatures))).save(folder / "numbered.zarr")
    return folder / "numbered.zarr"


def number(images):
    return ((images.spins.reshape(len(images), 16) > 0) << np.arange(16)).sum(1)


def repeated(*sets):
    """How many images are there more than once, by their spins."""
    numbers = np.concatenate([number(images) for images in sets])
    return len(numbers) - len(np.unique(numbers))


@pytest.fixture(scope="module")
def states(path):
    return draw(path, 2, seed=5)


def test_the_sets_have_the_counts_of_table_1(states):
    found = [states.train, states.validation, *states.tests]
    for images, counts in zip(found, (TRAIN, VALIDATION, TEST, TEST), strict=True):
        assert np.bincount(images.labels).tolist() == list(counts)
        assert len(images) == sum(counts)
        assert images.spins.shape == (sum(counts), 4, 4)
        assert images.spins.dtype == np.int8


def test_no_chain_is_there_twice(states):
    assert repeated(states.train, states.validation, *states.tests) == 0


def test_other_draws_repeat_chains(states, path):
    # negative control: these are sets of the same dataset, drawn apart from each other
    assert repeated(states.train, *draw_tests(path, 1, seed=5)) == 400
    assert 0 < repeated(states.train, *draw_tests(path, 1, seed=6)) < 400


def test_everything_known_of_an_image_belongs_to_it(states):
    for images in (states.train, states.validation, *states.tests):
        assert np.array_equal(images.chains, number(images))
        assert np.array_equal(images.energies, images.chains / 2)
        assert np.array_equal(images.temperatures, TEMPERATURES[images.chains // SAMPLES])
        assert np.array_equal(images.labels, region(images.temperatures))


def test_a_region_is_drawn_over_all_of_its_temperatures(states):
    # 80 sub-critical images of two temperatures: 40 +- 4.3 without replacement
    assert 20 < np.sum(states.train.temperatures == 1.06) < 60


@pytest.mark.parametrize("counts", [TRAIN, TEST])
def test_the_first_images_have_the_same_proportions(states, counts):
    images = states.train if counts is TRAIN else states.tests[0]
    for size in range(1, sum(counts) + 1):
        found = np.bincount(images[:size].labels, minlength=4)
        assert np.abs(found - size * np.array(counts) / sum(counts)).max() <= 1
    assert np.array_equal(images[:7].energies, images.energies[:7])
    # negative control: sorted by their region they have not
    ordered = np.sort(images.labels)[: len(images) // 2]
    assert np.abs(np.bincount(ordered, minlength=4) - np.array(counts) / 2).max() > 10


def test_the_draw_follows_the_seed_and_more_test_sets_leave_the_others(states, path):
    fewer, other = draw(path, 1, seed=5), draw(path, 2, seed=6)
    assert np.array_equal(states.train.chains, fewer.train.chains)
    assert np.array_equal(states.tests[0].spins, fewer.tests[0].spins)
    assert not np.array_equal(states.train.chains, other.train.chains)


def test_test_sets_alone(path):
    found = draw_tests(path, 4, seed=5)
    assert [np.bincount(images.labels).tolist() for images in found] == [list(TEST)] * 4
    assert repeated(*found) == 0


def test_too_few_chains_are_a_mistake(path, tmp_path):
    words = r"numbered.zarr has 620 chains in the far sub-critical region, .* needs 770"
    with pytest.raises(KadanoffError, match=words):
        draw(path, 3, seed=5)
    with pytest.raises(KadanoffError, match="has 0 chains in the critical region"):
        draw(saved(tmp_path, np.where(region(TEMPERATURES) == 2, 1.5, TEMPERATURES)), 1, seed=5)


def test_chains_are_a_mistake(tmp_path):
    chains = kadanoff.simulate(8, [1.0], 4, dimension=1, workers=1)
    chains.save(tmp_path / "chain.zarr")
    with pytest.raises(KadanoffError, match="zarr holds chains"):
        draw(tmp_path / "chain.zarr", 1, seed=5)
