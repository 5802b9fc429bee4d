"""Probabilities of block states as tables: from a network or from a known Hamiltonian."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kadanoff.spins.surroundings import Part, block_shape, coarse_spins, parts, rows, states

FULL = 2**32 - 1


@dataclass(frozen=True)
class Table:
    """P(state | what a part sees): float64 (2^inputs, 2^sites); states that the rule forbids have 0."""

    part: Part
    probabilities: NDArray[np.float64]

    @cached_property
    def thresholds(self) -> NDArray[np.uint32]:
        """Integers such that a uniform 32-bit number picks the first state whose threshold exceeds it."""
        return as_thresholds(self.probabilities)

    @cached_property
    def logarithms(self) -> NDArray[np.float64]:
        """Of the drawn P(state | row), which are multiples of 2^-32 as the thresholds are; -inf if never drawn."""
        ends = self.thresholds.astype(np.int64)
        ends[ends == FULL] += 1  # the largest random number is drawn as the one below it: `kernels.LARGEST`
        with np.errstate(divide="ignore"):
            return np.log(np.diff(ends, axis=1, prepend=0) / (FULL + 1))


def as_thresholds(probabilities: NDArray) -> NDArray[np.uint32]:
    """Cumulative probabilities over the last axis in units of 2^-32; from the last possible state on they are full."""
    cumulative = np.cumsum(probabilities, axis=-1, dtype=np.float64)
    cumulative /= cumulative[..., -1:]
    # sums after the last possible state equal 1 exactly, as do those of that state itself
    return np.floor(cumulative * FULL).astype(np.uint32)


def forbid(logits: NDArray[np.float64], part: Part, coarse: NDArray[np.int8]) -> NDArray[np.float64]:
    """Probabilities (row, state) of `logits`, 0 where a state does not give the row's own coarse spin."""
    own = rows(part.inputs)[:, 0]
    weights = np.where(own[:, None] == coarse, logits, -np.inf)
    weights = np.exp(weights - weights.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def known(rule: str, block: int, dimension: int, temperature: float) -> Table:
    """Exact conditional probability of a block given the blocks around it, for nearest-neighbour couplings J = 1.

    P(state | surroundings) ~ exp(sum of s_i s_j / T over the bonds inside of the block and to the spins that touch
    it), over the states that the rule allows: Efthymiou et al. 2019, eqs. (1) and (2),
    conditioned on the neighbours.
    """
    height, width = block_shape(block, dimension)
    last = parts(block, dimension)[-1]
    table = states(block, dimension).astype(np.float64)
    sites = [(y, x) for y in range(height) for x in range(width)]
    inside = sum(
        table[:, i] * table[:, j] for i, a in enumerate(sites) for j, b in enumerate(sites) if i < j and _touch(a, b)
    )
    seen = rows(last.inputs)[:, len(last.coarse) :].astype(np.float64)  # (row, touching spin)
    bonds = np.array([[_touch(place, site) for site in sites] for place in last.fine], np.float64)
    logits = (inside + seen @ bonds @ table.T) / temperature
    return Table(last, forbid(logits, last, coarse_spins(rule, block, dimension)))


def _touch(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1
