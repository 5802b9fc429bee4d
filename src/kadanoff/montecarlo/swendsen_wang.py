"""Swendsen-Wang cluster updates, for bonds of either sign and fixed spins at the edges.

In a sweep each satisfied bond (J s s' > 0) is active with probability 1 - exp(-2/T), and each cluster that
active bonds join turns over with probability 1/2. A bond to a fixed spin outside of the lattice is active
like any other, and the clusters that hold one stay as they are.

The 32 random bits of a bond and the coin of a cluster, the random bit of its first site, are functions of
key, chain, sweep and site. Bonds lie 64 to a word and get their random numbers plane by plane, as in
`multispin`, until all are decided: after about a dozen bits each, not 32.

Source: Swendsen, Wang, "Nonuniversal critical dynamics in Monte Carlo simulations", Phys. Rev. Lett. 58, 86
(1987).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.montecarlo.clusters import NONE, ONE, WORD, flip, freeze, label
from kadanoff.montecarlo.multispin import PAIRS, compare_plane, plane_of
from kadanoff.montecarlo.rng import THRESHOLD_BITS, philox, threshold
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.compiled import compiled

BLOCK = 32  # words that draw together: enough for vector instructions, few enough to stop early
RIGHT, DOWN, OUT, COIN = (np.uint64(n * PAIRS) for n in range(4))  # where the third counter begins


class Bonds(NamedTuple):
    """A lattice as words of 64 sites: where bonds are, and which are negative."""

    right: NDArray[np.uint64]  # (height, words)
    right_negative: NDArray[np.uint64]
    down: NDArray[np.uint64]
    down_negative: NDArray[np.uint64]
    ghost_rows: NDArray[np.int64]  # the rows that touch fixed spins
    ghost: NDArray[np.uint64]  # (ghost rows, words)
    ghost_negative: NDArray[np.uint64]
    inside: NDArray[np.uint64]  # (words,): the bits that are sites
    last: NDArray[np.uint64]  # (words,): the number of the last of them


def advance(
    spins: NDArray[np.int8],
    lattice: Lattice,
    temperature: float,
    field: float,
    key: np.uint64,
    first_chain: int,
    first_sweep: int,
    sweeps: int,
) -> None:
    """Advance chains, int8 (chain, height, width), by Swendsen-Wang sweeps, in place; as `metropolis.advance`.

    The field must be 0: it breaks the symmetry between a cluster and its reverse. Any chain may be the first.
    """
    if field != 0:
        raise KadanoffError(
            f"field is {field!r} and the sampler 'swendsen_wang', whose clusters turn over freely only without "
            "a field. Use sampler: metropolis."
        )
    words = _packed(spins > 0)
    inactive = np.uint64(threshold(2.0, temperature))
    _advance(words, _bonds(lattice), inactive, np.uint64(key), first_chain, first_sweep, sweeps)
    octets = words.astype("<u8", copy=False).view(np.uint8)
    bits = np.unpackbits(octets, axis=-1, count=lattice.width, bitorder="little").view(np.int8)
    np.multiply(bits, 2, out=spins)
    spins -= 1


def _packed(mask: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Words (..., ceil(width / 64)) of a mask (..., width): site x is bit x % 64 of word x // 64."""
    octets = np.zeros((*mask.shape[:-1], 8 * -(-mask.shape[-1] // WORD)), np.uint8)
    packed = np.packbits(mask, axis=-1, bitorder="little")
    octets[..., : packed.shape[-1]] = packed
    return octets.view("<u8").astype(np.uint64, copy=False)


@lru_cache(maxsize=4)
def _bonds(lattice: Lattice) -> Bonds:
    rows = np.flatnonzero(lattice.ghost.any(axis=1))
    signs = lattice.right, lattice.down, lattice.ghost[rows]
    right, down, ghost = ((_packed(sign != 0), _packed(sign < 0)) for sign in signs)
    inside = _packed(np.ones(lattice.width, np.bool_))
    last = np.bitwise_count(inside).astype(np.uint64) - ONE
    return Bonds(*right, *down, rows, *ghost, inside, last)


@compiled
def _advance(words, bonds, inactive, key, first_chain, first_sweep, sweeps):
    """All sweeps of one chain after another; `words` is uint64[chain, height, words]."""
    chains, height, row = words.shape
    right = np.empty((height, row), np.uint64)
    down = np.empty((height, row), np.uint64)
    starts = np.empty((height, row), np.uint64)
    first = np.empty((height, row), np.uint64)
    runs = height * (np.int64(bonds.last.sum()) + row) + 1
    parent = np.empty(runs + WORD, np.uint32)
    flips = np.empty(runs, np.uint8)
    for c in range(chains):
        spins, chain = words[c], np.uint64(first_chain + c)
        for t in range(first_sweep, first_sweep + sweeps):
            sweep = np.uint64(t)
            _satisfied(spins, bonds, right, down)
            _activate(right.reshape(-1), inactive, key, NONE, sweep, RIGHT, chain)
            _activate(down.reshape(-1), inactive, key, NONE, sweep, DOWN, chain)
            label(right, down, bonds.inside, bonds.last, starts, first, parent)
            _freeze(spins, bonds, inactive, key, sweep, chain, starts, first, parent)
            coins = right  # its bonds have been read
            _draw_coins(coins.reshape(-1), key, sweep, chain)
            flip(spins, coins, bonds.inside, starts, first, parent, flips)


@compiled
def _satisfied(spins, bonds, right, down):
    """Bonds of a configuration uint64[height, words] whose energy is negative."""
    height, words = spins.shape
    for y in range(height):
        below = y + 1 if y + 1 < height else 0
        for w in range(words):
            following = spins[y, w + 1 if w + 1 < words else 0]
            neighbours = (spins[y, w] >> ONE) | ((following & ONE) << bonds.last[w])
            right[y, w] = bonds.right[y, w] & ~(spins[y, w] ^ neighbours ^ bonds.right_negative[y, w])
            down[y, w] = bonds.down[y, w] & ~(spins[y, w] ^ spins[below, w] ^ bonds.down_negative[y, w])


@compiled
def _activate(bonds, inactive, key, first_word, sweep, purpose, chain):
    """Clear the bits of the words `bonds` whose random number is below `inactive`.

    Planes 2n and 2n+1 of word w are the Philox block at counter (first_word + w, sweep, purpose + n, chain).
    """
    if inactive >> np.uint64(THRESHOLD_BITS):
        bonds[:] = NONE
        return
    less = np.empty(BLOCK, np.uint64)
    undecided = np.empty(BLOCK, np.uint64)
    for begin in range(0, bonds.size, BLOCK):
        size = min(BLOCK, bonds.size - begin)
        for i in range(size):
            less[i], undecided[i] = NONE, bonds[begin + i]
        for pair in range(PAIRS):
            first, second = plane_of(inactive, 2 * pair), plane_of(inactive, 2 * pair + 1)
            left = NONE
            for i in range(size):
                word = first_word + np.uint64(begin + i)
                random, more = philox(key, word, sweep, purpose + np.uint64(pair), chain)
                found, equal = compare_plane(less[i], undecided[i], random, first)
                less[i], undecided[i] = compare_plane(found, equal, more, second)
                left |= undecided[i]
            if left == NONE:
                break
        for i in range(size):
            bonds[begin + i] &= ~less[i]


@compiled
def _freeze(spins, bonds, inactive, key, sweep, chain, starts, first, parent):
    """Join the clusters that active bonds tie to fixed spins to the ghost."""
    words = spins.shape[1]
    for i, y in enumerate(bonds.ghost_rows):
        active = bonds.ghost[i] & (spins[y] ^ bonds.ghost_negative[i])
        _activate(active, inactive, key, np.uint64(y * words), sweep, OUT, chain)
        for w in range(words):
            freeze(parent, active[w], starts[y, w], first[y, w])


@compiled
def _draw_coins(coins, key, sweep, chain):
    """Fill the words `coins` with random bits, one for each site."""
    for w in range(coins.size):
        coins[w], _ = philox(key, np.uint64(w), sweep, COIN, chain)
