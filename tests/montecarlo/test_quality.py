import numpy as np
import pytest

import kadanoff
from kadanoff.data.description import Dataset
from kadanoff.montecarlo import quality
from kadanoff.montecarlo.quality import FINE, compare, compare_starts, exact_energies, exact_energy
from kadanoff.montecarlo.runner import run
from kadanoff.spins.boundary import BOUNDARIES, Lattice
from kadanoff.spins.exact import exact_energy_distribution


@pytest.mark.parametrize(
    ("arguments", "lattice"),
    [
        ({"size": 8}, Lattice(8, 8)),
        ({"size": 8, "boundary": "antiperiodic"}, Lattice(8, 8, "antiperiodic")),
        ({"size": 8, "boundary": "free", "coupling": -1}, Lattice(8, 8, "free", -1)),
        ({"size": (4, 3), "boundary": "skewed"}, Lattice(4, 3, "skewed")),
        ({"size": 32, "dimension": 1}, Lattice(1, 32, dimension=1)),
    ],
)
def test_ensembles_agree_with_exact_energies(arguments, lattice):
    given = {"sampler": "hybrid", "sweeps": 40, "allow_unequilibrated": True} | arguments
    ensemble = kadanoff.simulate(temperatures=[1.5, 2.5], samples=2000, seed=5, **given)
    rows = compare(ensemble, lattice)
    assert all(abs(row["deviation"]) < 4 for row in rows)
    ensemble.temperatures = ensemble.temperatures + 0.15  # the negative control: not these temperatures
    assert all(abs(row["deviation"]) > 4 for row in compare(ensemble, lattice))


def test_no_exact_value_is_said_to_be_none():
    assert exact_energy(Lattice(32, 32, "free"), 2.0) is None
    assert exact_energy(Lattice(8, 8), 2.0, field=0.1) is None
    ensemble = kadanoff.simulate(4, [2.0], 10, field=0.1, sweeps=2, allow_unequilibrated=True)
    assert "deviation" not in compare(ensemble, Lattice(4, 4), 0.1)[0]


def test_without_spread_there_is_no_deviation():
    ensemble = kadanoff.simulate(8, [0.1], 10)
    assert np.all(ensemble.energy == -2)
    assert "deviation" not in compare(ensemble, Lattice(8, 8))[0]


# --- fine grids ------------------------------------------------------------------------------------------

GRID = [round(0.05 * index, 2) for index in range(1, FINE + 2)]


@pytest.mark.parametrize(
    "lattice", [Lattice(5, 6), Lattice(7, 6, "antiperiodic", -1), Lattice(7, 10, "skewed")], ids=str
)
def test_fine_grids_have_the_same_exact_energies_as_single_temperatures(lattice):
    fine, spreads = zip(*exact_energies(lattice, GRID), strict=True)
    assert fine == pytest.approx([exact_energy(lattice, temperature) for temperature in GRID], abs=1e-12)
    assert fine[30] != pytest.approx(exact_energy(lattice, 1.01 * GRID[30]), abs=1e-4)
    assert exact_energies(lattice, GRID[:2]) == [(exact_energy(lattice, temperature), None) for temperature in GRID[:2]]
    for spread, temperature in zip(spreads, GRID, strict=True):
        levels, probabilities = exact_energy_distribution(lattice, temperature)
        square = probabilities @ (levels - probabilities @ levels) ** 2
        assert spread == pytest.approx(np.sqrt(square) / lattice.sites, abs=1e-12)


def test_of_large_lattices_nothing_exact_is_asked_for_at_many_temperatures(monkeypatch):
    monkeypatch.setattr(quality, "COUNTED", 99)
    assert exact_energies(Lattice(10, 10), GRID) == [(None, None)] * len(GRID)
    assert exact_energies(Lattice(10, 10), GRID[:FINE])[0][0] == exact_energy(Lattice(10, 10), GRID[0])
    assert None not in exact_energies(Lattice(9, 11), GRID)[0]


@pytest.mark.parametrize("boundary", ["skewed"])
def test_deviations_on_a_fine_grid_are_in_exact_standard_errors(boundary):
    temperatures = [round(2.0 + 0.02 * index, 2) for index in range(FINE + 1)]
    ensemble = kadanoff.simulate(
        6, temperatures, 50, boundary, sampler="hybrid", sweeps=30, seed=6, allow_unequilibrated=True
    )
    lattice = Lattice(6, 6, boundary)
    rows = compare(ensemble, lattice)
    known = exact_energies(lattice, temperatures)
    for row, (exact, spread) in zip(rows, known, strict=True):
        assert row["deviation"] == pytest.approx((row["energy"] - exact) / (spread / np.sqrt(50)))
    squares = np.array([row["deviation"] ** 2 for row in rows])
    bound = 4 * np.sqrt(2 / len(rows))  # a chi-squared has the mean 1 and the variance 2
    assert abs(squares.mean() - 1) < bound
    ensemble.temperatures = ensemble.temperatures + 0.15  # the negative control: not these temperatures
    assert np.mean([row["deviation"] ** 2 for row in compare(ensemble, lattice)]) > 1 + bound


def sampled(temperatures, **arguments):
    return kadanoff.simulate(6, temperatures, 6, sweeps=2, allow_unequilibrated=True, **arguments)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_quenched_lattices_are_not_held_against_equilibrium(boundary):
    ensemble, lattice = sampled([1.0, 2.0], boundary=boundary), Lattice(6, 6, boundary)
    rows, quenched = compare(ensemble, lattice), compare(ensemble, lattice, quenched=True)
    assert all("deviation" in row and "energy_exact" in row for row in rows)
    for row, other in zip(rows, quenched, strict=True):
        del row["deviation"], row["energy_exact"], row["autocorrelation_time"]
        assert np.isnan(other.pop("autocorrelation_time"))
        assert row == other


def test_starts_of_walled_lattices_agree_with_each_other_and_with_the_samples():
    spec = Dataset(size=8, temperatures=[2.0, 3.0], samples=10, boundary="skewed", sampler="hybrid", seed=2)
    ensemble = run(spec, "x", 1)
    (start,) = compare_starts(spec, "x", ensemble)
    assert start["temperature"] == 2.0
    assert abs(start["difference_in_standard_errors"]) < 4
    row = compare(ensemble, spec.lattice)[0]
    assert start["squared_order_from_hot"] == pytest.approx(row["squared_magnetization"], abs=0.3)


@pytest.mark.parametrize(("boundary", "sampler"), [("periodic", "swendsen_wang"), ("antiperiodic", "metropolis")])
def test_starts_are_compared_in_equilibrium(boundary, sampler):
    spec = Dataset(size=4, temperatures=[3.0], samples=2, boundary=boundary, sampler=sampler, sweeps=500)
    assert len(compare_starts(spec, "x", run(spec, "x", 1))) == 1
    quench = spec.model_copy(update={"sweeps": 2, "allow_unequilibrated": True})
    assert compare_starts(quench, "x", run(quench, "x", 1)) == []


def test_an_antiferromagnet_has_the_staggered_order_of_a_ferromagnet():
    specs = [Dataset(size=8, temperatures=[1.8], samples=64, coupling=sign, seed=3) for sign in (1.0, -1.0)]
    (ferromagnet,), (antiferromagnet,) = (compare(run(spec, "x", 1), spec.lattice) for spec in specs)
    order, error = (antiferromagnet[f"absolute_staggered_magnetization{end}"] for end in ("", "_error"))
    assert abs(order - ferromagnet["absolute_magnetization"]) < 4 * np.hypot(
        error, ferromagnet["absolute_magnetization_error"]
    )
    assert antiferromagnet["absolute_magnetization"] < 0.2 < order
    assert "absolute_staggered_magnetization" not in ferromagnet


def test_errors_are_standard_errors_over_the_samples():
    ensemble = sampled([2.0, 2.5])
    for row, energies, order in zip(
        compare(ensemble, Lattice(6, 6)), ensemble.energy, np.abs(ensemble.magnetization), strict=True
    ):
        # of 6 samples: the sum of the squared deviations over 6 x 5
        for name, values in (("energy", energies), ("absolute_magnetization", order)):
            assert row[name] == pytest.approx(values.mean())
            assert row[f"{name}_error"] == pytest.approx(np.sqrt(np.sum((values - values.mean()) ** 2) / 30))
