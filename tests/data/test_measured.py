"""Tables of an ensemble against exact results, and how it presents itself."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray

import kadanoff
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import enumerate_states, kaufman

TEMPERATURES = [1.5, 2.5, 4.0]


@pytest.fixture(scope="module")
def ensemble():
    return kadanoff.simulate(4, TEMPERATURES, samples=4096, seed=9)


def sigmas(table, exact):
    return np.abs((table["mean"] - exact) / table["error"])


def test_tables_agree_with_exact_results(ensemble):
    states = enumerate_states(Lattice(4, 4))
    thermal = [kaufman(4, 4, temperature) for temperature in TEMPERATURES]
    assert sigmas(ensemble.energy_per_site(), [each.energy for each in thermal]).max() < 4
    assert sigmas(ensemble.specific_heat(), [each.specific_heat for each in thermal]).max() < 4
    exact = [states.absolute_magnetization(temperature) for temperature in TEMPERATURES]
    assert sigmas(ensemble.abs_magnetization(), exact).max() < 4
    assert sigmas(ensemble.abs_magnetization(), exact[::-1]).max() > 4  # the control


def test_the_correlation_of_neighbours_is_minus_half_of_the_energy(ensemble):
    table = ensemble.correlation()
    assert table.index.names == ["temperature", "r"]
    neighbours = table.xs(1, level="r")["mean"]
    assert np.allclose(neighbours, -ensemble.energy_per_site()["mean"] / 2)
    assert np.allclose(table.xs(0, level="r")["mean"], 1)


@pytest.mark.parametrize("name", ["energy_per_site", "abs_magnetization", "susceptibility", "specific_heat", "binder"])
def test_every_observable_is_a_table_and_a_plot(ensemble, name):
    table = getattr(ensemble, name)()
    assert list(table.index) == TEMPERATURES
    assert (table["error"] > 0).all()
    axes = ensemble.plot(name)
    assert axes.get_ylabel()
    assert axes.get_xlabel() == "T (|J|/k_B)"
    axes.figure.clear()


def test_other_observables_are_refused(ensemble):
    with pytest.raises(kadanoff.KadanoffError, match="take one of energy_per_site"):
        ensemble.plot("entropy")


def test_configurations_are_drawn_by_temperature(ensemble):
    axes = ensemble.plot_configurations()
    assert [each.get_title() for each in axes] == ["T = 1.5", "T = 2.5", "T = 4"]


def test_it_says_in_a_line_what_it_is(ensemble):
    assert len(repr(ensemble)) < 200
    assert "lattice 4 x 4" in repr(ensemble)
    assert "<td>4 x 4</td>" in ensemble._repr_html_()


def test_xarray_and_back(ensemble, tmp_path):
    dataset = ensemble.to_xarray()
    dataset.to_netcdf(tmp_path / "mine.nc", engine="scipy")
    assert xarray.open_dataset(tmp_path / "mine.nc", engine="scipy").sizes["sample"] == 4096
    dataset.isel(sample=slice(0, 8)).to_zarr(tmp_path / "mine.zarr", consolidated=False)
    stored = kadanoff.open_dataset(tmp_path / "mine.zarr")
    assert np.array_equal(stored.read(), ensemble.read(sample=slice(0, 8)))
    assert stored.provenance == ensemble.provenance


def test_a_store_is_replaced_only_if_asked(ensemble, tmp_path):
    ensemble.save(tmp_path / "mine.zarr")
    with pytest.raises(kadanoff.KadanoffError, match="overwrite=True"):
        ensemble.save(tmp_path / "mine.zarr")
    ensemble.save(tmp_path / "mine.zarr", overwrite=True)


@pytest.mark.parametrize("kind", [tuple, np.array, pd.Series, torch.tensor])
def test_sequences_of_any_kind_are_temperatures(kind):
    assert kadanoff.simulate(4, kind([2.0, 3.0]), 2).temperatures.tolist() == [2.0, 3.0]
    assert kadanoff.simulate(4, range(2, 4), 2).temperatures.tolist() == [2.0, 3.0]


def test_a_sample_that_is_not_there_is_refused(ensemble):
    with pytest.raises(kadanoff.KadanoffError, match="sample is 5000"):
        ensemble.plot_configurations(5000)
