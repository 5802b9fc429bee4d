"""The two colours of a lattice apart, 64 lanes deep, with the boundary written in a halo around them.

The site (y, x) of colour (y + x) & 1 lies in ``words[colour, y + 1, x // 2 + MARGIN]``, so that the four
neighbours of a run of sites of one colour are four runs of the other. The halo (a row above and below, a column
before and after) holds what lies across each edge: the opposite edge, with or without a change of sign; fixed
spins; or, where there is no bond, a mirror image of the site, always satisfied, for which the number of absent
bonds of each site makes up.

A lane is one of 64 replicas, or one of 64 strips of one lattice: lane l holds rows l h to (l + 1) h - 1, and the
row above its first is the last row of lane l - 1, that is, the word rotated by one bit.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kadanoff.montecarlo.multispin import ALL, LANES, NONE, pack, unpack
from kadanoff.montecarlo.simd import WIDTH
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.compiled import compiled

MARGIN = WIDTH  # columns of halo on each side: one would do, a whole vector keeps the loads aligned
TOP, BOTTOM, LEFT, RIGHT = range(4)


class Shape(NamedTuple):
    """Of a lane. Columns are pairs of sites, padded to whole vectors."""

    rows: int
    width: int
    columns: int
    rotation: int  # of a word across the top edge, in bits: 1 for strips, 0 for replicas


class Board(NamedTuple):
    """What the update loops must know of a lattice."""

    shape: Shape
    coupling: np.uint64  # all bits set for the antiferromagnet
    edges: NDArray[np.uint64]  # [edge, (wrap, mirror, flip)], by lane
    absent: NDArray[np.uint64]  # [bit, colour, row, column]: number of absent bonds, two bits, by lane
    regions: NDArray[np.int64]  # [region, (first row, last row + 1, first column, last column + 1)]
    members: NDArray[np.uint64]  # [region, parity of x, column]: all bits set for the sites of the region


def layout(lattice: Lattice) -> str:
    """What the lanes are, by the shape alone: "strips" if the height is a multiple of 128, else "replicas".

    A strip has an even number of rows, so that all strips have the same checkerboard. Strips are as fast as
    replicas (measured within 10% at 128 x 128) and serve a single chain as well as many.
    """
    return "replicas" if lattice.height % (2 * LANES) else "strips"


def absent_bonds(lattice: Lattice) -> NDArray[np.int64]:
    """Number of absent bonds (4 minus neighbours, fixed ones included) of each site, int64[y, x]."""
    left, up = np.roll(lattice.right, 1, axis=1), np.roll(lattice.down, 1, axis=0)
    return 4 - np.count_nonzero([lattice.right, left, lattice.down, up, lattice.ghost], axis=0)


@lru_cache(maxsize=64)
def absent_counts(lattice: Lattice) -> tuple[int, ...]:
    """The different values of `absent_bonds`."""
    return tuple(np.flatnonzero(np.bincount(absent_bonds(lattice).ravel())).tolist())


def _edge(bond: int, ghost: int, coupling: int, lanes: np.uint64) -> list[np.uint64]:
    """Lanes of an edge that wrap, that mirror, and that flip; lanes not on the edge of the lattice wrap."""
    inside = lanes ^ ALL
    if ghost:
        return [inside, NONE, lanes if ghost == coupling else NONE]
    if bond:
        return [ALL, NONE, lanes if bond != coupling else NONE]
    return [inside, lanes, lanes if coupling < 0 else NONE]


def _edges(lattice: Lattice, strips: bool) -> NDArray[np.uint64]:
    first, last = (np.uint64(1), np.uint64(1 << (LANES - 1))) if strips else (ALL, ALL)
    across_y, across_x = int(lattice.down[-1, 0]), int(lattice.right[0, -1])
    above, below = int(lattice.ghost[0, 0]), int(lattice.ghost[-1, 0])
    across = across_y, across_y, across_x, across_x
    sides = zip(across, (above, below, 0, 0), (first, last, ALL, ALL), strict=True)
    return np.array([_edge(bond, ghost, lattice.coupling, lanes) for bond, ghost, lanes in sides])


def _regions(lattice: Lattice, rows: int) -> list[tuple[int, int, int, int]]:
    """Rectangles in which each colour is an independent set: one, unless an odd side closes on itself.

    Then the last row or column has neighbours of its own colour, and is updated after the rest.
    """
    y = rows - 1 if rows % 2 and lattice.down[-1, 0] else rows
    x = lattice.width - 1 if lattice.width % 2 and lattice.right[0, -1] else lattice.width
    regions = [(0, y, 0, x), (0, y, x, lattice.width), (y, rows, 0, x), (y, rows, x, lattice.width)]
    return [r for r in regions if r[0] < r[1] and r[2] < r[3]]


def _members(regions: list[tuple[int, int, int, int]], columns: int) -> NDArray[np.uint64]:
    x = 2 * np.arange(columns) + np.arange(2)[:, None]
    return np.array([np.where((x >= first) & (x < end), ALL, NONE) for _, _, first, end in regions])


def _separate(plane: NDArray[np.uint64], columns: int) -> NDArray[np.uint64]:
    """Words uint64[colour, row, column] of words uint64[row, x]."""
    y, x = np.indices(plane.shape)
    words = np.zeros((2, len(plane), columns), np.uint64)
    words[(y + x) & 1, y, x // 2] = plane
    return words


@lru_cache(maxsize=16)
def board(lattice: Lattice, lane: str) -> Board:
    """The `Board` of a lattice in the layout "strips" or "replicas"."""
    strips = lane == "strips"
    lanes = LANES if strips else 1
    rows = lattice.height // lanes
    columns = -(-((lattice.width + 1) // 2) // WIDTH) * WIDTH
    regions = _regions(lattice, rows)
    count = absent_bonds(lattice).reshape(lanes, rows, lattice.width)
    if not strips:
        count = np.repeat(count, LANES, axis=0)
    planes = [pack(np.where(count >> bit & 1, 1, -1).astype(np.int8)) for bit in range(2)]
    return Board(
        shape=Shape(rows, lattice.width, columns, int(strips)),
        coupling=NONE if lattice.coupling > 0 else ALL,
        edges=_edges(lattice, strips),
        absent=np.array([_separate(plane, columns) for plane in planes]),
        regions=np.array([(y, last, x // 2 // WIDTH * WIDTH, (end + 1) // 2) for y, last, x, end in regions]),
        members=_members(regions, columns),
    )


def gather(spins: NDArray[np.int8], shape: Shape) -> NDArray[np.uint64]:
    """Words uint64[colour, row, column] with room for the halo, of spins int8[lane, row, x]."""
    return np.pad(_separate(pack(spins), shape.columns), ((0, 0), (1, 1), (MARGIN, MARGIN)))


def scatter(words: NDArray[np.uint64], spins: NDArray[np.int8]) -> None:
    """Write words back into spins int8[lane, row, x]."""
    y, x = np.indices(spins.shape[1:])
    unpack(words[(y + x) & 1, y + 1, x // 2 + MARGIN], spins)


@njit(inline="always")
def _rotate(word, bits):
    """Rotate left by 0 to 63 bits."""
    return (word << np.uint64(bits)) | (word >> np.uint64(-bits & (LANES - 1)))


@njit(forceinline=True)
def _across(edges, edge, wrapped, mirrored):
    """What a site sees across an edge."""
    return ((wrapped & edges[edge, 0]) | (mirrored & edges[edge, 1])) ^ edges[edge, 2]


@compiled
def fill_rows(words, edges, shape, colour):
    """Write the halo rows of one colour."""
    rows, other = shape.rows, 1 - colour
    opposite = colour ^ (rows & 1)  # an odd height changes the colour across the edge
    for i in range(words.shape[2]):
        above = _rotate(words[opposite, rows, i], shape.rotation)
        below = _rotate(words[opposite, 1, i], -shape.rotation & (LANES - 1))
        words[colour, 0, i] = _across(edges, TOP, above, words[other, 1, i])
        words[colour, rows + 1, i] = _across(edges, BOTTOM, below, words[other, rows, i])


@njit(forceinline=True)
def fill_columns(words, edges, shape, colour, y):
    """Write the halo of one colour before and after row y."""
    end = shape.width - 1
    first = words[y & 1, y + 1, MARGIN]
    last = words[(y + end) & 1, y + 1, MARGIN + end // 2]
    if (y + 1) & 1 == colour:
        words[colour, y + 1, MARGIN - 1] = _across(edges, LEFT, last, first)
    if (y + shape.width) & 1 == colour:
        words[colour, y + 1, MARGIN + shape.width // 2] = _across(edges, RIGHT, first, last)
