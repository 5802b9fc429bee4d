"""Random ground states of ferromagnets whose boundary forces a wall on them: equilibrium as T goes to 0.

Skewed: a flat wall at one of height + 1 places. Antiperiodic: every row and every column has one unsatisfied bond, so
the wall is a monotone staircase that closes on itself after height + width steps. All of them come with the same
probability, but for the few crosses of two straight walls: rising and falling staircases both give them.
"""

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.montecarlo.rng import random_words
from kadanoff.spins.boundary import Lattice

WALLED = ("skewed", "antiperiodic")


def ground_states(lattice: Lattice, key: np.uint64, first_chain: int, chains: int) -> NDArray[np.int8]:
    """One for each chain, by its number: int8 (chains, height, width).

    Raises
    ------
    KadanoffError
        If no wall is forced, or the lattice is an antiferromagnet.
    """
    if lattice.boundary not in WALLED or lattice.dimension == 1 or lattice.coupling < 0:
        raise KadanoffError(
            f"the lattice is {lattice.boundary} with coupling {lattice.coupling}; ground states are drawn where a wall "
            f"is forced on a square ferromagnet: {' and '.join(WALLED)}. Take start: hot."
        )
    # a few words more than steps: for signs and shifts
    words = random_words(key, chains, sum(lattice.shape) + 4, first_chain)
    draw = _flat if lattice.boundary == "skewed" else _staircase
    return np.stack([draw(lattice, row) for row in words])


def _flat(lattice: Lattice, words: NDArray[np.uint64]) -> NDArray[np.int8]:
    above = int(words[0] % np.uint64(lattice.height + 1))  # rows of + spins
    spins = np.ones(lattice.shape, np.int8)
    spins[above:] = -1
    return spins


def _staircase(lattice: Lattice, words: NDArray[np.uint64]) -> NDArray[np.int8]:
    height, width = lattice.shape
    mirror, sign, down, right = words[-4:]
    vertical = np.argsort(words[:-4], kind="stable") < height  # which of the steps go down
    crossed = np.cumsum(~vertical)[vertical]  # (height,): columns left of the wall in each row
    spins = np.where(np.arange(width) < crossed[:, None], 1, -1).astype(np.int8)
    if mirror & np.uint64(1):
        spins = spins[:, ::-1]
    spins = _moved(spins, int(down % np.uint64(height)), 0)
    spins = _moved(spins, int(right % np.uint64(width)), 1)
    return spins if sign & np.uint64(1) else -spins


def _moved(spins: NDArray[np.int8], places: int, axis: int) -> NDArray[np.int8]:
    """Turned about an antiperiodic axis: what crosses the edge changes its sign."""
    kept, crossed = np.split(spins, [spins.shape[axis] - places], axis)
    return np.concatenate([-crossed, kept], axis)
