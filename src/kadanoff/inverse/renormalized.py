"""Gibbs sweeps of a coarse lattice under the renormalized Hamiltonian, before a network enlarges it.

The majority spins of a critical nearest-neighbour lattice are critical too, but their Hamiltonian H' is another, the
renormalized one: they agree more with their neighbours, and their G(r) is some percent higher at all distances. A
network that undoes the rule was trained on such lattices. A nearest-neighbour lattice that is enlarged as if it were
one of them gives a lattice whose long waves are too weak by that factor, which Metropolis sweeps correct slowly, and
over short distances only. So the coarse lattice is first brought into local equilibrium with H', by Gibbs sweeps that
take each spin from P(spin | 20 spins around it), counted in training lattices. That leaves its long waves as they are.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.inverse import kernels
from kadanoff.inverse.superresolve import Band, Spins, Stream
from kadanoff.inverse.training import coarsened, over_origins
from kadanoff.montecarlo.rng import philox, stream_key
from kadanoff.networks.superres import Blocks
from kadanoff.spins.compiled import compiled
from kadanoff.spins.observables import periodic_energy
from kadanoff.spins.statistics import independent_mean
from kadanoff.spins.surroundings import AROUND, Part, rows, symmetries

SWEEPS = 32  # that bring a coarse lattice into local equilibrium with H'
PRIOR = 4.0  # spins that the guess from fewer surroundings counts for
STEP = 4  # every fourth row and column is updated at once: no two of these spins see each other
PART = Part(tuple(np.ndindex(STEP, STEP)), (), AROUND)
_NOWHERE, _AROUND = np.zeros((0, 2), np.int64), np.array(AROUND, np.int64)

LogOdds = NDArray[np.float32]  # ln P(up) / P(down) of a spin, for every row of the 20 spins around it: (2^20,)


@dataclass(frozen=True)
class RenormalizedGibbs:
    """Gibbs sweeps with the conditional probability of a spin."""

    log_odds: LogOdds
    sweeps: int = SWEEPS

    @staticmethod
    def of(network: Blocks) -> "RenormalizedGibbs | None":
        """What a trained network holds: None if it has no such table, or none was learned (`upsample` does)."""
        odds = network.log_odds
        return None if odds is None or not odds.any() else RenormalizedGibbs(odds.numpy())

    @cached_property
    def thresholds(self) -> NDArray[np.uint32]:
        """P(up) for every row of the table, in units of 2^-32."""
        up = 1 / (1 + np.exp(-self.log_odds.astype(np.float64)))
        return np.minimum(np.floor(2.0**32 * up), 2**32 - 1).astype(np.uint32)

    @property
    def halo(self) -> int:
        """Rows that a band needs above and below itself: each sweep spoils as many more as are in a step.

        A row that is the first of its step is updated first, from rows above as they were before the sweep; the three
        below it see it and each other. Below, the last two rows of a step are spoilt at once, all others a sweep later.
        """
        return STEP * self.sweeps

    def sweep(self, spins: Spins, stream: Stream, band: Band | None = None) -> Spins:
        """Coarse lattices int8 (n, y, x) after the sweeps, as new ones; KadanoffError if a side is no multiple of 4.

        `stream` is (key, number of the first lattice). The spins may be a `band`, (first row, rows of the lattice),
        whose first row is a multiple of 4: all but `halo` rows at either end are then those of the whole.
        """
        if any(side % STEP for side in spins.shape[1:]):
            raise KadanoffError(f"a lattice that is swept has the shape {spins.shape[1:]}; take multiples of {STEP}.")
        swept = np.ascontiguousarray(spins, np.int8).copy()
        _gibbs(swept, self.thresholds, *stream, *(band or (0, spins.shape[1])), self.sweeps)
        return swept

    def energy_drift(self, fine: Spins, rule: str, block: int, seed: int) -> Estimate:
        """Change of the energy per spin of what the rule makes of fine lattices (n, y, x), by the sweeps.

        It is 0 if H' has them as its equilibrium, and a spin depends on no others than those around it.
        """
        coarse = coarsened(fine, rule, block)
        swept = self.sweep(coarse, (stream_key(seed, "drift"), 0))
        return independent_mean(periodic_energy(swept) - periodic_energy(coarse))


def conditional_log_odds(fine: Spins, rule: str, block: int) -> LogOdds:
    """The conditional of a coarse spin, by its counts in all that the rule makes of fine lattices (n, y, x).

    Surroundings that are alike up to a symmetry of the square, or the flip of all spins, are counted as one. To each
    kind `PRIOR` spins are added that are up as often as the nearest 12 spins alone say, to these as the nearest 4 do.
    """

    def counts_of(_: Spins, coarse: Spins) -> NDArray[np.int64]:
        counts = np.zeros((1 << len(AROUND), 2), np.int64)
        kernels.count(coarse, coarse, _AROUND, _NOWHERE, (1, 1), counts)
        return counts

    counts = over_origins(counts_of, fine, rule, block)
    spins = rows(len(AROUND)) > 0
    weights = 1 << np.arange(len(AROUND))
    alike = np.sum([counts[spins[:, places] @ weights] for places, _ in symmetries(PART, 1)], axis=0)
    alike = alike + alike[::-1, ::-1]
    up = np.full(len(alike), 0.5)
    for reach in (1, 4, 5):  # squared distances: the nearest 4, 12 and all 20
        near = (_AROUND**2).sum(1) <= reach
        kind = spins[:, near] @ weights[: near.sum()]
        seen = np.stack([np.bincount(kind, alike[:, state]) for state in (0, 1)], 1)[kind]
        up = (seen[:, 1] + PRIOR * up) / (seen.sum(1) + PRIOR)
    return np.log(up / (1 - up)).astype(np.float32)


@njit(inline="always")
def _columns(own, y, columns):
    """Write columns[2 + x]: the spins of rows y - 2 to y + 2 of each column as bits."""
    rows, width = own.shape
    top, above = kernels.wrapped(y - 2, rows), kernels.wrapped(y - 1, rows)
    below, bottom = kernels.wrapped(y + 1, rows), kernels.wrapped(y + 2, rows)
    for x in range(width):
        columns[2 + x] = (
            (own[top, x] > 0)
            | (own[above, x] > 0) << 1
            | (own[y, x] > 0) << 2
            | (own[below, x] > 0) << 3
            | (own[bottom, x] > 0) << 4
        )


@njit(inline="always")
def _seen(columns, x):
    """Row of the table for the spin in column x: bits in the order of AROUND."""
    middle = columns[2 + x]
    return (
        (columns[x] >> 1 & 7)
        | columns[x + 1] << 3
        | (middle & 3 | middle >> 1 & 12) << 8
        | columns[x + 3] << 12
        | (columns[x + 4] >> 1 & 7) << 17
    )


@njit(inline="always")
def _draw(numbers, key, word, sweep, column, chain):
    """32-bit random numbers of a row: four a word."""
    for place in range(len(numbers) // 4):
        low, high = philox(key, np.uint64(word + place), sweep, column, chain)
        numbers[4 * place], numbers[4 * place + 1] = np.uint32(low), np.uint32(low >> np.uint64(32))
        numbers[4 * place + 2], numbers[4 * place + 3] = np.uint32(high), np.uint32(high >> np.uint64(32))


@njit(inline="always")
def _update_row(own, y, columns, numbers, thresholds, key, word, sweep, chain):
    """Gibbs updates of a row, every fourth spin at a time; `word` counts the random numbers of the rows before."""
    width = own.shape[1]
    _columns(own, y, columns)
    for column in range(4):
        columns[0], columns[1] = columns[width], columns[width + 1]
        columns[width + 2], columns[width + 3] = columns[2], columns[3]
        _draw(numbers, key, word, sweep, np.uint64(column), chain)
        for place in range(width // 4):
            x = 4 * place + column
            up = np.int64(numbers[place] < thresholds[_seen(columns, x)])  # a branch would often be predicted wrong
            own[y, x] = np.int8(2 * up - 1)
            columns[2 + x] = columns[2 + x] & ~4 | up << 2


@compiled
def _gibbs(spins, thresholds, key, first_chain, first_row, height, sweeps):
    """Sweeps in place; `thresholds` of spin up are in units of 2^-32, by rows of AROUND."""
    rows, width = spins.shape[1:]
    words = (width + 15) // 16
    columns, numbers = np.empty(width + 4, np.int64), np.empty(4 * words, np.uint32)
    for chain in range(spins.shape[0]):
        for sweep in range(sweeps):
            for row_class in range(4):
                for y in range(row_class, rows, 4):
                    word, number = (first_row + y) % height * words, np.uint64(first_chain + chain)
                    _update_row(spins[chain], y, columns, numbers, thresholds, key, word, np.uint64(sweep), number)
