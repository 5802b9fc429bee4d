"""Sixty-four spins in a word: packing, and the comparison of 64 random numbers with a threshold at once.

Bit l of a word is lane l, and a set bit is a spin +1. A lane is a replica of a small lattice, or a strip of a
large one: ``lattice.reshape(64, height // 64, width)`` makes the lanes of a strip layout.

A random number r of 32 bits belongs to each lane. Its bits are never put side by side: plane k is a word that
holds bit 31-k of all 64 numbers, and r < threshold is decided at the first plane where r and the threshold
differ. Half of the lanes fall at each plane, so that a few planes out of 32 decide a word.

Source: Block, Virnau, Preis, "Multi-GPU accelerated multi-spin Monte Carlo simulations of the 2D Ising
model", Comput. Phys. Commun. 181, 1549 (2010), section 3, for the packing.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kadanoff.montecarlo.rng import THRESHOLD_BITS
from kadanoff.spins.compiled import compiled

LANES = 64
NONE = np.uint64(0)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
ONE = np.uint64(1)
PAIRS = THRESHOLD_BITS // 2  # one Philox block holds two planes


@compiled
def pack(spins: NDArray[np.int8]) -> NDArray[np.uint64]:
    """Words uint64[height, width] of spins int8[lane, height, width]; lanes beyond the last are 0 bits."""
    lanes, height, width = spins.shape
    words = np.zeros((height, width), np.uint64)
    for lane in range(lanes):
        bit = ONE << np.uint64(lane)
        for y in range(height):
            for x in range(width):
                words[y, x] |= bit if spins[lane, y, x] > 0 else NONE
    return words


@compiled
def unpack(words: NDArray[np.uint64], spins: NDArray[np.int8]) -> None:
    """Write words uint64[height, width] into spins int8[lane, height, width]."""
    lanes, height, width = spins.shape
    for lane in range(lanes):
        shift = np.uint64(lane)
        for y in range(height):
            for x in range(width):
                spins[lane, y, x] = np.int8(2) * np.int8((words[y, x] >> shift) & ONE) - np.int8(1)


@njit(inline="always")
def plane_of(threshold, plane):
    """All bits set if bit 31-plane of the threshold is set, else none (for thresholds below 2^32)."""
    return NONE - ((np.uint64(threshold) >> np.uint64(THRESHOLD_BITS - 1 - plane)) & ONE)


@njit(inline="always")
def compare_plane(less, undecided, random, threshold):
    """One plane of r < threshold: the lanes found less so far, and those still equal."""
    return less | (undecided & threshold & ~random), undecided & ~(random ^ threshold)
