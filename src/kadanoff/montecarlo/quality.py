"""An ensemble validated against exact results."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kadanoff.data.store import Ensemble
from kadanoff.montecarlo.equilibration import checkerboard
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import chain, exact_energy_distribution, kaufman, transfer_energy_distribution
from kadanoff.spins.exact.residues import MOST_SITES
from kadanoff.spins.statistics import independent_mean

TRANSFER_WIDTH = 8
LARGEST = 2000  # (height + width) / T, which the digits of an exact torus grow with
FINE = 64  # temperatures: for more of them one density of states costs less than Kaufman's sum at each,
COUNTED = 100 * 100  # where it takes some seconds; nothing exact is asked for at many temperatures of larger lattices


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
    if len(temperatures) > FINE and lattice.dimension == 2 and lattice.boundary != "free" and not field:
        found = ((temperature, exact_energy_distribution(lattice, temperature)) for temperature in temperatures)
        thermal = [
            (distribution.thermal(lattice.sites, temperature), temperature) for temperature, distribution in found
        ]
        return [
            (known.energy, temperature * np.sqrt(known.specific_heat / lattice.sites)) for known, temperature in thermal
        ]
    return [(exact_energy(lattice, temperature, field), None) for temperature in temperatures]


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
