"""Random bits from a counter: Philox4x32-10.

A block of 128 bits is a pure function of a 64-bit key and a 128-bit counter. The key names the stream (seed,
dataset, temperature, purpose); the counter names the place in it (word, sweep, plane, chain group). So no result
depends on threads, shards, or on where an interrupted run resumed.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011), section 3.3.
"""

import hashlib
import json
from decimal import Context, Decimal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError, seed_of
from kadanoff.spins.compiled import compiled

MULTIPLIER_0 = np.uint64(0xD2511F53)
MULTIPLIER_1 = np.uint64(0xCD9E8D57)
KEYS_0 = tuple(np.uint64(0x9E3779B9 * n) for n in range(10))  # what a round adds to the key
KEYS_1 = tuple(np.uint64(0xBB67AE85 * n) for n in range(10))
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
THRESHOLD_BITS = 32


def stream_key(seed: int, *names: str | float | int) -> np.uint64:
    """64-bit key of the stream called `names` under `seed`, from 0 to 2^64 - 1: the same on every machine."""
    text = json.dumps([seed_of(seed), *names])
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


def threshold(energy: float, temperature: float) -> int:
    """exp(-energy/temperature) as an integer in [0, 2^32], rounded down; 2^32 means "always".

    Correctly rounded decimal arithmetic, so that it has the same value on every platform. KadanoffError if the
    temperature is not positive.
    """
    if not temperature > 0:
        raise KadanoffError(f"temperature is {temperature}; it must be positive, in units of |J|/k_B.")
    if energy <= 0:
        return 1 << THRESHOLD_BITS
    context = Context(prec=40)
    probability = context.exp(context.divide(-Decimal(energy), Decimal(temperature)))
    return int(context.multiply(probability, Decimal(1 << THRESHOLD_BITS)))


def heat_bath_threshold(energy: float, temperature: float) -> int:
    """1 / (1 + exp(energy/temperature)) as an integer in [0, 2^32], rounded down; the arithmetic of `threshold`."""
    context = Context(prec=40)
    growth = context.exp(context.divide(Decimal(energy), Decimal(temperature)))
    return int(context.divide(Decimal(1 << THRESHOLD_BITS), context.add(Decimal(1), growth)))


@njit(inline="always")
def _round(c0, c1, c2, c3, k0, k1):
    # bits above the lower 32 of a counter or key do not matter: a product takes the lower ones only
    p0, p1 = (c0 & LOW) * MULTIPLIER_0, (c2 & LOW) * MULTIPLIER_1
    return (p1 >> HALF) ^ c1 ^ k0, p1, (p0 >> HALF) ^ c3 ^ k1, p0


@njit(inline="always")
def philox(key, c0, c1, c2, c3):
    """Philox4x32-10: two words of 64 random bits from a uint64 key and four uint64 counters below 2^32.

    The words are (x0 + 2^32 x1, x2 + 2^32 x3) of the published generator.
    """
    k0, k1 = key & LOW, key >> HALF
    # no loop: with AVX2 the sweeps would take a third longer, as LLVM then makes the keys of all rounds again each time
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + KEYS_0[1], k1 + KEYS_1[1])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + KEYS_0[2], k1 + KEYS_1[2])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + KEYS_0[3], k1 + KEYS_1[3])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + KEYS_0[4], k1 + KEYS_1[4])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + KEYS_0[5], k1 + KEYS_1[5])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + KEYS_0[6], k1 + KEYS_1[6])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + KEYS_0[7], k1 + KEYS_1[7])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + KEYS_0[8], k1 + KEYS_1[8])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0 + KEYS_0[9], k1 + KEYS_1[9])
    return (c0 & LOW) | (c1 << HALF), (c2 & LOW) | (c3 << HALF)


def random_words(key: np.uint64, chains: int, count: int, first_chain: int, number: int = 0) -> NDArray[np.uint64]:
    """Words of 64 random bits, uint64 (chains, count): functions of key, chain, place and `number`."""
    words = np.empty((chains, count), np.uint64)
    _fill(words, np.uint64(key), first_chain, number)
    return words


@compiled
def _fill(words, key, first_chain, number):
    for chain in range(words.shape[0]):
        for place in range(words.shape[1]):
            group = np.uint64(first_chain + chain)
            words[chain, place], _ = philox(key, np.uint64(place), np.uint64(number), np.uint64(0), group)
