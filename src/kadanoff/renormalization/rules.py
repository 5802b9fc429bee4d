"""Block rules that draw: a block spin is +1 with a probability that the spins in and around its block decide.

A rule is its mean <s'>: +1 or -1 where the spins decide, 0 for a coin. Given the fine spins, block spins are
independent.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError, real, whole
from kadanoff.montecarlo.rng import random_words
from kadanoff.spins.blocking import decimation
from kadanoff.spins.observables import block_sums

MOST_BLOCK, LARGEST_WEIGHT = 1000, 1000.0
Spins = NDArray[np.int8]
Means = NDArray[np.float32]


@dataclass(frozen=True)
class Rule:
    """A block rule: `mean` takes spins int8 (n, y, x) to <s'>, float32 (n, y / block, x / block)."""

    block: int
    mean: Callable[[Spins], Means]

    def __post_init__(self) -> None:
        """Refuse what is no block size."""
        whole(self.block, "block", 1, MOST_BLOCK)

    def draw(self, spins: Spins, key: np.uint64, number: int = 0, first: int = 0) -> Spins:
        """Block spins int8 (n, y / block, x / block) of lattices `first`, `first` + 1, ...

        A spin's random bits depend on key, lattice, place and `number`, which counts the configurations of a chain.
        KadanoffError if the block size does not divide the sides, or the rule's means are none.
        """
        mean = self.mean(spins)
        shape = len(spins), spins.shape[1] // self.block, spins.shape[2] // self.block
        if np.shape(mean) != shape or not (np.abs(mean) <= 1).all():
            raise KadanoffError(
                f"a rule makes means of the shape {np.shape(mean)}, up to {np.max(np.abs(mean))} in size; each lies "
                f"between -1 and 1, and there is one for each block: {shape}."
            )
        if (np.abs(mean) == 1).all():
            return mean.astype(np.int8)
        chains, height, width = mean.shape
        words = random_words(key, chains, -(-height * width // 2), first, number)
        # 31 bits: an up-probability of 1 is above all of them, and one of 1/2 is a fair coin
        random = words.view(np.uint32)[:, : height * width].reshape(mean.shape) >> 1
        return np.where(random < (1 + mean.astype(np.float64)) * 2.0**30, np.int8(1), np.int8(-1))


def majority(block: int) -> Rule:
    """Sign of the block's sum; a coin in a tie."""
    return Rule(block, lambda spins: np.sign(block_sums(spins, block)).astype(np.float32))


def corner(block: int) -> Rule:
    """Decimation: the block's first spin."""
    return Rule(block, lambda spins: decimation(spins, block).astype(np.float32))


def weighted(block: int, weight: float) -> Rule:
    """P(s') ~ exp(weight s' sum of the block's spins); Blote et al., Phys. Rev. Lett. 76, 2613 (1996)."""
    weight = real(weight, "weight", -LARGEST_WEIGHT, LARGEST_WEIGHT)
    return Rule(block, lambda spins: np.tanh(weight * block_sums(spins, block)).astype(np.float32))
