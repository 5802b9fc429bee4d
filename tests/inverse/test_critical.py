"""Critical lattices in a dataset: where they are, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.inverse.critical import critical_index, place_of
from kadanoff.spins.exact import T_C

SOURCE = Path("it.zarr")


def dataset(temperatures=(float(T_C),), shape=(8, 8), **parameters):
    """Three lattices a temperature; `parameters` are those that the dataset says it has."""
    zero = np.zeros((len(temperatures), 3))
    spins = np.ones((*zero.shape, *shape), np.int8)
    return Ensemble(spins, np.array(temperatures), zero, zero, zero[:, 0], {"parameters": parameters})


def test_the_place_is_that_of_the_critical_temperature():
    found = dataset((2.0, float(T_C) + 1e-8, 3.0), boundary="periodic", coupling=1.0, field=0.0)
    assert critical_index("it", found) == 1
    assert place_of(SOURCE, found, 2) == (1, 2)
    silent = Ensemble(found.spins, found.temperatures, found.energy, found.magnetization, found.autocorrelation_time)
    assert place_of(SOURCE, silent, 0) == (1, 0)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (dataset((2.0, 2.27)), r"it.zarr has lattices \(8, 8\) at T = \[2.0, 2.27\]; it needs .* 2.26918531421302"),
        (dataset(shape=(8,)), r"it.zarr has lattices \(8,\)"),
        (dataset(boundary="antiperiodic"), "it.zarr has the boundary antiperiodic; what is known .* of periodic"),
        (dataset(field=0.1), "it.zarr has the field 0.1; what is known .* of 0"),
    ],
)
def test_other_lattices_are_refused(found, message):
    with pytest.raises(KadanoffError, match=message):
        place_of(SOURCE, found, 0)


def test_there_is_no_such_sample():
    with pytest.raises(KadanoffError, match=r"sample is 3, but it.zarr has samples 0 to 2"):
        place_of(SOURCE, dataset(), 3)
