"""The stage `superres` on small lattices: its records, its resumption, and its refusals."""

import json

import pytest

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import load_model
from kadanoff.studies import superresolution
from kadanoff.studies.superres.chain import distance
from kadanoff.studies.superres.superres import superres
from kadanoff.studies.superres.superres_extrapolate import superres_extrapolate

GRID = [1.0, 2.0, 2.4, 3.0]
TRAINING = {"epochs": 3, "batch_size": 50, "learning_rate": 0.01, "weight_decay": 0.0, "plateau_patience": 5}
TRAINING |= {"plateau_factor": 0.5, "early_stopping_patience": 5, "seed": 0}
PIXELS = {"network": "pixels", "rule": "majority", "block": 2, "width": 4, "layers": 2, "train": 60}
PIXELS |= {"dataset": "square16"}
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


def params(name="pixels", training=None, beside=None, **changes):
    values = VARIANTS[name] | changes
    variants = VARIANTS | {name: {key: value for key, value in values.items() if value is not None}}
    stage = {"training": TRAINING | (training or {}), "variants": variants}
    return {"superres": stage, "superres_extrapolate": BESIDE | {"square": BESIDE["square"] | (beside or {})}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, datasets, inside):
    """A project in which every variant is trained."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "data").mkdir()
    (folder / "data/superres").symlink_to(datasets)
    with inside(folder, params()):
        for name in VARIANTS:
            superres(folder, name)
    return folder


@pytest.fixture
def empty(tmp_path, datasets):
    """A project in which nothing is trained."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/superres").symlink_to(datasets)
    return tmp_path


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
def test_every_variant_leaves_a_model_and_its_record(trained, name):
    folder = trained / "reports/superres" / name
    assert {path.stem for path in folder.glob("*.png")} == FIGURES[name]
    found = json.loads((folder / "metrics.json").read_text())
    assert found["test"]["nats_per_site"]["error"] > 0
    drawn, first = found["T=2"]["drawn"], "part0_" if name == "blocks" else ""
    assert 1 <= found["T=2"][f"{first}best_epoch"] <= found["T=2"][f"{first}epochs"]
    assert found["T=2"][f"{first}best_validation_loss"] <= found["T=2"][f"{first}last_validation_loss"]
    broken = {"broken_blocks", "between_minus_inside", "x_minus_y"}
    assert set(drawn) == broken | {"energy_difference", "order_difference", "tied_blocks_difference"}
    assert ("rounded" in found["T=2"]) == (name != "blocks")
    model = load_model(trained / "models/superres" / f"{name}.safetensors")
    assert model.temperatures == tuple(GRID)
    if name == "blocks":
        assert drawn["broken_blocks"] == {"mean": 0.0, "error": 0.0}
        assert (folder / "history.csv").read_text().startswith("epoch,part0_train_loss,part0_validation_loss")
    elif name != "chain":
        assert drawn["broken_blocks"]["mean"] > 0


@pytest.mark.parametrize("name", EXTRAPOLATED)
def test_lattices_beyond_the_trained_size_have_their_figures(trained, inside, name):
    with inside(trained, params()):
        superres_extrapolate(trained, name)
    folder = trained / "reports/superres_extrapolate" / name
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
    ],
)
def test_what_does_not_stand_beside_it_is_refused(trained, inside, changes, message):
    with inside(trained, params(beside=changes)), pytest.raises(KadanoffError, match=message):
        superres_extrapolate(trained, "square")


def test_networks_that_are_missing_or_of_other_parameters_are_refused(trained, empty, inside):
    other, missing = (
        "was trained with other parameters",
        r"there are no weights .* run `dvc repro superres@square` first",
    )
    with inside(trained, params(training={"epochs": 4})), pytest.raises(KadanoffError, match=other):
        superres_extrapolate(trained, "square")
    with inside(empty, params()), pytest.raises(KadanoffError, match=missing):
        superres_extrapolate(empty, "square")


def test_the_champion_is_of_one_task(trained):
    found = json.loads((trained / "reports/superres/blocks/run.json").read_text())["model"]
    assert found["task"] == "majority of 2 x 2 blocks inverted, square16"
    assert found["contender"] is False  # another dataset than that of the study
    variant = superresolution.Variant(**(BLOCKS | {"dataset": "superres_three16"}))
    assert superresolution._competition(variant, 2)["contender"] is True


def test_processes_and_an_interruption_change_no_byte(empty, trained, inside, monkeypatch):
    train = superresolution._trained

    def interrupted(*arguments):
        if arguments[-1] == 1:
            raise KeyboardInterrupt
        return train(*arguments)

    with inside(empty, params()), monkeypatch.context() as patch:
        patch.setattr(superresolution, "_trained", interrupted)
        with pytest.raises(KeyboardInterrupt):
            superres(empty, "pixels")
    assert list((empty / ".checkpoints").glob("superres-pixels-*/at-0-*/training.pt"))
    monkeypatch.chdir(empty)
    monkeypatch.setattr("kadanoff.project.view.LIVE_AFTER_SECONDS", float("inf"))
    superres(empty, "pixels")  # in processes
    assert weights(empty, "pixels") == weights(trained, "pixels")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "pixel"}, r"network is 'pixel'; choose one of"),
        ({"network": "blocks"}, r"network 'blocks': got an unexpected keyword argument 'layers'"),
        ({"network": "blocks", "layers": None, "energy_weight": 1.0}, r"energy_weight is 1; it is a part of the loss"),
        ({"network": "blocks", "layers": None, "rule": "average"}, r"rule is 'average'; what is inverted"),
        ({"rule": "minority"}, r"rule is 'minority'"),
        ({"rule": "average"}, r"rule is 'average'"),
        ({"dataset": "nothing"}, r"there is no dataset .*nothing.zarr"),
        ({"dataset": "free"}, r"dataset free has boundary free, coupling 1 and field 0"),
        ({"dataset": "descending"}, r"dataset descending has the temperatures \[2.0, 1.0\]; list them in ascending"),
        ({"dataset": "square6"}, r"the coarse lattice is 3 x 3"),
        ({"train": 99}, r"train is 99, .* at least 2 must be left"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(empty, inside, changes, message):
    with inside(empty, params(**changes)), pytest.raises(KadanoffError, match=message):
        superres(empty, "pixels")
    assert {path.name for path in empty.iterdir()} <= {"data", "params.yaml", ".checkpoints"}


def test_the_keys_of_an_entry_override_the_training(empty, inside):
    with inside(empty, params(epochs=7)):
        variant, training = superresolution.read_variant(empty, "pixels")
    assert (training.epochs, training.batch_size, variant.width) == (7, 50, 4)


def test_the_distances_of_figure_3():
    assert [distance(sites) for sites in (32, 64, 128, 256, 512)] == [3, 6, 10, 17, 29]
