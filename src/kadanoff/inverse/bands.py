"""Metropolis sweeps of one large torus at J = 1, band by band: rows that fit into memory, whatever its size.

A row lies in words: lane l of 64 holds the columns l w to (l + 1) w - 1, w = width / 64, so that what lies across the
edge of a lane is the same word rotated by a bit. ``words[colour, row, MARGIN + x // 2]`` holds the sites (y, x) of
colour (y + x) & 1, x < w, of all lanes.

A band is advanced on its own: each half-sweep spoils one more row at either end, so that `halo(sweeps)` rows above
and below are read with it and given away. The random bits of a site depend on the key, the sweep and its place in the
lattice, so that the result does not depend on how the lattice is cut.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.montecarlo.checkerboard import MARGIN
from kadanoff.montecarlo.metropolis import EAGER_PAIRS
from kadanoff.montecarlo.multispin import ALL, LANES, NONE, ONE, PAIRS, compare_plane
from kadanoff.montecarlo.rng import THRESHOLD_BITS, philox, threshold
from kadanoff.montecarlo.simd import WIDTH, any_bit, counting, load, splat, store
from kadanoff.spins.compiled import compiled

MULTIPLE = 2 * LANES  # the width of a lattice is a multiple of this, so that all lanes have the same checkerboard

Words = NDArray[np.uint64]


def halo(sweeps: int) -> int:
    """Rows that a band needs above and below itself."""
    return 2 * sweeps


def words_of(rows: int, width: int) -> Words:
    """Room for a band, with the halo of its columns; KadanoffError if the width is no multiple of 128."""
    if width % MULTIPLE:
        raise KadanoffError(f"the lattice is {width} wide; it is updated in 64 strips: take a multiple of {MULTIPLE}.")
    columns = -(-(width // MULTIPLE) // WIDTH) * WIDTH
    return np.zeros((2, rows, columns + 2 * MARGIN), np.uint64)


def thresholds(temperature: float) -> tuple[NDArray[np.uint64], ...]:
    """Planes of the thresholds of exp(-4/T) and exp(-8/T), from the most significant: all bits set, or none."""
    planes = [threshold(cost, temperature) >> np.arange(THRESHOLD_BITS)[::-1] & 1 for cost in (4, 8)]
    return tuple(np.where(bits > 0, ALL, NONE) for bits in planes)


@compiled
def gather(spins: NDArray[np.int8], words: Words, first: int, parity: int) -> None:
    """Write spins int8[row, x] into rows first, first + 1, ... of `words`.

    `parity` is that of the number in the lattice of the first row of `words`.
    """
    width = spins.shape[1] // LANES
    for y in range(spins.shape[0]):
        for x in range(width):
            word = NONE
            for lane in range(LANES):
                word |= np.uint64(spins[y, lane * width + x] > 0) << np.uint64(lane)
            words[(parity + first + y + x) & 1, first + y, MARGIN + x // 2] = word


@compiled
def scatter(words: Words, first: int, parity: int, spins: NDArray[np.int8]) -> None:
    """Write rows first, first + 1, ... of `words` into spins int8[row, x]."""
    width = spins.shape[1] // LANES
    for y in range(spins.shape[0]):
        for lane in range(LANES):  # outside: runs of spins are written
            for x in range(width):
                word = words[(parity + first + y + x) & 1, first + y, MARGIN + x // 2]
                spins[y, lane * width + x] = np.int8(2 * ((word >> np.uint64(lane)) & ONE)) - np.int8(1)


@njit(inline="always")
def _close_row(words, colour, row, odd, pairs):
    """Write the halo of one colour: to the left of a lane lies the lane before it, to its right the next."""
    if odd:  # this colour holds the odd columns of this row
        word = words[colour, row, MARGIN + pairs - 1]
        words[colour, row, MARGIN - 1] = (word << ONE) | (word >> np.uint64(LANES - 1))
    else:
        word = words[colour, row, MARGIN]
        words[colour, row, MARGIN + pairs] = (word >> ONE) | (word << np.uint64(LANES - 1))


@njit(forceinline=True)
def _compare_pair(less, undecided, pair, place, planes, ones):
    """Two planes of r < threshold; `ones` are lanes that cost 4, the other undecided ones cost 8."""
    four, eight = planes
    key, column, sweep, row = place
    first, second = philox(key, column, splat(sweep), splat(np.uint64(pair)), splat(row))
    bits = (ones & four[2 * pair]) | (~ones & eight[2 * pair])
    less, undecided = compare_plane(less, undecided, first, bits)
    bits = (ones & four[2 * pair + 1]) | (~ones & eight[2 * pair + 1])
    return compare_plane(less, undecided, second, bits)


@njit(forceinline=True)
def _update_row(words, colour, y, odd, pairs, stream, planes):
    """Update the sites of one colour in row y of the band; `odd` if they lie in odd columns."""
    rows, stride = words.shape[1], words.shape[2]
    own = (colour * rows + y) * stride + MARGIN
    other = ((1 - colour) * rows + y) * stride + MARGIN
    key, sweep, row = stream
    for i in range(0, pairs, WIDTH):
        spin = load(words, own + i)
        up, down = spin ^ load(words, other + i - stride), spin ^ load(words, other + i + stride)
        left, right = spin ^ load(words, other + i + odd - 1), spin ^ load(words, other + i + odd)
        one_y, one_x = up ^ down, left ^ right
        # at least two bonds unsatisfied: the flip costs nothing
        free = (up & down) | (left & right) | (one_y & one_x)
        less, undecided, ones = splat(NONE), ~free, one_y ^ one_x
        place = key, counting() + np.uint64(i), sweep, row
        for pair in range(EAGER_PAIRS):
            less, undecided = _compare_pair(less, undecided, pair, place, planes, ones)
        pair = EAGER_PAIRS
        while pair < PAIRS and any_bit(undecided):
            less, undecided = _compare_pair(less, undecided, pair, place, planes, ones)
            pair += 1
        store(words, own + i, spin ^ (free | less))


@compiled
def advance(words, width, first_row, height, key, planes, sweeps):
    """Sweeps 0 to sweeps - 1 of the band whose first row is row `first_row` of a lattice `height` high; in place.

    `halo(sweeps)` rows at either end are spoilt. Rows are counted around the torus.
    """
    pairs = width // MULTIPLE
    for sweep in range(sweeps):
        for colour in range(2):
            done = 2 * sweep + colour
            for y in range(done, words.shape[1] - done):
                row = (first_row + y) % height
                _close_row(words, 1 - colour, y, (row + 1 + colour) & 1, pairs)
                if done < y < words.shape[1] - 1 - done:
                    stream = key, np.uint64(2 * sweep + colour), np.uint64(row)
                    _update_row(words, colour, y, (row + colour) & 1, pairs, stream, planes)
