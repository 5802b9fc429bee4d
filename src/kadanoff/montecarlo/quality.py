"""An ensemble held against exact results."""

from typing import Any

import numpy as np

from kadanoff.lab.store import Ensemble
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import chain, kaufman, transfer_energy_distribution

TRANSFER_WIDTH = 8
LARGEST = 2000  # (height + width) / T, which the digits of an exact torus grow with


def exact_energy(lattice: Lattice, temperature: float, field: float = 0.0) -> float | None:
    """Exact mean energy per site, or None where no exact result of this project reaches."""
    if field or sum(lattice.shape) / temperature > LARGEST:
        return None
    if lattice.dimension == 1:
        return chain(lattice.width, temperature, lattice.boundary, lattice.coupling).energy
    if lattice.boundary in ("periodic", "antiperiodic"):
        return kaufman(*lattice.shape, temperature, lattice.boundary, lattice.coupling).energy
    if lattice.width <= TRANSFER_WIDTH:
        return transfer_energy_distribution(lattice, temperature).thermal(lattice.sites, temperature).energy
    return None


def compare(ensemble: Ensemble, lattice: Lattice, field: float = 0.0) -> list[dict[str, Any]]:
    """One row a temperature: means with standard errors over independent samples, and the exact energy.

    `deviation` is (energy - exact) in standard errors; it is missing where there is no exact value or no spread.
    """
    rows = []
    root = np.sqrt(ensemble.energy.shape[1])
    for index, temperature in enumerate(ensemble.temperatures):
        energies, order = ensemble.energy[index], np.abs(ensemble.magnetization[index])
        exact = exact_energy(lattice, float(temperature), field)
        error = float(energies.std(ddof=1) / root) if root > 1 else float("nan")
        row = {
            "temperature": float(temperature),
            "energy": float(energies.mean()),
            "energy_error": error,
            "absolute_magnetization": float(order.mean()),
            "absolute_magnetization_error": float(order.std(ddof=1) / root) if root > 1 else float("nan"),
            "autocorrelation_time": float(ensemble.autocorrelation_time[index]),
        }
        if exact is not None:
            row["energy_exact"] = exact
            if error > 0:
                row["deviation"] = (row["energy"] - exact) / error
        rows.append(row)
    return rows
