"""Blocks as random variables: their states, and what of its surroundings decides the state of a block.

A fine lattice is drawn in parts, the blocks of a part all at once: on the square first one colour of a checkerboard of
blocks (its even rows, then its odd rows given them), then the other colour given the first; on a chain every second
block, then the rest. With interactions between nearest neighbours the last part is exact: the four neighbouring blocks
separate a block from all others.

Arrays are [..., y, x]; a chain has height 1. State s has spin +1 at site k of the block (row by row) where bit k of s
is set. Row r of a table has bit j set where the j-th spin that a part sees is +1, coarse spins before fine ones.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError, shown, whole
from kadanoff.spins.blocking import RULES

Place = tuple[int, int]
MOST_SITES = 9
"""Largest block: a table has a column for each of its 2^sites states."""
AROUND = tuple((y, x) for x in range(-2, 3) for y in range(-2, 3) if 0 < y * y + x * x <= 5)
"""The 20 places around a spin within 2 along each axis, but for the corners; column by column."""
SPIN_RULES = tuple(name for name in RULES if name != "average")
"""Rules whose coarse spins are +1 or -1."""


class Part(NamedTuple):
    """Blocks that are drawn together, and the spins that each of them sees.

    `sublattices` holds the parities (y, x) of their places among the blocks, `coarse` the coarse spins relative to a
    block's own, which comes first, and `fine` the fine spins relative to the block's first site.
    """

    sublattices: tuple[Place, ...]
    coarse: tuple[Place, ...]
    fine: tuple[Place, ...]

    @property
    def inputs(self) -> int:
        """Number of spins seen: a table has 2^inputs rows."""
        return len(self.coarse) + len(self.fine)


def parts(block: int, dimension: int) -> tuple[Part, ...]:
    """The parts of a draw, in their order."""
    height, width = block_shape(block, dimension)
    sides = [(y, x) for y in range(height) for x in (-1, width)]
    if dimension == 1:
        return Part(((0, 0),), _near(2, 1), ()), Part(((0, 1),), ((0, 0),), tuple(sides))
    touching = [(y, x) for x in range(width) for y in (-1, height)] + sides
    corners = tuple(product((-1, height), (-1, width)))
    return (
        Part(((0, 0),), tuple(place for place in _near(2, 2) if abs(place[0]) + abs(place[1]) <= 2), ()),
        Part(((1, 1),), _near(1, 2), corners),
        Part(((0, 1), (1, 0)), ((0, 0),), tuple(touching)),
    )


def _near(radius: int, dimension: int) -> tuple[Place, ...]:
    """Places within `radius` along each axis, the nearest first."""
    reach = range(-radius, radius + 1)
    places = product(reach if dimension == 2 else (0,), reach)
    return tuple(sorted(places, key=lambda place: (abs(place[0]) + abs(place[1]), place)))


class Symmetry(NamedTuple):
    """A symmetry of the square about the centre of a block: what is seen and what is drawn, rearranged by it."""

    inputs: NDArray[np.int64]
    """(inputs,): which of the spins seen comes to the place of each."""
    states: NDArray[np.int64]
    """(2^sites,): state s becomes states[s]."""


def symmetries(part: Part, block: int) -> list[Symmetry]:
    """The eight of the square, the identity first.

    The parts of a draw are symmetric: what they see is the same set of places, seen from any side.
    """
    sites = tuple(product(range(block), range(block)))
    up, weights = rows(block**2) > 0, 1 << np.arange(block**2)
    found = []
    for flip, turns in product((False, True), range(4)):
        coarse, fine = _moved(part.coarse, 1, flip, turns), _moved(part.fine, block, flip, turns)
        inputs = np.concatenate([coarse, len(part.coarse) + fine])
        found.append(Symmetry(inputs, up[:, _moved(sites, block, flip, turns)] @ weights))
    return found


def _moved(places: Sequence[Place], side: int, flip: bool, turns: int) -> NDArray[np.int64]:
    """Where each place goes, as its number among `places`; the square of `side` sites is turned about its centre."""
    numbers = {place: number for number, place in enumerate(places)}
    moved = []
    for y, x in places:
        if flip:
            y, x = x, y
        for _ in range(turns):
            y, x = x, side - 1 - y
        moved.append(numbers[y, x])
    return np.array(moved, np.int64)


def block_shape(block: int, dimension: int) -> Place:
    """(height, width) of a block; KadanoffError if it has fewer than 2 sites a side, or more than 9 sites."""
    dimension, block = whole(dimension, "dimension", 1, 2), whole(block, "block", 0, 1 << 32)
    shape = (block if dimension == 2 else 1, block)
    if block < 2 or shape[0] * shape[1] > MOST_SITES:
        raise KadanoffError(
            f"block is {block} in {dimension} dimension(s); whole blocks are drawn from a table of their states, so a "
            f"block has 2 or more sites a side and at most {MOST_SITES} in all. Take a smaller one."
        )
    return shape


def states(block: int, dimension: int) -> NDArray[np.int8]:
    """Every state of a block: int8 (2^sites, sites) of +1 and -1."""
    height, width = block_shape(block, dimension)
    return rows(height * width)


def coarse_spins(rule: str, block: int, dimension: int) -> NDArray[np.int8]:
    """What a rule makes of every state of a block: int8 (2^sites,); KadanoffError if that is not +1 and -1."""
    if rule not in SPIN_RULES:
        raise KadanoffError(
            f"rule is {shown(rule)}; what is inverted has coarse spins +1 and -1: choose one of "
            f"{', '.join(SPIN_RULES)}."
        )
    table = states(block, dimension).reshape(-1, *(block,) * dimension)
    return RULES[rule](table, block, dimension).reshape(-1)


def is_odd(rule: str, block: int, dimension: int) -> bool:
    """Whether flipping all spins of a block always flips its coarse spin."""
    coarse = coarse_spins(rule, block, dimension)
    return bool((coarse == -coarse[::-1]).all())


def rows(inputs: int) -> NDArray[np.int8]:
    """Every row of a table as the spins that it stands for: int8 (2^inputs, inputs)."""
    bits = np.arange(2**inputs)[:, None] >> np.arange(inputs) & 1
    return (2 * bits - 1).astype(np.int8)
