"""The generator against its authors' vectors, the thresholds against mpmath, and the bits against chance."""

import itertools

import mpmath
import numpy as np
import pytest

from kadanoff.montecarlo.rng import heat_bath_threshold, philox, stream_key, threshold

# philox4x32 with 10 rounds in kat_vectors of Random123, the library of Salmon et al.: counter, key, answer.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
KEY = stream_key(1, "bits")
SIGMAS = 5  # of 128 bits and as many pairs, the worst


def numbers(text):
    return [np.uint64(int(word, 16)) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_known_answers(counter, key, answer):
    low, high = numbers(key)
    x = numbers(answer)
    words = philox(low | high << np.uint64(32), *numbers(counter))
    assert words == (x[0] | x[1] << np.uint64(32), x[2] | x[3] << np.uint64(32))


def blocks(counters, key=KEY):
    """Bits of the blocks at the given counters, 0 or 1, float[block, 128]."""
    words = np.array(philox.py_func(key, *counters)).T
    return np.unpackbits(words.copy().view(np.uint8), axis=1).astype(float)


@pytest.mark.parametrize("place", range(4))
def test_bits_are_balanced_and_independent_along_each_counter(place):
    n = 1 << 15
    counters = [np.full(n, 7, np.uint64) for _ in range(4)]
    counters[place] = np.arange(n, dtype=np.uint64)
    signs = 2 * blocks(counters) - 1
    assert abs(signs.sum(0)).max() < SIGMAS * np.sqrt(n)
    assert abs((signs[1:] * signs[:-1]).sum(0)).max() < SIGMAS * np.sqrt(n)
    assert abs((signs[:, 1:] * signs[:, :-1]).sum(0)).max() < SIGMAS * np.sqrt(n)


def test_keys_one_bit_apart_share_nothing():
    n = 1 << 14
    counters = [np.arange(n, dtype=np.uint64)] * 4
    product = (2 * blocks(counters, np.uint64(0)) - 1) * (2 * blocks(counters, np.uint64(1)) - 1)
    assert abs(product.sum(0)).max() < SIGMAS * np.sqrt(n)


@pytest.mark.parametrize(
    ("energy", "temperature"),
    [*itertools.product((1e-9, 0.1, 2, 4, 8, 8.6, 15.999), (0.1, 0.36, 1.5, 2.269185314213022, 1e3, 1e12))],
)
def test_threshold_is_the_probability_rounded_down(energy, temperature):
    with mpmath.workdps(60):
        exact = mpmath.exp(-mpmath.mpf(energy) / mpmath.mpf(temperature)) * 2**32
        assert threshold(energy, temperature) == int(mpmath.floor(exact))


@pytest.mark.parametrize("energy", [0, -1e-300, -8.0])
def test_what_costs_nothing_is_always_accepted(energy):
    assert threshold(energy, 2.0) == 2**32


def test_keys_are_the_same_on_every_machine():
    assert stream_key(0, "coarsen16", 2.0, "metropolis") == 2413500787849554861


def test_names_make_different_keys():
    names = [(), ("a",), ("b",), ("a", "b"), ("ab",), ("a", 1), ("a", 1.0), ("a", "1"), (1, "a"), ("", "a")]
    keys = [stream_key(seed, *name) for seed in (0, 1, 2**63, 2**64 - 1) for name in names]
    assert len(set(keys)) == len(keys)
    assert all(isinstance(key, np.uint64) for key in keys)


@pytest.mark.parametrize("temperature", [0.3, 2.269, 50.0])
@pytest.mark.parametrize("energy", [-8.0, -0.4, 0.0, 3.6, 8.0])
def test_the_heat_bath_is_the_probability_rounded_down(energy, temperature):
    with mpmath.workdps(60):
        exact = mpmath.mpf(2) ** 32 / (1 + mpmath.exp(mpmath.mpf(energy) / mpmath.mpf(temperature)))
        assert heat_bath_threshold(energy, temperature) == int(mpmath.floor(exact))
