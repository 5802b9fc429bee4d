"""Chains of ever larger lattices: a seed is doubled again and again, and measured at every size.

Seeds go through in slices, each to its largest lattice, so that memory is bounded whatever their number.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kadanoff.inverse import kernels
from kadanoff.inverse.quality import asymmetries
from kadanoff.inverse.superresolve import Spins, draw_parts, independent_spins, probabilities
from kadanoff.inverse.tables import Table
from kadanoff.montecarlo import metropolis
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Pixels
from kadanoff.runtime.progress import progress
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.observables import energy, magnetization

SLICE = 64  # seeds at a time: as many as the sweeps of small lattices advance together

Doubling = Callable[[Spins, int, int], Spins]
"""(coarse lattices, level, number of the first seed) -> fine lattices; level 1 is the first doubling."""


@dataclass(frozen=True)
class Levels:
    """What was measured on the lattices of chains; arrays are float64 (level, seed), level 0 being the seeds.

    `half` and `quarter` are G(L/2) and G(L/4) of each configuration, averaged over both axes; `between` and
    `anisotropy` are c10 between 2 x 2 blocks less inside of them, and along x less along y.
    """

    sizes: tuple[int, ...]
    energy: NDArray[np.float64]
    magnetization: NDArray[np.float64]
    half: NDArray[np.float64]
    quarter: NDArray[np.float64]
    between: NDArray[np.float64]
    anisotropy: NDArray[np.float64]


def measure(spins: Spins) -> NDArray[np.float64]:
    """What `Levels` has of square tori (n, L, L), in its order: (6, n)."""
    size = spins.shape[-1]
    return np.stack(
        [
            energy(spins, Lattice.of(size)),
            magnetization(spins),
            kernels.correlation(spins, size // 2),
            kernels.correlation(spins, size // 4),
            *asymmetries(spins, 2),
        ]
    )


def grow(seeds: Spins, levels: int, double: Doubling, workers: int | None = None) -> Levels:
    """Double every seed (n, L, L) `levels` times, and measure it at each size.

    The result does not depend on the number of threads.
    """
    starts = range(0, len(seeds), SLICE)
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool, progress("grow", len(seeds)) as advance:

        def chain(start: int) -> NDArray[np.float64]:
            spins = seeds[start : start + SLICE]
            found = [measure(spins)]
            for level in range(1, levels + 1):
                spins = double(spins, level, start)
                found.append(measure(spins))
            advance(len(spins))
            return np.stack(found)  # (level, observable, seed)

        parts = np.concatenate(list(pool.map(chain, starts)), axis=2)
    sizes = tuple(seeds.shape[-1] * 2**level for level in range(levels + 1))
    return Levels(sizes, *parts.transpose(1, 0, 2))


def doubling_by_blocks(scheme: list[Table], seed: int, temperature: float | None = None, sweeps: int = 0) -> Doubling:
    """Doublings drawn from the tables of a `Blocks` network, then `sweeps` Metropolis sweeps at `temperature`.

    Without the sweep over blocks: it binds them as in lattices that the rule made, to which seeds do not belong, and
    leaves c10 between blocks 9e-4 above that inside of them, instead of 2e-4.
    """
    for table in scheme:
        _ = table.thresholds  # computed once, before threads share it
    return partial(_double_blocks, scheme, seed, temperature, sweeps)


def _double_blocks(
    scheme: list[Table], seed: int, temperature: float | None, sweeps: int, spins: Spins, level: int, first: int
) -> Spins:
    fine = draw_parts(spins, scheme, 2, (stream_key(seed, "double", level), first))
    if sweeps and temperature is not None:
        lattice = Lattice.of(fine.shape[-1])
        metropolis.advance(fine, lattice, temperature, 0.0, stream_key(seed, "refine", level), first, 0, sweeps)
    return fine


def doubling_by_pixels(network: Pixels, seed: int) -> Doubling:
    """Doublings by a `Pixels` network, sampled: Efthymiou et al. (2019), section IV A."""
    return lambda spins, level, first: independent_spins(
        probabilities(network, spins), (stream_key(seed, "double", level), first)
    )
