import numpy as np
import pytest

import kadanoff
from kadanoff.montecarlo.quality import compare, exact_energy
from kadanoff.spins.boundary import Lattice


@pytest.mark.parametrize(
    ("arguments", "lattice"),
    [
        ({"size": 8}, Lattice(8, 8)),
        ({"size": 8, "boundary": "antiperiodic"}, Lattice(8, 8, "antiperiodic")),
        ({"size": 8, "boundary": "free", "coupling": -1}, Lattice(8, 8, "free", -1)),
        ({"size": (6, 4), "boundary": "skewed"}, Lattice(6, 4, "skewed")),
        ({"size": 32, "dimension": 1}, Lattice(1, 32, dimension=1)),
    ],
)
def test_ensembles_agree_with_exact_energies(arguments, lattice):
    ensemble = kadanoff.simulate(temperatures=[1.5, 2.5], samples=2000, seed=5, **arguments)
    rows = compare(ensemble, lattice)
    assert all(abs(row["deviation"]) < 4 for row in rows)
    ensemble.temperatures = ensemble.temperatures + 0.15  # the negative control: not these temperatures
    assert all(abs(row["deviation"]) > 4 for row in compare(ensemble, lattice))


def test_no_exact_value_is_said_to_be_none():
    assert exact_energy(Lattice(32, 32, "free"), 2.0) is None
    assert exact_energy(Lattice(8, 8), 2.0, field=0.1) is None
    ensemble = kadanoff.simulate(4, [2.0], 10, field=0.1)
    assert "deviation" not in compare(ensemble, Lattice(4, 4), 0.1)[0]


def test_without_spread_there_is_no_deviation():
    ensemble = kadanoff.simulate(8, [0.1], 10)
    assert np.all(ensemble.energy == -2)
    assert "deviation" not in compare(ensemble, Lattice(8, 8))[0]
