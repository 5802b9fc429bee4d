"""A random symmetry of the lattice for each chain: what neither its start nor the order of its updates may prefer.

In a field the colour that is updated first takes the field's side in a quench, so that nearly all antiferromagnets
would come to the same of two sublattices; and the walls of an antiperiodic torus, which may lie anywhere, move slowly.
Equilibrium is as likely before as after these maps: translations (those of an antiperiodic torus reverse what crosses
an edge), mirror images, and without a field the reversal of all spins.
"""

import numpy as np
from numpy.typing import NDArray

from kadanoff.montecarlo.rng import random_words
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.compiled import compiled

ONE = np.uint64(1)


def ends_with_symmetry(lattice: Lattice, field: float) -> bool:
    """Whether chains on this lattice are mapped by a random symmetry after their last sweep."""
    return bool(field) or lattice.boundary == "antiperiodic"


def symmetrize(
    spins: NDArray[np.int8], lattice: Lattice, field: float, key: np.uint64, first_chain: int = 0, number: int = 0
) -> None:
    """Map each chain, int8 (chain, height, width), by a symmetry drawn from key, chain and `number`; in place."""
    words = random_words(key, len(spins), 5, first_chain, number)
    twist = -1 if lattice.boundary == "antiperiodic" else 1
    turns = lattice.boundary == "periodic" or (twist < 0 and not field)
    fixed = lattice.boundary == "skewed"
    allowed = np.array(
        [
            True,  # mirror images left to right,
            not (fixed and field),  # and upside down, between fixed rows with all spins reversed
            turns,  # translations down,
            turns or fixed,  # and to the right
            not field and not fixed,  # and the reversal of all spins
        ]
    )
    _map(spins, words, allowed, -1 if fixed else 1, twist)


@compiled
def _map(spins, words, allowed, mirrored, twist):
    chains, height, width = spins.shape
    before = np.empty((height, width), np.int8)
    for chain in range(chains):
        before[:] = spins[chain]
        sideways, upside = allowed[0] and words[chain, 0] & ONE, allowed[1] and words[chain, 1] & ONE
        down = np.int64(words[chain, 2] % np.uint64(height)) if allowed[2] else 0
        right = np.int64(words[chain, 3] % np.uint64(width)) if allowed[3] else 0
        sign = -1 if allowed[4] and words[chain, 4] & ONE else 1
        sign = sign * mirrored if upside else sign
        for y in range(height):
            row = (height - 1 - y if upside else y) + down
            of_row = sign * twist if row >= height else sign
            row = row - height if row >= height else row
            for x in range(width):
                column = (width - 1 - x if sideways else x) + right
                of_site = of_row * twist if column >= width else of_row
                column = column - width if column >= width else column
                spins[chain, row, column] = of_site * before[y, x]
