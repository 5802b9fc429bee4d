"""Critical lattices in a dataset: periodic square ferromagnets without a field, at T_c."""

from pathlib import Path
from typing import Any

import numpy as np

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError, is_whole, shown
from kadanoff.spins.exact import T_C

FERROMAGNET = {"boundary": "periodic", "coupling": 1, "field": 0}
NEAR = 1e-6  # temperatures may be rounded


def model_of(ensemble: Ensemble) -> dict[str, Any]:
    """Boundary, coupling and field; what a dataset does not say is as in `FERROMAGNET`."""
    known = ensemble.provenance.get("parameters") or {}
    return {name: known.get(name, value) for name, value in FERROMAGNET.items()}


def critical_index(name: str, ensemble: Ensemble, needed: str = "square lattices") -> int:
    """Index of T_c among the temperatures of a dataset; errors begin with `name` and say what is `needed` there.

    Raises
    ------
    KadanoffError
        If it has no square lattices at T_c, or they are no periodic ferromagnets without a field.
    """
    shape, temperatures = ensemble.spins.shape, ensemble.temperatures
    near = np.flatnonzero(np.abs(temperatures - float(T_C)) < NEAR)
    if len(shape) != 4 or shape[2] != shape[3] or not len(near):
        raise KadanoffError(
            f"{name} has lattices {shape[2:]} at T = {shown(temperatures.tolist())}; it needs {needed} at the critical "
            f"temperature, {float(T_C):.15g}. Take another dataset."
        )
    for key, value in model_of(ensemble).items():
        if value != FERROMAGNET[key]:
            raise KadanoffError(
                f"{name} has the {key} {value}; what is known of T_c is of {FERROMAGNET[key]}. Take another dataset."
            )
    return int(near[0])


def place_of(source: Path, ensemble: Ensemble, sample: int) -> tuple[int, int]:
    """Indices of T_c among the temperatures of a dataset, which is at `source`, and of the sample.

    Raises
    ------
    KadanoffError
        If there is no such sample, or it is no periodic square ferromagnet without a field.
    """
    index, samples = critical_index(str(source), ensemble, "a square lattice"), ensemble.spins.shape[1]
    if not (is_whole(sample) and 0 <= sample < samples):
        raise KadanoffError(f"sample is {shown(sample)}, but {source} has samples 0 to {samples - 1}.")
    return index, sample
