"""Block rules: a block x block square of spins (a segment of a chain) becomes one spin.

Every rule has the signature ``rule(spins, block, dimension=2)``; it takes [..., y, x] and returns
[..., y/block, x/block] (for chains, with dimension 1: [..., x] and [..., x/block]). It raises KadanoffError if
the block size does not divide every side.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import numbers
from kadanoff.spins.observables import block_sums, check_block, strided


def average(spins: NDArray, block: int, dimension: int = 2) -> NDArray[np.float32]:
    """Mean spin of each block, float32."""
    return (block_sums(spins, block, dimension) / block**dimension).astype(np.float32)


def majority(spins: NDArray, block: int, dimension: int = 2) -> NDArray[np.int8]:
    """Sign of each block's sum, int8; in a tie, of its upper-left spin."""
    sums = block_sums(spins, block, dimension)
    decisive = np.where(sums == 0, decimation(spins, block, dimension), sums)
    return np.where(decisive > 0, np.int8(1), np.int8(-1))


def decimation(spins: NDArray, block: int, dimension: int = 2) -> NDArray:
    """The upper-left spin of each block, in the type of the spins."""
    spins = numbers(spins, "spins")
    check_block(spins.shape[-dimension:], block)
    return spins[strided((0,) * dimension, block)].copy()


def threshold(spins: NDArray, block: int, dimension: int = 2) -> NDArray[np.int8]:
    """+1 where a block's sum is positive, else -1, int8: ties are -1, so that it is not odd under spin flip.

    What the published code of the coarse-graining report does, where its text says "block averaging".
    """
    return np.where(block_sums(spins, block, dimension) > 0, np.int8(1), np.int8(-1))


RULES: dict[str, Callable[..., NDArray]] = {
    "average": average,
    "majority": majority,
    "threshold": threshold,
    "decimation": decimation,
}
"""Every block rule by its name in `params.yaml`."""
