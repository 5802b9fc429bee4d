"""Lanes in and out of words, comparison by planes against whole numbers, and vectors against NumPy."""

import operator

import numpy as np
import pytest
from numba import njit

from kadanoff.montecarlo.multispin import ALL, NONE, compare_plane, pack, plane_of, unpack
from kadanoff.montecarlo.rng import THRESHOLD_BITS, philox, stream_key, threshold
from kadanoff.montecarlo.simd import WIDTH, any_bit, counting, load, splat, store

KEY = stream_key(2, "multispin")


@pytest.mark.parametrize("lanes", [1, 3, 63, 64])
def test_pack_and_unpack(lanes):
    spins = 2 * np.random.default_rng(0).integers(0, 2, (lanes, 5, 7), np.int8) - 1
    words = pack(spins)
    for lane in range(64):
        expected = spins[lane] > 0 if lane < lanes else np.zeros((5, 7))
        np.testing.assert_array_equal(words >> np.uint64(lane) & np.uint64(1), expected)
    again = np.zeros_like(spins)
    unpack(words, again)
    np.testing.assert_array_equal(again, spins)


@njit
def compare(threshold, planes):
    less, undecided = NONE, ALL
    for n in range(THRESHOLD_BITS):
        less, undecided = compare_plane(less, undecided, planes[n], plane_of(threshold, n))
    return less, undecided


def test_comparison_by_planes_is_that_of_whole_numbers():
    planes = np.random.default_rng(0).integers(0, 2**64, THRESHOLD_BITS, np.uint64)
    lanes = np.arange(64, dtype=np.uint64)
    r = [int("".join(str(plane >> lane & np.uint64(1)) for plane in planes), 2) for lane in lanes]
    # Their own values are the thresholds for which all 32 planes matter.
    for t in (0, 1, 2**31, 2**32 - 1, threshold(4, 2.269), *r, *(number + 1 for number in r)):
        less, equal = compare(np.uint64(t), planes)
        assert less == sum(1 << lane for lane in range(64) if r[lane] < t)
        assert equal == sum(1 << lane for lane in range(64) if r[lane] == t)


@pytest.mark.parametrize("operation", ["and_", "or_", "xor", "add", "mul"])
def test_vector_operators(operation):
    apply = getattr(operator, operation)

    @njit
    def vectors(a, b, out):
        store(out, 0, apply(load(a, 0), load(b, 1)))
        store(out, WIDTH, apply(load(a, 0), np.uint64(5)))
        store(out, 2 * WIDTH, apply(np.uint64(5), load(a, 0)))

    a, b = np.random.default_rng(0).integers(0, 2**64, (2, WIDTH + 1), np.uint64)
    out = np.zeros(3 * WIDTH, np.uint64)
    vectors(a, b, out)
    first, five = a[:WIDTH], np.uint64(5)
    np.testing.assert_array_equal(out, np.concatenate([apply(first, b[1:]), *[apply(first, five)] * 2]))


def test_other_vector_operations():
    @njit
    def vectors(a, out):
        store(out, 0, ~load(a, 0) >> np.uint64(7) << np.uint64(3))
        store(out, WIDTH, counting() + splat(np.uint64(40)))
        return any_bit(load(a, 0)), any_bit(load(a, 0) & np.uint64(0))

    a = np.random.default_rng(0).integers(0, 2**64, WIDTH, np.uint64)
    out = np.zeros(2 * WIDTH, np.uint64)
    assert vectors(a, out) == (True, False)
    shifted = ~a >> np.uint64(7) << np.uint64(3)
    np.testing.assert_array_equal(out, np.concatenate([shifted, np.arange(40, 48, dtype=np.uint64)]))


def test_philox_of_a_vector_is_philox_of_its_words():
    @njit
    def vectors(key, out):
        first, second = philox(key, counting(), splat(np.uint64(1)), splat(np.uint64(2)), splat(np.uint64(3)))
        store(out, 0, first)
        store(out, WIDTH, second)

    out = np.zeros((2, WIDTH), np.uint64)
    vectors(KEY, out)
    rest = np.uint64(1), np.uint64(2), np.uint64(3)
    np.testing.assert_array_equal(out.T, [philox(KEY, np.uint64(n), *rest) for n in range(WIDTH)])
