"""The comparison of ways to draw fine lattices, on a small dataset with untrained networks."""

import json

import pytest
import torch
import yaml

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.networks.registry import build
from kadanoff.project.params import entry
from kadanoff.spins.exact import T_C
from kadanoff.studies.superres import superres_compare as stage
from kadanoff.studies.superresolution import read_variant

TEMPERATURES = [2.0, T_C, 2.6]
TRAINING = {
    "epochs": 1, "batch_size": 10, "learning_rate": 0.01, "weight_decay": 0.0, "plateau_patience": 1,
    "plateau_factor": 0.5, "early_stopping_patience": 1, "seed": 0,
}  # fmt: skip
VARIANTS = {
    "pixels": {"network": "pixels", "rule": "majority", "block": 2, "width": 4, "layers": 3, "train": 200},
    "blocks": {"network": "blocks", "rule": "majority", "block": 2, "width": 8, "train": 300},
}


def write(root, params):
    (root / "params.yaml").write_text(yaml.safe_dump(params))


def save(root, name):
    """Untrained weights with the recipe that params.yaml asks for."""
    variant, training = read_variant(root, name)
    arguments = variant.arguments(2, TEMPERATURES)
    torch.manual_seed(0)
    recipe = Recipe(variant.network, arguments, variant.model_dump() | training.model_dump())
    save_model(root / "models" / "superres" / f"{name}.safetensors", build(variant.network, **arguments), recipe)


@pytest.fixture(scope="module")
def ensemble():
    return kadanoff.simulate(size=8, temperatures=TEMPERATURES, samples=1300, seed=1)


@pytest.fixture
def params():
    variants = {name: variant | {"dataset": "small"} for name, variant in VARIANTS.items()}
    return {
        "superres": {"training": TRAINING, "variants": variants},
        "superres_compare": {"networks": ["pixels", "blocks"], "dataset": "small", "equilibration": 20, "seed": 0},
    }


@pytest.fixture
def project(tmp_path, ensemble, params, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stage, "in_processes", lambda _, function, tasks: [function(*task) for task in tasks])
    write(tmp_path, params)
    (tmp_path / "models" / "superres").mkdir(parents=True)
    ensemble.save(tmp_path / "data" / "superres" / "small.zarr")
    for name in VARIANTS:
        save(tmp_path, name)
    return tmp_path


def test_every_draw_has_a_row_and_the_exact_controls_are_what_theory_says(project):
    stage.superres_compare(project)
    folder = project / "reports" / "superres_compare"
    assert {path.name for path in folder.glob("*.png")} == {"energies.png", "block_sums.png", "pictures.png"}
    text = (folder / "tables.md").read_text()
    for name in ("pixels: sampled", "pixels: rounded", "blocks: one pass", "independent pixels", "Monte Carlo, the"):
        assert text.count(f"| {name}") >= 3
    assert "1000 configurations" in text
    assert text.count("Targets at T_c") == 1
    found = json.loads((folder / "metrics.json").read_text())
    assert len(found) == 3
    for temperature, numbers in found.items():
        assert numbers["blocks_one_pass"]["broken"]["mean"] == 0
        pixels, exact = numbers["independent_pixels_exact_optimum"], numbers["exact_conditional_20_sweeps"]
        assert temperature == "at_2" or pixels["energy"]["mean"] > 4 * pixels["energy"]["error"]
        assert pixels["broken"]["mean"] > 0.003
        assert pixels["ties"]["mean"] < 0.8
        for key, expected in (("energy", 0), ("order", 0), ("variance", 1), ("ties", 1)):
            assert abs(exact[key]["mean"] - expected) < 4 * exact[key]["error"]


def test_the_outcome_does_not_depend_on_what_is_in_memory_at_a_time(project, monkeypatch):
    plan = stage._plan(project, entry(project, stage.Compare, "superres_compare"))
    ensemble = stage.open_dataset(plan.data)
    whole = [item.qualities for item in stage.compare(plan, ensemble)]
    monkeypatch.setattr(stage, "STEP", 300)
    assert [item.qualities for item in stage.compare(plan, ensemble)] == whole


@pytest.mark.parametrize(
    ("place", "values", "words"),
    [
        (("superres", "training"), {"seed": 5}, r"trained with other parameters; run `dvc repro superres@pixels`"),
        (
            ("superres", "variants", "blocks"),
            {"width": 9},
            "trained with other parameters; run `dvc repro superres@blo",
        ),
        (("superres", "variants", "blocks"), {"dataset": "other"}, "'blocks', which is trained on other"),
        (("superres_compare",), {"networks": []}, "superres_compare.networks"),
        (("superres_compare",), {"networks": ["nothing"]}, "superres.variants has no entry 'nothing'"),
        (("superres_compare",), {"equilibration": 2}, "superres_compare.equilibration is 2"),
        (("superres_compare",), {"sweeps": 2}, "superres_compare.sweeps is not a known key"),
    ],
)
def test_networks_and_parameters_that_do_not_fit_are_refused(project, params, place, values, words):
    *outer, last = place
    inner = params
    for key in outer:
        inner = inner[key]
    inner[last] = inner[last] | values
    write(project, params)
    with pytest.raises(KadanoffError, match=words):
        stage.superres_compare(project)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"train": 1299}, "1300 configurations a temperature, of which 1299 trained a network"),
        ({"rule": "decimation"}, r"undo different rules \(decimation of blocks of 2, majority of blocks of 2\)"),
    ],
)
def test_what_leaves_nothing_to_compare_is_refused(project, params, values, words):
    params["superres"]["variants"]["blocks"] |= values
    write(project, params)
    save(project, "blocks")
    with pytest.raises(KadanoffError, match=words):
        stage.superres_compare(project)
