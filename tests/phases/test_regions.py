import numpy as np
import pytest

from kadanoff.errors import KadanoffError
from kadanoff.phases.regions import EDGES, REGIONS, TEST, TRAIN, VALIDATION, region

GRID = np.round(np.arange(1, 401) / 100, 2)


def test_regions_of_the_grid_of_temperatures():
    labels = region(GRID)
    assert labels.dtype == np.int64
    assert np.bincount(labels).tolist() == [105, 106, 21, 168]
    assert [(GRID[labels == k].min(), GRID[labels == k].max()) for k in range(4)] == [
        (0.01, 1.05),
        (1.06, 2.11),
        (2.12, 2.32),
        (2.33, 4.0),
    ]


def test_an_edge_belongs_to_the_colder_region():
    assert region(EDGES[1:]).tolist() == [0, 1, 2, 3]
    assert region(np.nextafter(EDGES[1:-1], 9)).tolist() == [1, 2, 3]


def test_a_temperature_outside_is_a_mistake():
    for wrong in (0.0, -1.0, 4.01):
        with pytest.raises(KadanoffError, match=f"temperature {wrong:g} lies in no region"):
            region([1.0, wrong])


def test_table_1():
    assert len(REGIONS) == len(TRAIN) == len(VALIDATION) == len(TEST) == 4
    assert (sum(TRAIN), sum(VALIDATION), sum(TEST)) == (600, 300, 400)
