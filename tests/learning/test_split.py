import numpy as np
import pytest

from kadanoff.errors import KadanoffError
from kadanoff.learning.split import Split, stratified_split


@pytest.fixture
def split() -> Split:
    return stratified_split(temperatures=8, samples=200, seed=0)


def test_proportions(split: Split) -> None:
    assert [len(split.train), len(split.validation), len(split.test)] == [1120, 160, 320]


def test_every_configuration_is_in_one_part(split: Split) -> None:
    together = np.concatenate([split.train, split.validation, split.test])
    assert np.array_equal(np.sort(together), np.arange(8 * 200))


@pytest.mark.parametrize(("part", "each"), [("train", 140), ("validation", 20), ("test", 40)])
def test_temperatures_have_equal_shares(split: Split, part: str, each: int) -> None:
    assert np.bincount(getattr(split, part) // 200).tolist() == [each] * 8


def test_a_beginning_is_stratified_too(split: Split) -> None:
    assert np.bincount(split.train[:104] // 200).tolist() == [13] * 8


def test_same_arguments_same_split_for_ever() -> None:
    split = stratified_split(temperatures=2, samples=10, seed=7)
    assert split.validation.tolist() == [8, 17]
    assert split.test.tolist() == [4, 19, 3, 16]
    assert split.train.tolist() == [6, 11, 2, 14, 1, 18, 0, 13, 5, 12, 9, 15, 7, 10]


def test_samples_are_shuffled_differently_for_seeds_and_temperatures(split: Split) -> None:
    other = stratified_split(temperatures=8, samples=200, seed=1)
    assert not np.array_equal(split.test, other.test)
    order = split.train.reshape(-1, 8) % 200
    assert len({tuple(column) for column in order.T}) == 8


def test_tiny_split_has_no_empty_part() -> None:
    split = stratified_split(temperatures=3, samples=3, seed=0)
    assert [len(split.train), len(split.validation), len(split.test)] == [3, 3, 3]


def test_too_few_samples() -> None:
    with pytest.raises(KadanoffError, match=r"samples is 2; .* at least 3"):
        stratified_split(temperatures=3, samples=2, seed=0)
