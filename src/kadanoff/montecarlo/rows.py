"""The wall between fixed rows of opposite spins moves by whole rows: cut a band of rows, turn it, and reverse a part.

A band of rows is turned about by some rows, and the rows that leave it on one side come back on the other with their
spins reversed. Only bonds at three seams change, so below T_c, where every domain is much like its neighbouring rows,
the wall goes any number of rows at once. Single spins would need its width cubed of sweeps, and at low T the Boltzmann
factor of a pair of kinks too. Band, rows and direction are drawn whatever the spins are, and the opposite turn is as
likely: so the Metropolis rule on the energy of the seams keeps detailed balance.
"""

from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kadanoff.montecarlo.rng import HALF, LOW, philox, threshold
from kadanoff.spins.compiled import compiled

ATTEMPTS = 32
"""Bands a sweep: on 100 x 100 sites about a twentieth of the time of a hybrid sweep."""


def advance(
    spins: NDArray[np.int8], temperature: float, key: np.uint64, first_chain: int, first_sweep: int, sweeps: int
) -> None:
    """Advance skewed ferromagnets, int8 (chain, height, width), in place; arguments as in `metropolis.advance`."""
    _advance(spins, _thresholds(spins.shape[2], temperature), np.uint64(key), first_chain, first_sweep, sweeps)


@cache
def _thresholds(width: int, temperature: float) -> NDArray[np.uint64]:
    """Those of as many broken bonds as three seams have at most."""
    return np.array([threshold(2 * broken, temperature) for broken in range(3 * width + 1)], np.uint64)


@compiled
def _advance(spins, thresholds, key, first_chain, first_sweep, sweeps):
    chains, height, width = spins.shape
    plus, minus = np.ones(width, np.int8), np.full(width, -1, np.int8)
    scratch = np.empty((height, width), np.int8)
    for chain in range(chains):
        rows, number = spins[chain], np.uint64(first_chain + chain)
        for sweep in range(first_sweep, first_sweep + sweeps):
            for attempt in range(ATTEMPTS):
                place, more = philox(key, np.uint64(attempt), np.uint64(sweep), np.uint64(0), number)
                one, other = _below(place & LOW, height + 1), _below(place >> HALF, height + 1)
                start, stop = min(one, other), max(one, other)
                if start == stop:
                    continue
                down = more & np.uint64(1)
                turn = 1 + _below(more & LOW & ~np.uint64(1), stop - start)
                cut = start + turn if down else stop - turn
                above = rows[start - 1] if start > 0 else plus
                below = rows[stop] if stop < height else minus
                broken = _broken(rows[start:stop], cut - start, np.int64(1) if down else np.int64(-1), above, below)
                if broken <= 0 or (more >> HALF) < thresholds[broken]:
                    _turn(rows[start:stop], cut - start, np.int8(1) if down else np.int8(-1), scratch)


@njit(inline="always")
def _below(bits, bound):
    """A whole number below `bound` from 32 random bits."""
    return np.int64((bits * np.uint64(bound)) >> HALF)


@njit
def _product(one, other):
    total = np.int64(0)
    for x in range(one.size):
        total += np.int64(one[x]) * np.int64(other[x])
    return total


@njit
def _broken(band, cut, sign, above, below):
    """Satisfied bonds lost at the seams when rows `cut` onwards, by `sign`, come before the others, by -`sign`."""
    last = band.shape[0] - 1
    if cut == 0 or cut > last:  # all rows are reversed in place
        return _product(above, band[0]) + _product(band[last], below)
    before = _product(above, band[0]) + _product(band[cut - 1], band[cut]) + _product(band[last], below)
    after = sign * (_product(above, band[cut]) - _product(band[cut - 1], below)) - _product(band[last], band[0])
    return (before - after) // 2


@njit
def _turn(band, cut, sign, scratch):
    height = band.shape[0]
    scratch[:height] = band
    if cut == 0 or cut == height:
        band[:] = -scratch[:height]
        return
    band[: height - cut] = sign * scratch[cut:height]
    band[height - cut :] = -sign * scratch[:cut]
