import json

import numpy as np
import pytest
import torch
import xarray

from kadanoff.commands import apply as module
from kadanoff.commands.apply import apply
from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, load_model, save_model
from kadanoff.learning.predict import predict
from kadanoff.learning.randomness import seeded
from kadanoff.networks.registry import build
from kadanoff.spins.blocking import average, majority
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.observables import energy, magnetization


@pytest.fixture
def dataset(tmp_path):
    spins = np.random.Generator(np.random.Philox(5)).choice(np.array([-1, 1], np.int8), (2, 30, 8, 8))
    ensemble = Ensemble(spins, np.array([1.0, 2.0]), *np.zeros((2, 2, 30)), np.ones(2), {"name": "x"})
    ensemble.save(tmp_path / "in.zarr")
    return ensemble


def saved(path, kind, **arguments):
    """A network with random initialization, or one that averages."""
    network = build(kind, **arguments).eval()
    if kind == "exact":
        with torch.no_grad():
            network.layers[0].weight.fill_(0.25)
    save_model(path, network, Recipe(kind, arguments))
    return path


@pytest.fixture
def averager(tmp_path):
    return saved(tmp_path / "exact.safetensors", "exact", block=2, size=8)


def test_a_network_runs_over_a_dataset(dataset, averager, tmp_path):
    apply(averager, tmp_path / "in.zarr", tmp_path / "out.zarr", batch=7)
    with xarray.open_zarr(tmp_path / "out.zarr", chunks=None) as found:
        assert found.output.dims == ("temperature", "sample", "y", "x")
        assert np.array_equal(found.output.values, average(dataset.spins, 2))
        assert json.loads(found.attrs["provenance"])["model"] == "exact.safetensors"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["exact.safetensors", "in.zarr", "out.zarr"]


def test_what_appears_meanwhile_survives(dataset, averager, tmp_path, monkeypatch):
    def meanwhile(*arguments):
        write(*arguments)
        (tmp_path / "out.zarr").write_text("mine")

    write = module._write_fields
    monkeypatch.setattr(module, "_write_fields", meanwhile)
    with pytest.raises(KadanoffError, match=r"out\.zarr exists; nothing is overwritten"):
        apply(averager, tmp_path / "in.zarr", tmp_path / "out.zarr")
    assert (tmp_path / "out.zarr").read_text() == "mine"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["exact.safetensors", "in.zarr", "out.zarr"]


@pytest.fixture
def refiner(tmp_path):
    """Blocks at the temperatures of the dataset, untrained: they obey the rule all the same."""
    arguments = {"rule": "majority", "block": 2, "dimension": 2, "temperatures": [1.0, 2.0], "width": 4}
    return saved(tmp_path / "blocks.safetensors", "blocks", **arguments)


def test_what_super_resolution_draws_is_a_dataset_like_any_other(dataset, refiner, tmp_path):
    dataset.provenance["parameters"] = {"boundary": "periodic", "coupling": -1.0, "field": 0.5}
    dataset.save(tmp_path / "in.zarr", overwrite=True)
    apply(refiner, tmp_path / "in.zarr", tmp_path / "out.zarr")
    found = open_dataset(tmp_path / "out.zarr")
    spins = found.read()
    assert np.array_equal(majority(spins, 2), dataset.spins)
    assert found.temperatures.tolist() == [1.0, 2.0]
    assert np.array_equal(found.magnetization, magnetization(spins))
    assert np.array_equal(found.energy, energy(spins, Lattice.of(16, coupling=-1)) - 0.5 * magnetization(spins))
    assert np.isnan(found.autocorrelation_time).all()
    assert found.provenance["parameters"] == {
        "size": [16, 16], "dimension": 2, "boundary": "periodic", "coupling": -1.0, "field": 0.5,
    }  # fmt: skip
    assert found.provenance["superresolved"]["source_provenance"] == dataset.provenance
    apply(refiner, tmp_path / "out.zarr", tmp_path / "finer.zarr")
    assert np.array_equal(majority(open_dataset(tmp_path / "finer.zarr").read(), 2), spins)
    apply(refiner, tmp_path / "in.zarr", tmp_path / "other.zarr", seed=1)
    assert (open_dataset(tmp_path / "other.zarr").read() != spins).any()


def test_super_resolution_at_another_temperature_is_asked_for(dataset, refiner, tmp_path):
    with pytest.raises(KadanoffError, match=r"has 2 temperatures .1 to 2.; give it for a dataset of one"):
        apply(refiner, tmp_path / "in.zarr", tmp_path / "out.zarr", temperature=2.0)
    one = Ensemble(dataset.spins[:1], np.array([2.3]), *np.zeros((2, 1, 30)), np.ones(1), {})
    one.save(tmp_path / "one.zarr")
    for outside in (None, 2.1, 0.9):
        with pytest.raises(KadanoffError, match=r"temperature is .*, but these networks were trained at 1 to 2"):
            apply(refiner, tmp_path / "one.zarr", tmp_path / "out.zarr", temperature=outside)
    apply(refiner, tmp_path / "one.zarr", tmp_path / "out.zarr", temperature=2.0)
    with xarray.open_zarr(tmp_path / "out.zarr", chunks=None) as found:
        assert found.temperature.values.tolist() == [2.0]


def test_super_resolution_of_other_boundaries_is_refused(dataset, refiner, tmp_path):
    dataset.provenance["parameters"] = {"boundary": "free"}
    dataset.save(tmp_path / "free.zarr")
    with pytest.raises(KadanoffError, match="has the boundary free; super-resolution networks refine periodic"):
        apply(refiner, tmp_path / "free.zarr", tmp_path / "out.zarr")


def test_chains_are_refined_by_networks_of_chains_only(dataset, refiner, tmp_path):
    chains = Ensemble(dataset.spins[:, :, 0], *(getattr(dataset, key) for key in ("temperatures", "energy")),
                      dataset.magnetization, dataset.autocorrelation_time, {})  # fmt: skip
    chains.save(tmp_path / "chains.zarr")
    with pytest.raises(KadanoffError, match=r"this network refines square lattices \(n, y, x\)"):
        apply(refiner, tmp_path / "chains.zarr", tmp_path / "out.zarr")
    arguments = {"rule": "decimation", "block": 2, "dimension": 1, "temperatures": [1.0, 2.0], "width": 4, "layers": 2}
    apply(saved(tmp_path / "chain.safetensors", "pixels", **arguments), tmp_path / "chains.zarr", tmp_path / "out.zarr")
    chains = open_dataset(tmp_path / "out.zarr")
    assert chains.read().shape == (2, 30, 16)
    assert np.array_equal(chains.energy, energy(chains.read(), Lattice.of(16, dimension=1)))


def test_a_classifier_gives_the_probability_of_each_region(dataset, tmp_path):
    options = {"patch_size": 4, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    arguments = {"model": "vit", "outputs": 4, "size": 8, "scale": 1, "options": options}
    with seeded(0):
        weights = saved(tmp_path / "vit.safetensors", "transformers", **arguments)
    apply(weights, tmp_path / "in.zarr", tmp_path / "out.zarr", batch=7)
    with xarray.open_zarr(tmp_path / "out.zarr", chunks=None) as found:
        assert found.output.dims == ("temperature", "sample", "class")
        assert (found.output.shape, found.output.dtype) == ((2, 30, 4), np.float32)
        assert found.temperature.values.tolist() == [1.0, 2.0]
        values = found.output.values
    assert values.min() > 0
    assert values.sum(-1) == pytest.approx(1, abs=1e-6)
    logits = np.stack([predict(load_model(weights), spins) for spins in dataset.spins])
    assert np.array_equal(values.argmax(-1), logits.argmax(-1))
    assert np.diff(np.log(values)) == pytest.approx(np.diff(logits), abs=1e-5)
    # negative control: the logits themselves are no probabilities
    assert np.abs(logits.sum(-1) - 1).min() > 0.01


def test_a_network_that_is_no_classifier_of_regions_is_refused(dataset, tmp_path):
    arguments = {"model": "test_resnet", "outputs": 5, "scale": 1, "options": {}}
    five = saved(tmp_path / "five.safetensors", "timm", **arguments)
    with pytest.raises(KadanoffError, match="the network has 5 outputs a configuration, a classifier of regions 4"):
        apply(five, tmp_path / "in.zarr", tmp_path / "out.zarr")
    assert not (tmp_path / "out.zarr").exists()
