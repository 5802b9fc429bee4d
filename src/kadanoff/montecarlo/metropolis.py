"""Metropolis updates of 64 lanes at once, each lane with random bits of its own.

A sweep updates each site once: colour 0 of the checkerboard, then colour 1 (and, on an odd side that closes on
itself, the same for what is left over). A spin flips with probability min(1, exp(-dE / T)), that is, if its 32-bit
random number is less than an integer threshold.

A word holds 64 spins, and eight neighbouring words of a row are updated together. Of the 32 planes of random
numbers (see `multispin`) twelve leave one lane in 5000 undecided: they are always drawn, the others where needed.

Source: Metropolis et al., J. Chem. Phys. 21, 1087 (1953); Newman and Barkema, "Monte Carlo Methods in Statistical
Physics" (1999), sections 3.1 and 15.1.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.montecarlo.checkerboard import (
    MARGIN, Board, _fill_columns, absent_bonds, board, fill_rows, gather, scatter, uses_strips
)
from kadanoff.montecarlo.multispin import ALL, LANES, NONE, PAIRS, compare_plane
from kadanoff.montecarlo.rng import THRESHOLD_BITS, philox, threshold
from kadanoff.montecarlo.simd import WIDTH, any_bit, counting, load, splat, store
from kadanoff.spins.boundary import Lattice

EAGER_PAIRS = 6  # measured: 5 and 7 are 10% slower


class Rule(NamedTuple):
    """The classes of sites whose flip costs energy, and their thresholds.

    A site with u unsatisfied and a absent bonds has k = 2u + a, and dE = 2 (4 - k) + 2 B s.
    """

    patterns: NDArray[np.uint64]  # [class, bit]: the four bits of k, and the spin
    planes: NDArray[np.uint64]  # [plane, class]: bits of the threshold, from the most significant
    sees_spin: np.uint64  # all bits set if the spin matters, that is, in a field


def acceptance(lattice: Lattice, temperature: float, field: float) -> Rule:
    """Classes and thresholds of a lattice at a temperature, in a field."""
    counts = {2 * u + a for a in np.unique(absent_bonds(lattice)).tolist() for u in range(5 - a)}
    spins = (-1, 1) if field else (0,)
    costs = {(k, s): 2 * (4 - k) + 2 * field * s for k in sorted(counts) for s in spins}
    thresholds = {c: threshold(cost, temperature) for c, cost in costs.items()}
    classes = {c: t for c, t in thresholds.items() if t < 1 << THRESHOLD_BITS}
    patterns = [[k & 1, k & 2, k & 4, k & 8, s > 0] for k, s in classes]
    planes = [[t >> (THRESHOLD_BITS - 1 - n) & 1 for t in classes.values()] for n in range(THRESHOLD_BITS)]
    return Rule(
        patterns=np.where(np.array(patterns, bool).reshape(-1, 5), ALL, NONE),
        planes=np.where(np.array(planes, bool), ALL, NONE),
        sees_spin=ALL if field else NONE,
    )


@njit(inline="always")
def _count(a, b, c, d):
    """Bits of the number of set bits among four, lane by lane."""
    odd_left, odd_right, both_left, both_right = a ^ b, c ^ d, a & b, c & d
    twos = (both_left ^ both_right) | (odd_left & odd_right)
    return odd_left ^ odd_right, twos, both_left & both_right


@njit(inline="always")
def _classify(k, spin, members, patterns, classes):
    """Sort the lanes of `members` into classes, words of `classes`; return those that are in one."""
    k0, k1, k2, k3 = k
    costly = splat(NONE)
    for n in range(patterns.shape[0]):
        differs = (k0 ^ patterns[n, 0]) | (k1 ^ patterns[n, 1]) | (k2 ^ patterns[n, 2]) | (k3 ^ patterns[n, 3])
        these = members & ~(differs | (spin ^ patterns[n, 4]))
        store(classes, n * WIDTH, these)
        costly = costly | these
    return costly


@njit(inline="always")
def _threshold_plane(classes, planes, plane):
    """Bit `plane` of each lane's threshold."""
    bits = splat(NONE)
    for n in range(planes.shape[1]):
        bits = bits | (load(classes, n * WIDTH) & planes[plane, n])
    return bits


@njit(forceinline=True)
def _compare_pair(less, undecided, pair, place, rule, classes):
    """Two planes of r < threshold, from one Philox block."""
    key, c0, c1, c3 = place
    first, second = philox(key, c0, splat(c1), splat(np.uint64(pair)), splat(c3))
    less, undecided = compare_plane(less, undecided, first, _threshold_plane(classes, rule.planes, 2 * pair))
    return compare_plane(less, undecided, second, _threshold_plane(classes, rule.planes, 2 * pair + 1))


@njit(inline="always")
def _accepted(costly, place, rule, classes):
    """Lanes of `costly` whose random number is less than their threshold."""
    less, undecided = splat(NONE), costly
    for pair in range(EAGER_PAIRS):
        less, undecided = _compare_pair(less, undecided, pair, place, rule, classes)
    pair = EAGER_PAIRS
    while pair < PAIRS and any_bit(undecided):
        less, undecided = _compare_pair(less, undecided, pair, place, rule, classes)
        pair += 1
    return less


@njit(inline="always")
def _update_row(words, board, rule, region, colour, y, lanes, stream, classes):
    """Update one colour of one row."""
    key, sweep, group = stream
    parity = (y + colour) & 1
    stride = words.shape[2]
    own = (colour * (board.rows + 2) + y + 1) * stride + MARGIN
    other = ((1 - colour) * (board.rows + 2) + y + 1) * stride + MARGIN
    site = (colour * board.rows + y) * board.columns
    bit_1 = 2 * board.rows * board.columns  # from bit 0 to bit 1 in board.absent
    first, end = board.regions[region, 2], board.regions[region, 3]
    for i in range(first // 2 // WIDTH * WIDTH, (end + 1) // 2, WIDTH):
        spin = load(words, own + i)
        aligned = spin ^ board.coupling
        u0, u1, u2 = _count(
            aligned ^ load(words, other - stride + i),
            aligned ^ load(words, other + stride + i),
            aligned ^ load(words, other + parity + i - 1),
            aligned ^ load(words, other + parity + i),
        )
        a0, a1 = load(board.absent, site + i), load(board.absent, bit_1 + site + i)
        k = a0, u0 ^ a1, u1 ^ (u0 & a1), u2 ^ (u1 & u0 & a1)
        members = load(board.members, (2 * region + parity) * board.columns + i) & lanes
        costly = _classify(k, spin & rule.sees_spin, members, rule.patterns, classes)
        place = key, counting() + np.uint64(site + i), sweep, group
        store(words, own + i, spin ^ (members & ~costly) ^ _accepted(costly, place, rule, classes))


@njit(cache=True, nogil=True)
def _sweep(words, board, rule, lanes, key, group, first_sweep, sweeps):
    """Sweeps of the words of one group of lanes."""
    classes = np.empty(max(1, rule.patterns.shape[0]) * WIDTH, np.uint64)
    for sweep in range(first_sweep, first_sweep + sweeps):
        stream = key, np.uint64(sweep), np.uint64(group)
        for region in range(board.regions.shape[0]):
            for colour in range(2):
                fill_rows(words, board, 1 - colour)
                for y in range(board.regions[region, 0], board.regions[region, 1]):
                    _fill_columns(words, board, 1 - colour, y)
                    _update_row(words, board, rule, region, colour, y, lanes, stream, classes)


def advance(
    spins: NDArray[np.int8],
    lattice: Lattice,
    temperature: float,
    field: float,
    key: np.uint64,
    first_chain: int,
    first_sweep: int,
    sweeps: int,
) -> None:
    """Metropolis sweeps first_sweep, first_sweep + 1, ... of chains first_chain, first_chain + 1, ..., in place.

    The result is a pure function of the arguments: the random bits of a site depend on (key, chain, sweep, site).

    Parameters
    ----------
    spins
        int8[chain, height, width] of +1 and -1, C-contiguous.
    lattice
        Shape, boundary and sign of the coupling.
    temperature, field
        In units of J/k_B and of J.
    key
        Of `rng.stream_key`.
    first_chain
        Number of the first chain, a multiple of 64. Chains go by groups of 64; the last may be partial.
    first_sweep, sweeps
        Number of the first sweep, and how many.

    Raises
    ------
    KadanoffError
        If the temperature is not positive.
    ValueError
        If the array or the first chain break the rules above.
    """
    _check(spins, lattice, temperature, first_chain)
    _advance(spins, lattice, temperature, field, key, first_chain, first_sweep, sweeps, uses_strips(lattice))


def _check(spins: NDArray[np.int8], lattice: Lattice, temperature: float, first_chain: int) -> None:
    if not temperature > 0:
        raise KadanoffError(f"temperature is {temperature}; it must be positive, in units of J/k_B.")
    if spins.dtype != np.int8 or spins.shape[1:] != lattice.shape or not spins.flags.c_contiguous:
        raise ValueError(f"spins are {spins.dtype}{spins.shape}; need contiguous int8[chain, *{lattice.shape}]")
    if first_chain % LANES:
        raise ValueError(f"first_chain is {first_chain}; groups of {LANES} chains start at its multiples")


def _advance(spins, lattice, temperature, field, key, first_chain, first_sweep, sweeps, strips):
    rule = acceptance(lattice, temperature, field)
    plan = board(lattice, strips)
    step = 1 if strips else LANES
    for chain in range(0, len(spins), step):
        group = spins[chain : chain + step].reshape(-1, plan.rows, plan.width)
        lanes = np.uint64((1 << len(group)) - 1)
        words = gather(group, plan)
        _sweep(words, plan, rule, lanes, np.uint64(key), (first_chain + chain) // step, first_sweep, sweeps)
        scatter(words, plan, group)
