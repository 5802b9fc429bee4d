"""The stage `upsample`: a network that is trained, tested and calibrated, and its refusals."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.inverse.calibration import excess, growth_excess
from kadanoff.inverse.renormalized import RenormalizedGibbs
from kadanoff.inverse.superresolve import tables
from kadanoff.inverse.training import NEAREST, coarsened, torus_energy
from kadanoff.learning.checkpoints import load_model
from kadanoff.networks.superres import Blocks, SeedKernel
from kadanoff.spins.exact import T_C
from kadanoff.spins.surroundings import rows, symmetries
from kadanoff.studies.grow.upsample import upsample

TRAINING = {"epochs": 60, "batch_size": 500, "learning_rate": 0.01, "weight_decay": 0.0, "plateau_patience": 5}
TRAINING |= {"plateau_factor": 0.5, "early_stopping_patience": 15, "seed": 0}
KERNEL = {"network": "symmetric_blocks", "rule": "majority", "block": 3, "width": 32, "train": 180}
KERNEL |= {"dataset": "large"}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    kadanoff.simulate(48, [float(T_C)], 200, seed=1).save(folder / "large.zarr")
    kadanoff.simulate(16, [float(T_C)], 1000, seed=2).save(folder / "small.zarr")
    kadanoff.simulate(16, [3.0], 2, seed=3).save(folder / "hot.zarr")
    kadanoff.simulate(6, [float(T_C)], 2, seed=3).save(folder / "six.zarr")
    return folder


def params(calibration="small", **changes):
    variants = {"k": KERNEL | changes}
    return {
        "upsample": {"calibration": {"dataset": calibration, "seed": 0}, "training": TRAINING, "variants": variants}
    }


def start(folder, datasets):
    (folder / "data").mkdir()
    (folder / "data" / "grow").symlink_to(datasets)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory, datasets, inside):
    """A project in which the stage has run."""
    with inside(start(tmp_path_factory.mktemp("trained"), datasets), params()) as root:
        upsample(root, "k")
    return root


def test_the_network_is_symmetric_and_calibrated(trained, datasets):
    model = load_model(trained / "models/upsample/k.safetensors")
    network = model.at(float(T_C))
    assert isinstance(network, Blocks)
    for part, conditional in zip(network.scheme, network.parts, strict=True):
        seen = torch.from_numpy(rows(part.inputs)).float()
        with torch.no_grad():
            first = conditional(seen).exp()
            for inputs, states in symmetries(part, 3):
                turned = conditional(seen[:, torch.from_numpy(inputs)])[:, torch.from_numpy(states)].exp()
                torch.testing.assert_close(turned, first)
            torch.testing.assert_close(conditional(-seen).flip(1).exp(), first)
            plain = conditional.layers(seen)
            assert (plain - conditional.layers(seen.flip(1))).abs().max() > 0.01  # what it is made of is not symmetric
    found = json.loads((trained / "reports/upsample/k/metrics.json").read_text())
    seeds = kadanoff.open_dataset(datasets / "small.zarr").read(0)
    run = json.loads((trained / "reports/upsample/k/run.json").read_text())
    assert [Path(read["path"]).name for read in run["inputs"]] == ["large.zarr", "small.zarr"]
    calibration = found["calibration"]
    for name in ("energy", "square"):
        after = calibration[f"{name}_after"]
        assert abs(after["mean"]) < 0.2 * after["error"]
    excess_of = partial(growth_excess, seeds=seeds, temperature=float(T_C), seed=0, block=3)
    off = excess_of(network, RenormalizedGibbs.of(network).log_odds)(1.0, 1.0)  # both numbers are in the weights
    for value, name in zip(off.mean(1), ("energy", "square"), strict=True):  # but for rounding, by which draws flip
        assert abs(value - calibration[f"{name}_after"]["mean"]) < 0.1 * calibration[f"{name}_after"]["error"]
    plain = excess(tables(network), seeds, float(T_C), 0, 3)
    assert abs(plain.sigmas(0.0)) > 5  # it is calibrated for lattices after Gibbs sweeps
    assert 0 < calibration["sharpness"]["error"] < 0.02
    assert 0 < calibration["factor"]["error"] < 0.02
    assert abs(calibration["drift"]["mean"]) < 4 * calibration["drift"]["error"]
    assert abs(calibration["x_minus_y"]["mean"]) < 4 * calibration["x_minus_y"]["error"]  # by construction
    assert 0 < calibration["between_minus_inside"]["error"] < 2e-3
    assert "| along x - along y |" in (trained / "reports/upsample/k/tables.md").read_text()
    assert found["T=2.26919"]["drawn"]["broken_blocks"]["mean"] == 0
    off = abs(found["T=2.26919"]["drawn"]["energy_difference"]["mean"])
    assert off < 0.1 * abs(
        excess(tables(Blocks("majority", 3, 2, 32)), seeds, float(T_C), 0, 3).mean
    )  # of an untrained one


def test_other_seeds_and_draws_have_the_exact_values_too(trained):
    """Held out: other seeds, other random bits. Threshold: 4 standard errors; a number that is 0.03 off fails.

    0.03 is more than 8 errors of either number.
    """
    network = load_model(trained / "models/upsample/k.safetensors").at(float(T_C))
    known = json.loads((trained / "reports/upsample/k/metrics.json").read_text())["calibration"]
    others = kadanoff.simulate(16, [float(T_C)], 1000, seed=4).spins[0]
    excess_of = growth_excess(network, RenormalizedGibbs.of(network).log_odds, others, float(T_C), 7, 3)

    def exact(factor, sharpness):
        off = excess_of(factor, sharpness)
        own = [known[f"{name}_after"]["error"] for name in ("energy", "square")]
        return (abs(off.mean(1)) < 4 * np.hypot(own, off.std(1, ddof=1) / len(others) ** 0.5)).all()

    assert exact(1.0, 1.0)
    for wrong in (-0.03, 0.03):
        assert abs(wrong) > 8 * max(known["factor"]["error"], known["sharpness"]["error"])
        assert not exact(1 + wrong, 1.0)
        assert not exact(1.0, 1 + wrong)


def test_the_published_kernel_learns_its_energy_constraint(tmp_path, datasets, inside):
    """Its c10 is that of tosses on block averages, which it is trained on; on spins, which it is given, it is not."""
    given = {"network": "seed_kernel", "energy_weight": 10.0, "epochs": 15, "batch_size": 4}
    with inside(start(tmp_path, datasets), params(**given | {"width": None})):
        upsample(tmp_path, "k")
    network = load_model(tmp_path / "models/upsample/k.safetensors").at(float(T_C))
    assert isinstance(network, SeedKernel)
    fine = kadanoff.open_dataset(datasets / "large.zarr").read(0)[:180]
    averages = torch.from_numpy(coarsened(fine, "average", 3).astype("float32")).unsqueeze(1)
    spins = torch.from_numpy(coarsened(fine, "majority", 3)).float().unsqueeze(1)
    with torch.no_grad():
        trained, applied = (
            float(-torus_energy(2 * network(lattices) - 1).mean()) / 2 for lattices in (averages, spins)
        )
        turned = network(spins.rot90(1, (2, 3))).rot90(-1, (2, 3))
        torch.testing.assert_close(turned, network(spins))
        torch.testing.assert_close(1 - network(-spins), network(spins))
    assert abs(trained - NEAREST) < 0.02 < applied - NEAREST
    assert not (tmp_path / "reports/upsample/k/metrics.json").read_text().count("calibration")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"calibration": "hot"}, "it needs square lattices at the critical temperature"),
        ({"calibration": "six"}, "whose lattices have the side 6; Gibbs sweeps need a multiple of 4"),
        ({"network": "pixels", "layers": 2}, "k.network is pixels, but lattices grow by whole blocks"),
        ({"train": 199}, "upsample.variants.k.train is 199, but large has 200 configurations"),
    ],
)
def test_bad_input_is_a_sentence(tmp_path, datasets, inside, changes, message):
    with inside(start(tmp_path, datasets), params(**changes)), pytest.raises(KadanoffError, match=message):
        upsample(tmp_path, "k")
    assert not (tmp_path / "models").exists()
