"""The comparison of ways to draw fine lattices, on a small dataset with untrained networks."""

import json
from functools import reduce
from operator import getitem

import pytest
import torch

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.networks.registry import build
from kadanoff.spins.exact import T_C
from kadanoff.studies.superres import superres_compare as stage
from kadanoff.studies.superresolution import read_variant

TEMPERATURES = [2.0, T_C]
TRAINING = {
    "epochs": 1, "batch_size": 10, "learning_rate": 0.01, "weight_decay": 0.0, "plateau_patience": 1,
    "plateau_factor": 0.5, "early_stopping_patience": 1, "seed": 0,
}  # fmt: skip
VARIANTS = {
    "pixels": {"network": "pixels", "rule": "majority", "block": 2, "width": 4, "layers": 3, "train": 200},
    "blocks": {"network": "blocks", "rule": "majority", "block": 2, "width": 8, "train": 300},
}


def save(root, name):
    """Untrained weights with the recipe that params.yaml asks for."""
    variant, training = read_variant(root, name)
    arguments = variant.arguments(2, TEMPERATURES)
    torch.manual_seed(0)
    recipe = Recipe(variant.network, arguments, variant.model_dump() | training.model_dump())
    save_model(root / "models" / "superres" / f"{name}.safetensors", build(variant.network, **arguments), recipe)


def params():
    variants = {name: variant | {"dataset": "small"} for name, variant in VARIANTS.items()}
    return {
        "superres": {"training": TRAINING, "variants": variants},
        "superres_compare": {"networks": ["pixels", "blocks"], "dataset": "small", "equilibration": 20, "seed": 0},
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory, inside):
    root = tmp_path_factory.mktemp("compare")
    kadanoff.simulate(size=8, temperatures=TEMPERATURES, samples=1300, seed=1).save(root / "data/superres/small.zarr")
    with inside(root, params()):
        for name in VARIANTS:
            save(root, name)
        yield root


def test_every_draw_has_a_row_and_the_exact_controls_are_what_theory_says(project, monkeypatch):
    folder, records = project / "reports" / "superres_compare", []
    for step in (2000, 400):  # configurations in memory at a time
        monkeypatch.setattr(stage, "STEP", step)
        stage.superres_compare(project)
        records.append((folder / "metrics.json").read_text())
    assert records[0] == records[1]
    assert {path.name for path in folder.glob("*.png")} == {"energies.png", "block_sums.png", "pictures.png"}
    text = (folder / "tables.md").read_text()
    for name in ("pixels: sampled", "pixels: rounded", "blocks: one pass", "independent pixels", "Monte Carlo, the"):
        assert text.count(f"| {name}") >= 2
    assert "1000 configurations" in text
    assert text.count("Targets at T_c") == 1
    found = json.loads(records[0])
    assert len(found) == 2
    for temperature, numbers in found.items():
        assert numbers["blocks_one_pass"]["broken"]["mean"] == 0
        pixels, exact = numbers["independent_pixels_exact_optimum"], numbers["exact_conditional_20_sweeps"]
        assert temperature == "at_2" or pixels["energy"]["mean"] > 4 * pixels["energy"]["error"]
        assert pixels["broken"]["mean"] > 0.003
        assert pixels["ties"]["mean"] < 0.8
        for key, expected in (("energy", 0), ("order", 0), ("variance", 1), ("ties", 1)):
            assert abs(exact[key]["mean"] - expected) < 4 * exact[key]["error"]


@pytest.mark.parametrize(
    ("place", "values", "words"),
    [
        (("superres", "training"), {"seed": 5}, r"trained with other parameters; run `dvc repro superres@pixels`"),
        (("superres", "variants", "blocks"), {"dataset": "other"}, "'blocks', which is trained on other"),
        (("superres_compare",), {"networks": ["nothing"]}, "superres.variants has no entry 'nothing'"),
    ],
)
def test_networks_and_parameters_that_do_not_fit_are_refused(project, inside, place, values, words):
    changed = params()
    *outer, last = place
    inner = reduce(getitem, outer, changed)
    inner[last] = inner[last] | values
    with inside(project, changed), pytest.raises(KadanoffError, match=words):
        stage.superres_compare(project)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"train": 1299}, "1300 configurations a temperature, of which 1299 trained a network"),
        ({"rule": "decimation"}, r"undo different rules \(decimation of blocks of 2, majority of blocks of 2\)"),
    ],
)
def test_what_leaves_nothing_to_compare_is_refused(project, inside, values, words):
    changed = params()
    changed["superres"]["variants"]["blocks"] |= values
    with inside(project, changed):
        save(project, "blocks")
        with pytest.raises(KadanoffError, match=words):
            stage.superres_compare(project)
