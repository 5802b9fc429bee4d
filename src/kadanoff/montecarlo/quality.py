"""An ensemble validated against exact results; and chains from random spins compared with chains from order.

In equilibrium both have the same <m^2>: the energy alone does not see a wall that has not moved, or a sublattice that
was preferred.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.description import Dataset
from kadanoff.data.store import Ensemble
from kadanoff.estimate import Estimate
from kadanoff.montecarlo.equilibration import checkerboard, pilot_chains
from kadanoff.montecarlo.samplers import SAMPLERS, first_configurations, ground_states, key_of
from kadanoff.montecarlo.symmetry import ends_with_symmetry, symmetrize
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, chain, exact_energy_distribution, kaufman, transfer_energy_distribution
from kadanoff.spins.exact.residues import MOST_SITES
from kadanoff.spins.statistics import independent_mean

TRANSFER_WIDTH = 8
LARGEST = 2000  # (height + width) / T, which the digits of an exact torus grow with
FINE = 64  # temperatures: for more of them one density of states costs less than Kaufman's sum at each,
COUNTED = 100 * 100  # where it takes some seconds; nothing exact is asked for at many temperatures of larger lattices
COMPARED = 3  # temperatures at which starts are compared, at most


def exact_energy(lattice: Lattice, temperature: float, field: float = 0.0) -> float | None:
    """Exact mean energy per site, or None where no exact result of this project reaches."""
    if field:
        return None
    if lattice.boundary == "skewed" and lattice.width > TRANSFER_WIDTH and lattice.sites <= MOST_SITES:
        return exact_energy_distribution(lattice, temperature).thermal(lattice.sites, temperature).energy
    if sum(lattice.shape) / temperature > LARGEST:
        return None
    if lattice.dimension == 1:
        return chain(lattice.width, temperature, lattice.boundary, lattice.coupling).energy
    if lattice.boundary in ("periodic", "antiperiodic"):
        return kaufman(*lattice.shape, temperature, lattice.boundary, lattice.coupling).energy
    if lattice.width <= TRANSFER_WIDTH:
        return transfer_energy_distribution(lattice, temperature).thermal(lattice.sites, temperature).energy
    return None


def exact_energies(
    lattice: Lattice, temperatures: Sequence[float], field: float = 0.0
) -> list[tuple[float | None, float | None]]:
    """`exact_energy` at each temperature; on a fine grid with the exact standard deviation of a sample beside it."""
    if len(temperatures) > FINE and lattice.sites > COUNTED:
        return [(None, None)] * len(temperatures)
    if len(temperatures) <= FINE or lattice.dimension == 1 or lattice.boundary == "free" or field:
        return [(exact_energy(lattice, temperature, field), None) for temperature in temperatures]
    found: list[tuple[float | None, float | None]] = []
    for temperature in temperatures:
        energy, heat = exact_energy_distribution(lattice, temperature).thermal(lattice.sites, temperature)
        found.append((energy, temperature * np.sqrt(heat / lattice.sites)))
    return found


def compare(ensemble: Ensemble, lattice: Lattice, field: float = 0.0, quenched: bool = False) -> list[dict[str, Any]]:
    """One row a temperature: means with standard errors over independent samples, and the exact energy.

    `deviation` is (energy - exact) in standard errors, exact ones if they are known; it is missing where there is no
    exact value, where all samples have the same energy, and for `quenched` lattices, which are not meant to be in
    equilibrium.
    """
    rows = []
    root = np.sqrt(ensemble.energy.shape[1])
    temperatures = ensemble.temperatures.tolist()
    known = [(None, None)] * len(temperatures) if quenched else exact_energies(lattice, temperatures, field)
    for index, (temperature, (exact, spread)) in enumerate(zip(temperatures, known, strict=True)):
        measured = {
            "energy": independent_mean(ensemble.energy[index]),
            "absolute_magnetization": independent_mean(np.abs(ensemble.magnetization[index])),
            "squared_magnetization": independent_mean(ensemble.magnetization[index] ** 2),
        }
        if lattice.coupling < 0:
            staggered = ensemble.read(index).reshape(-1, *lattice.shape) * checkerboard(lattice)
            measured["absolute_staggered_magnetization"] = independent_mean(np.abs(staggered.mean(axis=(1, 2))))
        row = {"temperature": temperature}
        for name, estimate in measured.items():
            row |= {name: estimate.mean, f"{name}_error": estimate.error}
        row["autocorrelation_time"] = float(ensemble.autocorrelation_time[index])
        if exact is not None:
            row["energy_exact"] = exact
            scale = row["energy_error"] if spread is None else spread / root
            # of samples that are all alike none is excited: what few would have been deviates by no normal law
            if scale > 0 and np.ptp(ensemble.energy[index]) > 0:
                row["deviation"] = (row["energy"] - exact) / scale
        rows.append(row)
    return rows


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
    if lattice.walled:
        return ground_states(lattice, key, 0, chains)
    state = checkerboard(lattice) if lattice.coupling < 0 else np.ones(lattice.shape, np.int8)
    return np.repeat(state[None], chains, axis=0)
