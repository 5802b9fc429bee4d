"""Clusters and single spins in turn: each sweep is one of Swendsen-Wang, four of Metropolis and four of the heat bath.

Below T_c a wall that the boundary forces on the lattice has the same cluster on both sides, and Swendsen-Wang hardly
moves it; single-spin updates do, while clusters carry the long waves near T_c. Plascak, Ferrenberg, Landau, Phys. Rev.
E 65, 066702 (2002).

The steps of a wall cost nothing to move: by Metropolis, who accepts such flips always, they go two sites a sweep in a
fixed direction, and those that go the same way never meet. The heat bath turns some of them around. Between fixed rows
the wall as a whole moves by `rows`.
"""

import numpy as np
from numpy.typing import NDArray

from kadanoff.montecarlo import metropolis, rows, swendsen_wang
from kadanoff.spins.boundary import Lattice

SINGLE = 4
"""Sweeps of Metropolis, and of the heat bath, after each of Swendsen-Wang: all eight take about as long."""
OTHER_STREAM = np.uint64(0x6A09E667F3BCC908)  # the fractional digits of sqrt 2,
ROWS_STREAM = np.uint64(0xBB67AE8584CAA73B)  # and of sqrt 3


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
    """Advance chains, int8 (chain, height, width), in place, without a field; arguments as in `metropolis.advance`."""
    for sweep in range(first_sweep, first_sweep + sweeps):
        swendsen_wang.advance(spins, lattice, temperature, field, key, first_chain, sweep, 1)
        other = np.uint64(key) ^ OTHER_STREAM
        for half, heat_bath in enumerate((False, True)):
            first = SINGLE * (2 * sweep + half)
            metropolis.advance(spins, lattice, temperature, field, other, first_chain, first, SINGLE, heat_bath)
        if lattice.walled and lattice.boundary == "skewed":
            rows.advance(spins, temperature, np.uint64(key) ^ ROWS_STREAM, first_chain, sweep, 1)
