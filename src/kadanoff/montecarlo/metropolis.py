"""Metropolis updates of 64 lanes at once, each lane with random bits of its own.

A sweep updates each site once: colour 0 of the checkerboard, then colour 1 (and, on an odd side that closes on
itself, the same for what is left over). A spin flips with probability min(1, exp(-dE / T)), in some cases that of the
heat bath (see `deterministic`), that is, if its 32-bit random number is less than an integer threshold.

A word holds 64 spins, and eight neighbouring words of a row are updated together. Twelve of the 32 planes of
random numbers (see `multispin`) leave one lane in 4096 undecided: they are always drawn, the rest when needed.

Source: Metropolis et al., J. Chem. Phys. 21, 1087 (1953); Newman and Barkema, "Monte Carlo Methods in
Statistical Physics" (1999), chapters 3 and 15.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kadanoff.montecarlo.checkerboard import (
    MARGIN,
    absent_counts,
    board,
    fill_columns,
    fill_rows,
    gather,
    layout,
    scatter,
)
from kadanoff.montecarlo.multispin import ALL, LANES, NONE, PAIRS, compare_plane
from kadanoff.montecarlo.rng import THRESHOLD_BITS, heat_bath_threshold, philox, threshold
from kadanoff.montecarlo.simd import WIDTH, any_bit, counting, load, splat, store
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.compiled import compiled

NARROW, HOT = 4, 10.0
EAGER_PAIRS = 6  # measured: 5 and 7 are 5 to 10% slower


class Rule(NamedTuple):
    """The classes of sites whose flip costs energy, and their thresholds.

    A site with u unsatisfied and a absent bonds has k = 2u + a, and dE = 2 (4 - k) + 2 B s.
    """

    patterns: NDArray[np.uint64]  # [class, bit]: the four bits of k, and the spin
    planes: NDArray[np.uint64]  # [plane, class]: bits of the threshold, from the most significant
    sees_spin: np.uint64  # all bits set if the spin matters, that is, in a field


def deterministic(lattice: Lattice, temperature: float, field: float) -> bool:
    """Whether flips that are always accepted would keep chains on closed orbits, or nearly so.

    On a chain a wall that always moves goes two sites a sweep in a fixed direction, and the number going right minus
    the number going left never changes; on tori up to four wide, states with dE = 0 at every site map onto each other;
    in a field that equals a bond energy all spins flip together; and when it is very hot every flip is accepted.
    """
    return bool(field) or min(lattice.shape) <= NARROW or temperature > HOT


def acceptance(lattice: Lattice, temperature: float, field: float, heat_bath: bool = False) -> Rule:
    """Classes and thresholds of a lattice at a temperature, in a field.

    If asked for, or where a sweep would be nearly deterministic, the probability is that of the heat bath,
    1 / (1 + exp(dE / T)), which has the same equilibrium: see `deterministic`.
    """
    chance = heat_bath_threshold if heat_bath or deterministic(lattice, temperature, field) else threshold
    counts = {2 * u + a for a in absent_counts(lattice) for u in range(5 - a)}
    spins = (-1, 1) if field else (0,)
    costs = {(k, s): 2 * (4 - k) + 2 * field * s for k in sorted(counts) for s in spins}
    thresholds = {c: chance(cost, temperature) for c, cost in costs.items()}
    classes = {c: t for c, t in thresholds.items() if t < 1 << THRESHOLD_BITS}
    patterns = [[k & 1, k & 2, k & 4, k & 8, s > 0] for k, s in classes]
    planes = [[t >> (THRESHOLD_BITS - 1 - n) & 1 for t in classes.values()] for n in range(THRESHOLD_BITS)]
    return Rule(
        patterns=np.where(np.array(patterns, bool).reshape(-1, 5), ALL, NONE),
        planes=np.where(np.array(planes, bool), ALL, NONE),
        sees_spin=ALL if field else NONE,
    )


@njit(forceinline=True)
def _unsatisfied(aligned, words, other, stride, parity):
    """Bits 0, 1, 2 of the number of unsatisfied bonds, from the neighbours around position `other`."""
    up = aligned ^ load(words, other - stride)
    down = aligned ^ load(words, other + stride)
    left = aligned ^ load(words, other + parity - 1)
    right = aligned ^ load(words, other + parity)
    one_y, one_x, two_y, two_x = up ^ down, left ^ right, up & down, left & right
    return one_y ^ one_x, (two_y ^ two_x) | (one_y & one_x), two_y & two_x


@njit(forceinline=True)
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


@njit(forceinline=True)
def _threshold_plane(classes, planes, plane):
    """Bit `plane` of each lane's threshold."""
    bits = splat(NONE)
    for n in range(planes.shape[1]):
        bits = bits | (load(classes, n * WIDTH) & planes[plane, n])
    return bits


@njit(forceinline=True)
def _compare_pair(less, undecided, pair, place, planes, classes):
    """Two planes of r < threshold, from one Philox block."""
    key, site, sweep, group = place
    first, second = philox(key, site, splat(sweep), splat(np.uint64(pair)), splat(group))
    less, undecided = compare_plane(less, undecided, first, _threshold_plane(classes, planes, 2 * pair))
    return compare_plane(less, undecided, second, _threshold_plane(classes, planes, 2 * pair + 1))


@njit(forceinline=True)
def _accept(costly, place, planes, classes):
    """Lanes of `costly` whose random number is less than their threshold."""
    less, undecided = splat(NONE), costly
    for pair in range(EAGER_PAIRS):
        less, undecided = _compare_pair(less, undecided, pair, place, planes, classes)
    pair = EAGER_PAIRS
    while pair < PAIRS and any_bit(undecided):
        less, undecided = _compare_pair(less, undecided, pair, place, planes, classes)
        pair += 1
    return less


@njit(forceinline=True)
def _update_row(words, absent, members, patterns, planes, classes, flags, span, colour, y, stream):
    """Update the sites of one colour in row y, in the columns of `span`."""
    coupling, sees_spin = flags
    key, sweep, group = stream
    rows, columns, stride = absent.shape[2], absent.shape[3], words.shape[2]
    parity = (y + colour) & 1
    own = (colour * (rows + 2) + y + 1) * stride + MARGIN
    other = ((1 - colour) * (rows + 2) + y + 1) * stride + MARGIN
    site = (colour * rows + y) * columns
    first_member, begin, end = span
    for i in range(begin, end, WIDTH):
        spin = load(words, own + i)
        u0, u1, u2 = _unsatisfied(spin ^ coupling, words, other + i, stride, parity)
        a0, a1 = load(absent, site + i), load(absent, site + i + 2 * rows * columns)
        k = a0, u0 ^ a1, u1 ^ (u0 & a1), u2 ^ (u1 & u0 & a1)
        eligible = load(members, first_member + parity * columns + i)
        costly = _classify(k, spin & sees_spin, eligible, patterns, classes)
        place = key, counting() + np.uint64(site + i), sweep, group
        accepted = (eligible & ~costly) | _accept(costly, place, planes, classes)
        store(words, own + i, spin ^ accepted)


@compiled
def _sweep(words, board, rule, members, key, group, first_sweep, sweeps):
    """Sweeps of one group of lanes. Arrays are taken out of their tuples here, once: doing so is not free."""
    shape, edges, absent, regions = board.shape, board.edges, board.absent, board.regions
    patterns, planes = rule.patterns, rule.planes
    flags = board.coupling, rule.sees_spin
    classes = np.empty((max(1, patterns.shape[0]), WIDTH), np.uint64)
    for sweep in range(first_sweep, first_sweep + sweeps):
        stream = key, np.uint64(sweep), np.uint64(group)
        for region in range(regions.shape[0]):
            span = 2 * region * shape.columns, regions[region, 2], regions[region, 3]
            for colour in range(2):
                fill_rows(words, edges, shape, 1 - colour)
                for y in range(regions[region, 0], regions[region, 1]):
                    fill_columns(words, edges, shape, 1 - colour, y)
                    _update_row(words, absent, members, patterns, planes, classes, flags, span, colour, y, stream)


def checked_layout(spins: NDArray[np.int8], lattice: Lattice, first_chain: int) -> str:
    """The `layout` of these chains; ValueError if the array or the first chain break the rules of `advance`."""
    if spins.dtype != np.int8 or spins.shape[1:] != lattice.shape or not spins.flags.c_contiguous:
        raise ValueError(f"spins are {spins.dtype}{spins.shape}; need contiguous int8 (chain, *{lattice.shape})")
    lane = layout(lattice)
    if lane == "replicas" and first_chain % LANES:
        raise ValueError(f"first_chain is {first_chain}; groups of {LANES} chains start at multiples of {LANES}")
    return lane


def advance(
    spins: NDArray[np.int8],
    lattice: Lattice,
    temperature: float,
    field: float,
    key: np.uint64,
    first_chain: int,
    first_sweep: int,
    sweeps: int,
    heat_bath: bool = False,
) -> None:
    """Metropolis sweeps first_sweep, first_sweep + 1, ... of chains first_chain, first_chain + 1, ...; in place.

    The result is a pure function of the arguments: the random bits of a site depend on the key, and on the
    numbers of its chain, sweep and place, so that calls may split chains and sweeps in any way.

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
        Number of the first chain. In the layout "replicas" (see `checkerboard.layout`) a multiple of 64: chains
        go by groups of 64, and the last group of a call may be partial.
    first_sweep, sweeps
        Number of the first sweep, and how many.
    heat_bath
        Whether flips have the probability of the heat bath, as they have anyway where that is needed.

    Raises
    ------
    ValueError
        If the array or the first chain break the rules above.
    """
    lane = checked_layout(spins, lattice, first_chain)
    rule = acceptance(lattice, temperature, field, heat_bath)
    plan = board(lattice, lane)
    chains = 1 if lane == "strips" else LANES
    for chain in range(0, len(spins), chains):
        lanes = spins[chain : chain + chains].reshape(-1, plan.shape.rows, plan.shape.width)
        words = gather(lanes, plan.shape)
        members = plan.members & np.uint64((1 << len(lanes)) - 1)
        group = (first_chain + chain) // chains
        _sweep(words, plan, rule, members, np.uint64(key), group, first_sweep, sweeps)
        scatter(words, lanes)
