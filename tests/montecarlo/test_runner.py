import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

import kadanoff
from kadanoff.data.description import Dataset
from kadanoff.data.store import open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.montecarlo import runner
from kadanoff.montecarlo.equilibration import pilot_places
from kadanoff.montecarlo.samplers import first_configurations
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, enumerate_states, kaufman
from kadanoff.spins.statistics import independent_mean

SMALL = {"size": 8, "temperatures": [2.0, 3.0], "samples": 100, "sweeps": 250, "seed": 7}


def dataset(**changes):
    return Dataset(**{**SMALL, **changes})


@pytest.fixture(scope="module")
def reference():
    return runner.run(dataset(), "x", workers=1)


def test_one_line_gives_an_ensemble():
    ensemble = kadanoff.simulate(8, T_C, samples=10)
    assert ensemble.spins.shape == (1, 10, 8, 8)
    assert ensemble.spins.dtype == np.int8
    assert ensemble.energy.shape == ensemble.magnetization.shape == (1, 10)
    assert ensemble.provenance["sampler"] == "swendsen_wang"
    assert "short pilots" in ensemble.provenance["sampler_reason"]
    assert ensemble.provenance["sweeps"][0] >= 20 * ensemble.autocorrelation_time[0]


def test_energies_belong_to_the_spins(reference):
    spins = reference.spins.astype(float)
    bonds = spins * np.roll(spins, 1, -1) + spins * np.roll(spins, 1, -2)
    assert np.array_equal(reference.energy, -bonds.mean((-1, -2)))
    assert np.array_equal(reference.magnetization, spins.mean((-1, -2)))


@pytest.mark.parametrize("sampler", runner.SAMPLERS)
def test_workers_do_not_change_a_byte(sampler):
    spec = dataset(sampler=sampler, sweeps=40, allow_unequilibrated=True)
    assert np.array_equal(runner.run(spec, "x", 1).spins, runner.run(spec, "x", 7).spins)


def test_samples_do_not_change_their_neighbours(reference):
    more = runner.run(dataset(samples=150), "x")
    assert np.array_equal(more.spins[:, :100], reference.spins)


def test_temperatures_do_not_change_each_other(reference):
    one = runner.run(dataset(temperatures=[3.0]), "x")
    assert np.array_equal(one.spins[0], reference.spins[1])


@pytest.mark.parametrize("change", [{"seed": 8}, {"boundary": "free"}, {"sweeps": 251}])
def test_other_parameters_and_names_give_other_spins(reference, change):
    assert not np.array_equal(runner.run(dataset(**change), "x").spins, reference.spins)
    assert not np.array_equal(runner.run(dataset(), "y").spins, reference.spins)


@pytest.mark.parametrize("sampler", runner.SAMPLERS)
def test_an_interrupted_run_resumes_to_the_same_bytes(sampler, tmp_path, monkeypatch):
    spec = dataset(sampler=sampler, sweeps=40, allow_unequilibrated=True)
    expected = runner.run(spec, "x").spins
    monkeypatch.setattr(runner, "SLICE_UPDATES", 64 * 64 * 5)
    monkeypatch.setattr(runner, "SAVE_SECONDS", 0.0)
    advanced = []
    real = runner.SAMPLERS[sampler]

    def dying(*arguments):
        if len(advanced) == 5:
            raise KeyboardInterrupt
        advanced.append(arguments)
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setitem(runner.SAMPLERS, sampler, dying)
        with pytest.raises(KeyboardInterrupt):
            runner.run(spec, "x", 1, tmp_path)
    assert list(tmp_path.glob("chains-*.npz"))
    again = runner.run(spec, "x", 2, tmp_path)
    assert np.array_equal(again.spins, expected)


def test_hot_starts_are_even_and_independent():
    """Thresholds: 4 standard errors of the mean, and 6 of each of the correlations of 80 chains, in three words."""
    spins = first_configurations(dataset(size=64), "x", 2.0, 60, 80).reshape(80, -1)
    assert set(np.unique(spins)) == {-1, 1}
    assert abs(spins.mean()) < 4 / np.sqrt(spins.size)
    assert np.abs(np.corrcoef(spins) - np.eye(80)).max() < 6 / 64


def test_lattices_larger_than_a_slice_advance_by_one_sweep(monkeypatch, reference):
    real = runner.SAMPLERS[reference.provenance["sampler"]]

    def one_sweep(*arguments):
        assert arguments[-1] == 1
        real(*arguments)

    monkeypatch.setattr(runner, "SLICE_UPDATES", 1)
    monkeypatch.setattr(runner, "_pilots", lambda *_: {})
    monkeypatch.setitem(runner.SAMPLERS, reference.provenance["sampler"], one_sweep)
    monkeypatch.setattr(runner, "choose", lambda *_: (reference.provenance["sampler"], ""))
    assert np.array_equal(runner.run(dataset(), "x", 1).spins, reference.spins)


def test_a_chain_and_a_rectangle_have_their_shapes():
    assert kadanoff.simulate(32, [1.0, 2.0], 5, dimension=1).spins.shape == (2, 5, 32)
    assert kadanoff.simulate((4, 6), 2.5, 5, boundary="skewed").spins.shape == (1, 5, 4, 6)


def test_too_few_sweeps_are_refused_unless_allowed():
    with pytest.raises(KadanoffError, match=r"sweeps is 3, but at T = 2\.0 .*allow_unequilibrated"):
        kadanoff.simulate(8, [2.0], 5, sweeps=3)
    ensemble = kadanoff.simulate(8, [2.0], 5, sweeps=3, allow_unequilibrated=True)
    assert ensemble.provenance["equilibrated"] is False
    assert ensemble.provenance["parameters"]["allow_unequilibrated"] is True


def test_a_metropolis_quench_that_keeps_domain_walls_is_refused():
    with pytest.raises(KadanoffError, match="sampler: swendsen_wang"):
        kadanoff.simulate(16, 0.8, 64, sampler="metropolis", sweeps=500)


@pytest.mark.parametrize(("boundary", "coupling"), [("antiperiodic", 1), ("periodic", -1)])
def test_a_frustrated_odd_lattice_is_allowed_and_right(boundary, coupling):
    ensemble = kadanoff.simulate(5, [1.5], 2000, boundary=boundary, coupling=coupling, seed=11)
    exact = kaufman(5, 5, 1.5, boundary, coupling).energy
    wrong = kaufman(5, 5, 1.6, boundary, coupling).energy
    error = ensemble.energy.std() / np.sqrt(ensemble.energy.size)
    assert abs(ensemble.energy.mean() - exact) < 4 * error
    assert abs(ensemble.energy.mean() - wrong) > 4 * error


def test_many_temperatures_have_the_sweeps_of_the_pilots_beside_them(monkeypatch):
    measured = []

    def pilot(dataset, name, sampler, temperature):
        measured.append(temperature)
        return runner.Pilot(3.0 if abs(temperature - T_C) < 0.02 else 1.0, 16, True)

    monkeypatch.setattr(runner, "pilot", pilot)
    temperatures = {"first": 0.04, "last": 4.0, "step": 0.04}
    spec = Dataset(size=4, temperatures=temperatures, samples=2)
    ensemble = runner.run(spec, "x", 1)
    places = pilot_places(spec)
    assert sorted(measured) == [spec.temperatures[place] for place in places]
    sweeps = np.array(ensemble.provenance["sweeps"])
    assert sweeps[places].tolist() == [60 if abs(spec.temperatures[place] - T_C) < 0.02 else 20 for place in places]
    assert set(sweeps) == {20, 60}
    assert ensemble.provenance["equilibrated"] is True
    assert np.flatnonzero(~np.isnan(ensemble.autocorrelation_time)).tolist() == places


def test_sweeps_that_are_said_to_do_are_not_held_against_pilots(monkeypatch):
    monkeypatch.setattr(runner, "pilot", lambda *_: pytest.fail("a pilot ran"))
    ensemble = kadanoff.simulate(8, [2.0, 3.0], 5, sweeps=3, allow_unequilibrated=True)
    assert ensemble.provenance["sweeps"] == [3, 3]
    assert ensemble.provenance["equilibrated"] is False
    assert np.all(np.isnan(ensemble.autocorrelation_time))


def test_without_a_number_of_sweeps_pilots_find_it_whatever_is_allowed():
    spec = dataset(sweeps=None, allow_unequilibrated=True)
    assert pilot_places(spec) == [0, 1]
    ensemble = runner.run(spec, "x", 1)
    assert np.all(ensemble.autocorrelation_time > 0)
    assert ensemble.provenance["equilibrated"] is True


def test_numbers_of_numpy_are_numbers():
    ensemble = kadanoff.simulate(np.int64(4), np.array([2.0, 3.0]), np.int32(5), seed=np.uint8(3))
    assert ensemble.spins.shape == (2, 5, 4, 4)


def test_a_damaged_checkpoint_is_begun_again(tmp_path, reference):
    (tmp_path / "chains-0-0-64.npz").write_bytes(b"cut short")
    (tmp_path / "pilot-2.0.json").write_text("")
    assert np.array_equal(runner.run(dataset(), "x", 1, tmp_path).spins, reference.spins)


def test_a_dataset_that_finds_no_place_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=8 * 8 * 2 * 100 - 1))
    monkeypatch.setattr(runner, "pilot", lambda *_: pytest.fail("a pilot ran"))
    with pytest.raises(KadanoffError, match="GB free, but the spins take about"):
        runner.run(dataset(), "x", 1, tmp_path)


def test_golden_bytes(reference, tmp_path):
    digest = hashlib.md5(reference.spins.tobytes(), usedforsecurity=False).hexdigest()
    assert digest == "a5e6de3321fa03f427b3079c7cb2bcac"
    reference.save(tmp_path / "x.zarr")
    assert np.array_equal(open_dataset(tmp_path / "x.zarr").read(), reference.spins)


@pytest.mark.parametrize(
    ("arguments", "lattice", "field"),
    [
        # closed orbits of the checkerboard, if flips that cost nothing were always accepted
        ({"size": 4, "temperatures": 0.9}, Lattice(4, 4), 0.0),
        ({"size": (4, 3), "temperatures": 1.0}, Lattice(4, 3), 0.0),
        ({"size": 8, "temperatures": 3.0, "dimension": 1, "field": 1e-3}, Lattice(1, 8, dimension=1), 1e-3),
        ({"size": 3, "temperatures": 0.8, "coupling": -1, "field": 4.0}, Lattice(3, 3, "periodic", -1), 4.0),
        ({"size": 4, "temperatures": 1.5, "coupling": -1, "field": 4.0}, Lattice(4, 4, "periodic", -1), 4.0),
    ],
)
def test_single_spin_updates_reach_every_state(arguments, lattice, field):
    found = kadanoff.simulate(samples=6000, sampler="metropolis", sweeps=4000, seed=1, **arguments)
    exact = enumerate_states(lattice)

    def deviation(temperature):
        energy, heat = exact.thermal(temperature, field)
        return abs(found.energy.mean() - energy) / np.sqrt(heat * temperature**2 / lattice.sites / found.energy.size)

    assert deviation(arguments["temperatures"]) < 4
    assert deviation(1.25 * arguments["temperatures"]) > 4
    order = independent_mean(np.abs(found.magnetization[0]))
    assert abs(order.sigmas(exact.absolute_magnetization(arguments["temperatures"], field))) < 4


def test_a_field_in_which_states_are_metastable_is_refused():
    with pytest.raises(KadanoffError, match="allow_unequilibrated"):
        kadanoff.simulate(16, 1.5, 64, field=0.02, sweeps=50)


def test_a_very_hot_lattice_forgets_a_cold_start():
    ensemble = kadanoff.simulate(8, 1e9, 1000, start="cold")
    assert abs(ensemble.energy.mean()) < 4 * np.sqrt(2 / 64 / 1000)
