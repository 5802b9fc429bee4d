"""The samplers by their names, with one signature (see `metropolis.advance`), and the start of a chain."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.description import Dataset
from kadanoff.montecarlo import hybrid, metropolis, swendsen_wang
from kadanoff.montecarlo.rng import philox, random_words, stream_key
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.compiled import compiled

GROUP = 64  # chains that share a word of random bits in Metropolis: a task starts at a multiple of it
TASK_SITES = 1 << 22
GPU_TASK_SITES = 1 << 30  # a byte each in memory, a bit each on the GPU
SAMPLERS: dict[str, Callable[..., None]] = {
    "metropolis": metropolis.advance,
    "swendsen_wang": swendsen_wang.advance,
    "hybrid": hybrid.advance,
}


def chains_per_task(sampler: str, lattice: Lattice) -> int:
    """Chains that one task advances together: whole words for Metropolis, fewer on large lattices."""
    if sampler in ("metropolis", "hybrid") and metropolis.layout(lattice) == "replicas":
        return GROUP
    return int(np.clip(TASK_SITES // lattice.sites, 1, GROUP))


def chains_per_gpu_task(lattice: Lattice) -> int:
    """The same on a GPU, which takes as many as fill it."""
    least = GROUP if metropolis.layout(lattice) == "replicas" else 1
    return max(least, GPU_TASK_SITES // lattice.sites // least * least)


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


def ground_states(lattice: Lattice, key: np.uint64, first_chain: int, chains: int) -> NDArray[np.int8]:
    """Random ground states of lattices with a forced wall (`Lattice.walled`): int8 (chains, height, width).

    They are equilibrium as T goes to 0. Skewed: a flat wall at one of height + 1 places. Antiperiodic: every row and
    every column has one unsatisfied bond, so the wall is a monotone staircase that closes on itself after height +
    width steps. All of them come with the same probability, but for the few crosses of two straight walls: rising and
    falling staircases both give them.
    """
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
