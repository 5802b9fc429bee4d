"""The four temperature regions of Kara, Sehanobish and Corzo (NeurIPS 2021 workshop), and their Table 1."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kadanoff.errors import KadanoffError

REGIONS = ("far sub-critical", "sub-critical", "critical", "super-critical")
EDGES = (0.0, 1.055, 2.119, 2.320, 4.0)
"""Section 3: region k holds EDGES[k] < T <= EDGES[k + 1], in units of J/k_B."""
TRAIN, VALIDATION, TEST = (220, 80, 90, 210), (100, 50, 60, 90), (150, 50, 70, 130)
"""Table 1: images of each region."""
LABELLED = sum(TRAIN)
EQUILIBRIUM = "equilibrium"
"""The protocol whose lattices are in equilibrium, and that lattices of other sizes have."""


def region(temperatures: ArrayLike) -> NDArray[np.int64]:
    """Number of the region of each temperature, 0 to 3; the same shape.

    Raises
    ------
    KadanoffError
        If a temperature lies in none.
    """
    values = np.asarray(temperatures, float)
    outside = values[~((values > EDGES[0]) & (values <= EDGES[-1]))]  # NaN too
    if outside.size:
        raise KadanoffError(
            f"temperature {outside.flat[0]:g} lies in no region; they hold {EDGES[0]:g} < T <= {EDGES[-1]:g}. "
            "Leave it out."
        )
    return np.searchsorted(EDGES, values, side="left") - 1
