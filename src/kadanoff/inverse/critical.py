"""Critical lattices in a dataset."""

from pathlib import Path

import numpy as np

from kadanoff.errors import KadanoffError
from kadanoff.lab.store import Ensemble
from kadanoff.spins.exact import T_C


def place_of(source: Path, ensemble: Ensemble, sample: int) -> tuple[int, int]:
    """Indices of T_c among the temperatures of a dataset, which is at `source`, and of the sample.

    Raises
    ------
    KadanoffError
        If there is no such sample, or it is no square lattice.
    """
    shape, temperatures = ensemble.spins.shape, ensemble.temperatures
    near = np.flatnonzero(np.abs(temperatures - float(T_C)) < 1e-6)
    if len(shape) != 4 or shape[2] != shape[3] or not len(near):
        raise KadanoffError(
            f"{source} has lattices {shape[2:]} at T = {temperatures.tolist()}; what it takes is a square lattice at "
            f"the critical temperature, {float(T_C):.15g}. Take another dataset."
        )
    if not 0 <= sample < shape[1]:
        raise KadanoffError(f"sample is {sample}, but {source} has samples 0 to {shape[1] - 1}.")
    return int(near[0]), sample
