"""The samplers behind one signature, and the start of a chain."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.description import Dataset
from kadanoff.montecarlo import hybrid, metropolis, swendsen_wang
from kadanoff.montecarlo.ground import ground_states
from kadanoff.montecarlo.rng import philox, stream_key
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.compiled import compiled

GROUP = 64  # chains that share a word of random bits in Metropolis: a task starts at a multiple of it
TASK_SITES = 1 << 22


class Sampler(Protocol):
    """Advance int8 spins (chain, height, width) in place by `sweeps` sweeps, numbered from `first_sweep`."""

    def __call__(
        self,
        spins: NDArray[np.int8],
        lattice: Lattice,
        temperature: float,
        field: float,
        key: np.uint64,
        first_chain: int,
        first_sweep: int,
        sweeps: int,
    ) -> None:
        """Advance."""


SAMPLERS: dict[str, Sampler] = {
    "metropolis": metropolis.advance,
    "swendsen_wang": swendsen_wang.advance,
    "hybrid": hybrid.advance,
}


def chains_per_task(sampler: str, lattice: Lattice) -> int:
    """Chains that one task advances together: whole words for Metropolis, fewer on large lattices."""
    if sampler in ("metropolis", "hybrid") and metropolis.layout(lattice) == "replicas":
        return GROUP
    return int(np.clip(TASK_SITES // lattice.sites, 1, GROUP))


def key_of(dataset: Dataset, name: str, temperature: float, purpose: str) -> np.uint64:
    """Key of the random bits for one temperature of a dataset and one purpose."""
    lattice = dataset.lattice
    return stream_key(
        dataset.seed, name, purpose, temperature, *lattice.shape, lattice.boundary, lattice.coupling, dataset.field
    )


def first_configurations(
    dataset: Dataset, name: str, temperature: float, first_chain: int, chains: int, purpose: str = "start"
) -> NDArray[np.int8]:
    """Configurations before the first sweep: int8 (chains, height, width).

    All +1 (cold), random (hot), or a random state of lowest energy (ground).
    """
    key = key_of(dataset, name, temperature, purpose)
    if dataset.start == "ground":
        return ground_states(dataset.lattice, key, first_chain, chains)
    spins = np.ones((chains, *dataset.lattice.shape), np.int8)
    if dataset.start == "hot":
        _randomize(spins.reshape(chains, -1), key, first_chain)
    return spins


@compiled
def _randomize(spins, key, first_chain):
    for chain in range(spins.shape[0]):
        number = first_chain + chain
        group, lane = np.uint64(number >> 6), np.uint64(number & 63)
        for site in range(spins.shape[1]):
            word, _ = philox(key, np.uint64(site), np.uint64(0), np.uint64(0), group)
            spins[chain, site] = np.int8(1) if (word >> lane) & np.uint64(1) else np.int8(-1)
