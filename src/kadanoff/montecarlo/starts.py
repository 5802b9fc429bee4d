"""Chains from random spins beside chains from order: in equilibrium <m^2> is the same.

The energy alone does not see a wall that has not moved, or a sublattice that was preferred.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.description import Dataset
from kadanoff.data.store import Ensemble
from kadanoff.estimate import Estimate
from kadanoff.montecarlo.equilibration import checkerboard, pilot_chains
from kadanoff.montecarlo.ground import WALLED, ground_states
from kadanoff.montecarlo.samplers import SAMPLERS, first_configurations, key_of
from kadanoff.montecarlo.symmetry import ends_with_symmetry, symmetrize
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C
from kadanoff.spins.statistics import independent_mean

COMPARED = 3
"""Temperatures, at most."""


def compare_starts(dataset: Dataset, name: str, ensemble: Ensemble) -> list[dict[str, float]]:
    """<m^2> from random spins and from ground states after the sweeps of the dataset, at some temperatures.

    None where the dataset is out of equilibrium by intent.
    """
    if not ensemble.provenance["equilibrated"]:
        return []
    sampler = ensemble.provenance["sampler"]

    def measured(place: int) -> dict[str, float]:
        temperature, sweeps = dataset.temperatures[place], ensemble.provenance["sweeps"][place]
        hot, ground = (squared_order(dataset, name, sampler, temperature, sweeps, start) for start in ("hot", "ground"))
        return {
            "temperature": temperature,
            "squared_order_from_hot": hot.mean,
            "squared_order_from_hot_error": hot.error,
            "squared_order_from_ground": ground.mean,
            "squared_order_from_ground_error": ground.error,
            "difference_in_standard_errors": hot.sigmas(ground),
        }

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(measured, compared_places(dataset.temperatures)))


def compared_places(temperatures: Sequence[float]) -> list[int]:
    """Indices of the coldest temperature, the one nearest to T_c, and one between them."""
    order = np.argsort(temperatures)
    nearest = int(np.abs(np.asarray(temperatures)[order] - T_C).argmin())
    return order[np.unique(np.linspace(0, nearest, COMPARED).round().astype(int))].tolist()


def squared_order(dataset: Dataset, name: str, sampler: str, temperature: float, sweeps: int, start: str) -> Estimate:
    """<m^2>, of antiferromagnets the staggered one, of chains from random spins or ground states, after `sweeps`."""
    lattice, chains = dataset.lattice, pilot_chains(dataset.lattice)
    key = key_of(dataset, name, temperature, f"from {start} by {sampler}")
    if start == "ground":
        spins = _ordered(lattice, key, chains)
    else:
        spins = first_configurations(dataset.model_copy(update={"start": "hot"}), name, temperature, 0, chains, start)
    SAMPLERS[sampler](spins, lattice, temperature, dataset.field, key, 0, 0, sweeps)
    if ends_with_symmetry(lattice, dataset.field):
        symmetrize(spins, lattice, dataset.field, key_of(dataset, name, temperature, f"symmetry from {start}"))
    order = spins * checkerboard(lattice) if lattice.coupling < 0 else spins
    return independent_mean(order.mean(axis=(1, 2)) ** 2)


def _ordered(lattice: Lattice, key: np.uint64, chains: int) -> NDArray[np.int8]:
    """Ground states with the wall that is forced; else all spins alike or alternating, frustrated or not."""
    if lattice.boundary in WALLED and lattice.coupling > 0 and lattice.dimension == 2:
        return ground_states(lattice, key, 0, chains)
    state = checkerboard(lattice) if lattice.coupling < 0 else np.ones(lattice.shape, np.int8)
    return np.repeat(state[None], chains, axis=0)
