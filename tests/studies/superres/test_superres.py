"""The stage `superres` on small lattices: its records, its resumption, and its refusals."""

import json

import numpy as np
import pytest
import torch
import yaml
from torch import nn

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.inverse.likelihood import negative_log_likelihood
from kadanoff.inverse.reconstruction import reconstruct, superresolve_between
from kadanoff.inverse.superresolve import superresolve
from kadanoff.learning.checkpoints import load_model
from kadanoff.networks.superres import Pixels, Superresolution
from kadanoff.studies import superresolution
from kadanoff.studies.superres.chain import distance
from kadanoff.studies.superres.distributions import spread
from kadanoff.studies.superres.superres import superres
from kadanoff.studies.superres.superres_extrapolate import superres_extrapolate

GRID = [1.0, 2.0, 2.4, 3.0]
TRAINING = {"epochs": 3, "batch_size": 50, "learning_rate": 0.01, "weight_decay": 0.0, "plateau_patience": 5}
TRAINING |= {"plateau_factor": 0.5, "early_stopping_patience": 5, "seed": 0}
PIXELS = {
    "network": "pixels",
    "rule": "majority",
    "block": 2,
    "width": 4,
    "layers": 2,
    "train": 60,
    "dataset": "square16",
}
BLOCKS = {"network": "blocks", "rule": "majority", "block": 2, "width": 8, "train": 60, "dataset": "square16"}
VARIANTS = {
    "pixels": PIXELS,
    "blocks": BLOCKS,
    "square": PIXELS | {"energy_weight": 0.1},
    "chain": PIXELS | {"rule": "decimation", "dataset": "chain16"},
}
BESIDE = {
    "chain": {"dataset": "chain16", "smaller": "chain8", "larger": "chain32"},
    "square": {"dataset": "square16", "smaller": "square8", "larger": "square32"},
}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    for dimension, name in ((1, "chain"), (2, "square")):
        for size in (8, 16, 32):
            kadanoff.simulate(size, GRID, 100, dimension=dimension, seed=size).save(folder / f"{name}{size}.zarr")
    kadanoff.simulate(8, [1.0, 2.0, 2.4, 3.5], 100, seed=1).save(folder / "elsewhere8.zarr")
    kadanoff.simulate(16, [2.0, 1.0], 100, seed=1).save(folder / "descending.zarr")
    kadanoff.simulate(16, GRID, 100, boundary="free", seed=1).save(folder / "free.zarr")
    kadanoff.simulate(6, GRID, 100, seed=1).save(folder / "square6.zarr")
    return folder


@pytest.fixture
def project(tmp_path, monkeypatch, datasets):
    """A project with data, as the current folder; nothing is shown live, and temperatures are trained in turn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kadanoff.project.tracking.live.LiveRun", None)
    monkeypatch.setattr(
        superresolution, "in_processes", lambda what, function, tasks: [function(*task) for task in tasks]
    )
    (tmp_path / "data").symlink_to(datasets)
    write(tmp_path)
    return tmp_path


def write(project, name="pixels", training=None, **changes):
    values = VARIANTS[name] | changes
    variants = VARIANTS | {name: {key: value for key, value in values.items() if value is not None}}
    params = {"superres": {"training": TRAINING | (training or {}), "variants": variants}}
    params["superres_extrapolate"] = BESIDE
    (project / "params.yaml").write_text(yaml.safe_dump(params))


def metrics(project, name):
    return json.loads((project / "reports/superres" / name / "metrics.json").read_text())


def weights(project, name):
    return (project / "models/superres" / f"{name}.safetensors").read_bytes()


FIGURES = {
    "pixels": {"configurations", "losses"},
    "blocks": {"configurations", "losses"},
    "chain": {"losses"},
    "square": {"configurations", "losses"},
}
EXTRAPOLATED = {
    "chain": {"figure8_test_chain", "figure2_extrapolated_chain", "figure3_two_point"},
    "square": {
        "collapse", "figure4_extrapolated_square", "figure5_histograms_extrapolated",
        "figure7_block_sums", "figure9_test_square", "figure10_histograms_test",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_leaves_a_model_and_its_record(project, name):
    superres(project, name)
    folder = project / "reports/superres" / name
    assert {path.stem for path in folder.glob("*.png")} == FIGURES[name]
    found = metrics(project, name)
    assert found["test"]["nats_per_site"]["error"] > 0
    drawn, first = found["T=2"]["drawn"], "part0_" if name == "blocks" else ""
    assert 1 <= found["T=2"][f"{first}best_epoch"] <= found["T=2"][f"{first}epochs"]
    assert found["T=2"][f"{first}best_validation_loss"] <= found["T=2"][f"{first}last_validation_loss"]
    broken = {"broken_blocks", "between_minus_inside", "x_minus_y"}
    assert set(drawn) == broken | {"energy_difference", "order_difference", "tied_blocks_difference"}
    assert ("rounded" in found["T=2"]) == (name != "blocks")
    model = load_model(project / "models/superres" / f"{name}.safetensors")
    assert model.temperatures == tuple(GRID)
    if name == "blocks":
        assert drawn["broken_blocks"] == {"mean": 0.0, "error": 0.0}
        assert (folder / "history.csv").read_text().startswith("epoch,part0_train_loss,part0_validation_loss")
    elif name != "chain":
        assert drawn["broken_blocks"]["mean"] > 0


@pytest.mark.parametrize("name", EXTRAPOLATED)
def test_lattices_beyond_the_trained_size_have_their_figures(project, name):
    superres(project, name)
    superres_extrapolate(project, name)
    folder = project / "reports/superres_extrapolate" / name
    assert {path.stem for path in folder.glob("*.png")} == EXTRAPOLATED[name]
    assert json.loads((folder / "metrics.json").read_text())["extrapolated"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "square8"}, r"square.dataset is square8, but superres.variants.square has square16"),
        ({"smaller": "square16"}, r"square.smaller is square16, whose lattices have the size 16 x 16"),
        ({"larger": "square16"}, r"square.larger is square16, .* it must be 32 x 32"),
        ({"smaller": "elsewhere8"}, r"square.smaller is elsewhere8, whose temperatures are not"),
        ({"smaller": "chain8"}, r"square.smaller is chain8, whose lattices have the size 8"),
        ({"smaller": "nothing"}, r"there is no dataset .*nothing.zarr"),
    ],
)
def test_what_does_not_stand_beside_it_is_refused(project, monkeypatch, changes, message):
    with pytest.raises(KadanoffError, match=r"there are no weights .* run `dvc repro superres@square` first"):
        superres_extrapolate(project, "square")
    superres(project, "square")
    monkeypatch.setitem(BESIDE, "square", BESIDE["square"] | changes)
    write(project)
    with pytest.raises(KadanoffError, match=message):
        superres_extrapolate(project, "square")
    monkeypatch.undo()


def test_networks_of_other_parameters_are_refused(project):
    superres(project, "square")
    write(project, training={"epochs": 4})
    with pytest.raises(KadanoffError, match="was trained with other parameters"):
        superres_extrapolate(project, "square")


def test_the_champion_is_of_one_task(project):
    superres(project, "blocks")
    found = json.loads((project / "reports/superres/blocks/run.json").read_text())["model"]
    assert found["task"] == "majority of 2 x 2 blocks inverted, square16"
    assert found["contender"] is False  # another dataset than that of the study
    assert (
        superresolution._competition(superresolution.Variant(**(BLOCKS | {"dataset": "superres_three16"})), 2)[
            "contender"
        ]
        is True
    )


def test_processes_and_an_interruption_change_no_byte(project, monkeypatch):
    superres(project, "pixels")
    expected, trained = weights(project, "pixels"), superresolution._trained

    def interrupted(*arguments):
        if arguments[-1] == 1:
            raise KeyboardInterrupt
        return trained(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(superresolution, "_trained", interrupted)
        with pytest.raises(KeyboardInterrupt):
            superres(project, "pixels")
    assert list((project / ".checkpoints").glob("superres-pixels-*/at-0-*/training.pt"))
    monkeypatch.undo()
    monkeypatch.chdir(project)
    monkeypatch.setattr("kadanoff.project.tracking.live.LiveRun", None)
    (project / "models/superres/pixels.safetensors").unlink()
    superres(project, "pixels")  # in processes
    assert weights(project, "pixels") == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "pixel"}, r"network is 'pixel'; choose one of"),
        ({"network": "cnn"}, r"network 'cnn': .*its arguments are block, size"),
        ({"layers": None}, r"network 'pixels': missing a required argument: 'layers'"),
        ({"network": "blocks"}, r"network 'blocks': got an unexpected keyword argument 'layers'"),
        ({"network": "blocks", "layers": None, "energy_weight": 1.0}, r"energy_weight is 1; it is a part of the loss"),
        ({"network": "blocks", "layers": None, "rule": "average"}, r"rule is 'average'; what is inverted"),
        ({"dataset": "nothing"}, r"there is no dataset .*nothing.zarr"),
        ({"dataset": "free"}, r"dataset free has boundary free, coupling 1 and field 0"),
        ({"dataset": "descending"}, r"dataset descending has the temperatures \[2.0, 1.0\]; list them in ascending"),
        ({"dataset": "square6"}, r"the coarse lattice is 3 x 3"),
        ({"train": 100}, r"superres.variants.pixels.train is 100, but square16 has 100 configurations"),
        ({"train": 99}, r"train is 99, .* at least 2 must be left"),
        ({"train": 1}, r"superres.variants.pixels.train is 1"),
        ({"widht": 3}, r"superres.variants.pixels.widht is not a known key; did you mean 'width'"),
        ({"learning_rate": -1.0}, r"superres.variants.pixels.learning_rate is -1.0"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(project, changes, message):
    write(project, **changes)
    with pytest.raises(KadanoffError, match=message):
        superres(project, "pixels")
    assert not (project / "models").exists()
    assert not (project / "reports").exists()


@pytest.mark.parametrize("rule", ["average", "minority"])
def test_a_rule_that_leaves_no_spins_is_refused_for_pixels_too(project, rule):
    write(project, rule=rule)
    with pytest.raises(KadanoffError, match=f"rule is '{rule}'"):
        superres(project, "pixels")


def test_an_unknown_variant_names_the_others(project):
    with pytest.raises(KadanoffError, match=r"no entry 'pixel'; it has: blocks, chain, pixels, square"):
        superres(project, "pixel")


def test_the_keys_of_an_entry_override_the_training(project):
    write(project, epochs=7)
    variant, training = superresolution.read_variant(project, "pixels")
    assert (training.epochs, training.batch_size, variant.width) == (7, 50, 4)


def test_the_distances_of_figure_3():
    assert [distance(sites) for sites in (32, 64, 128, 256, 512)] == [3, 6, 10, 17, 29]


def test_histogram_bins_share_out_what_lies_between_them():
    shares = spread(np.array([0.0, 1.0, 1.0]), 1.0, np.array([-0.5, 0.25, 1.5]))
    assert [share.mean for share in shares] == pytest.approx([0.25, 0.75])


class Certain(nn.Module):
    """A network that gives every fine spin of a chain the same probability."""

    def __init__(self, probability):
        super().__init__()
        self.probability = probability

    def forward(self, spins):
        return torch.full((len(spins), 1, 2 * spins.shape[-1]), self.probability)


def test_between_two_temperatures_the_probabilities_are_between():
    """Threshold: 4 standard errors of 25,600 tosses; the middle and the ends must fail it."""
    model = Superresolution("decimation", 2, 1, [1.0, 2.0], [Certain(0.0), Certain(1.0)])
    up = (superresolve_between(model, np.ones((200, 64), np.int8), 1.25, 0) > 0).mean()
    error = np.sqrt(0.25 * 0.75 / 25600)
    assert abs(up - 0.25) < 4 * error
    assert min(abs(up - other) for other in (0, 0.5, 1)) > 4 * error
    with pytest.raises(KadanoffError, match="temperature is 5"):
        superresolve_between(model, np.ones((2, 64), np.int8), 5.0, 0)


def test_a_certain_network_pays_for_its_mistakes_alike_in_both_signs():
    network = Pixels(2, 1, 2, 2)
    for weights in network.parameters():
        nn.init.zeros_(weights)
    for sign in (1, -1):
        nn.init.constant_(network.layers[-1].bias, 20.0 * sign)
        spins = np.full((1, 4), -sign, np.int8)
        assert negative_log_likelihood(network, spins, spins[:, ::2]) == pytest.approx(20)


def test_the_likelihood_prefers_the_network_of_the_right_temperature(project):
    """That is what lets networks compete. Threshold: 4 standard errors."""
    write(project, "blocks", {"epochs": 60, "early_stopping_patience": 60}, learning_rate=0.01, batch_size=1000)
    superres(project, "blocks")
    model = load_model(project / "models/superres/blocks.safetensors")
    fine = kadanoff.open_dataset(project / "data/square16.zarr").read(1, slice(60, None))
    coarse = reconstruct(model, 1, fine, 0).coarse
    right, wrong = (negative_log_likelihood(model.networks[place], fine, coarse) for place in (1, 3))
    difference = wrong - right
    assert difference.mean() > 4 * difference.std(ddof=1) / np.sqrt(len(difference))
    assert superresolve(model, coarse, 2.0, seed=0).shape == fine.shape
