"""Compiled loops over blocks: counting what is seen, drawing states from tables, and how probable they were.

Lattices are int8 (chain, y, x); a chain of spins has y = 1. The random number of a block depends on the key, on the
number of its lattice, on the draw and on its place, never on how the lattices are cut into calls.
"""

import numpy as np
from numba import njit

from kadanoff.montecarlo.rng import philox
from kadanoff.spins.compiled import compiled

LANES = 4  # 32-bit numbers in a Philox block
LOW = np.uint64(0xFFFFFFFF)
LARGEST = np.uint64(0xFFFFFFFE)  # below the last threshold, 2^32 - 1, so that a state is always found


@njit(inline="always")
def wrapped(place, side):
    """A place that is at most one side away, counted around the torus."""
    if place < 0:
        return place + side
    return place - side if place >= side else place


@njit(inline="always")
def _row(coarse, fine, coarse_places, fine_places, y, x, height, width):
    """Row of the table: the spins that block (y, x) sees, as bits."""
    row = 0
    for j in range(coarse_places.shape[0]):
        up = coarse[
            wrapped(y + coarse_places[j, 0], coarse.shape[0]), wrapped(x + coarse_places[j, 1], coarse.shape[1])
        ]
        row |= (up > 0) << j
    seen = coarse_places.shape[0]
    for j in range(fine_places.shape[0]):
        top = wrapped(y * height + fine_places[j, 0], fine.shape[0])
        left = wrapped(x * width + fine_places[j, 1], fine.shape[1])
        row |= (fine[top, left] > 0) << (seen + j)
    return row


@njit(inline="always")
def _state(spins, y, x, height, width):
    """State of block (y, x): its spins as bits."""
    state = 0
    for site in range(height * width):
        state |= (spins[y * height + site // width, x * width + site % width] > 0) << site
    return state


@compiled
def count(coarse, fine, coarse_places, fine_places, shape, counts):
    """Add, for every block, one to counts[row, state]."""
    height, width = shape
    for chain in range(coarse.shape[0]):
        spins = fine[chain]
        for y in range(coarse.shape[1]):
            for x in range(coarse.shape[2]):
                row = _row(coarse[chain], spins, coarse_places, fine_places, y, x, height, width)
                counts[row, _state(spins, y, x, height, width)] += 1


@compiled
def add_logarithms(coarse, fine, sublattice, places, shape, logarithms, totals):
    """Add logarithms[row, state] of every block of one sublattice to the total of its chain; the words are `draw`'s."""
    (first_y, step_y, first_x, step_x), (height, width) = sublattice, shape
    coarse_places, fine_places = places
    for chain in range(coarse.shape[0]):
        for y in range(first_y, coarse.shape[1], step_y):
            for x in range(first_x, coarse.shape[2], step_x):
                row = _row(coarse[chain], fine[chain], coarse_places, fine_places, y, x, height, width)
                totals[chain] += logarithms[row, _state(fine[chain], y, x, height, width)]


@njit(inline="always")
def _find(thresholds, random):
    """First state whose threshold exceeds `random`."""
    first, last = 0, thresholds.shape[0] - 1
    while first < last:
        middle = (first + last) >> 1
        if random < thresholds[middle]:
            last = middle
        else:
            first = middle + 1
    return first


@compiled
def draw(coarse, fine, sublattice, places, shape, thresholds, states, stream):
    """Draw the blocks of one sublattice, in place.

    `sublattice` is (first y, step, first x, step), `places` (coarse places, fine places), `thresholds` uint32
    (row, state), and `stream` (key, draw, number of the first chain, number of the first row, rows of the lattice, of
    which these may be a band).
    """
    (first_y, step_y, first_x, step_x), (height, width) = sublattice, shape
    coarse_places, fine_places = places
    key, number, first_chain, first_row, rows = stream
    words = (coarse.shape[2] + LANES - 1) // LANES
    for chain in range(coarse.shape[0]):
        spins, given = fine[chain], coarse[chain]
        for y in range(first_y, coarse.shape[1], step_y):
            lane = 0
            low, high = np.uint64(0), np.uint64(0)
            for x in range(first_x, coarse.shape[2], step_x):
                if lane == 0:
                    word = np.uint64((y + first_row) % rows * words + x // (LANES * step_x))
                    column = np.uint64(first_x)  # sublattices that share their rows have numbers of their own
                    low, high = philox(key, word, np.uint64(number), column, np.uint64(first_chain + chain))
                random = min((low if lane < 2 else high) >> np.uint64(32 * (lane & 1)) & LOW, LARGEST)
                lane = (lane + 1) & 3
                row = _row(given, spins, coarse_places, fine_places, y, x, height, width)
                state = states[_find(thresholds[row], random)]
                for site in range(height * width):
                    spins[y * height + site // width, x * width + site % width] = state[site]


@compiled
def independent_spins(thresholds, spins, key, first_chain):
    """Independent spins: spins[chain, site] is +1 where its random number is below thresholds[chain, site]."""
    for chain in range(spins.shape[0]):
        low, high = np.uint64(0), np.uint64(0)
        for site in range(spins.shape[1]):
            lane = site % LANES
            if lane == 0:
                place = np.uint64(site // LANES)
                low, high = philox(key, place, np.uint64(0), np.uint64(0), np.uint64(first_chain + chain))
            random = (low if lane < 2 else high) >> np.uint64(32 * (lane & 1)) & LOW
            spins[chain, site] = np.int8(1) if random < thresholds[chain, site] else np.int8(-1)
