"""What `make full-scale` changes is there to be changed, and what comes of it is valid."""

import re
import shutil
from functools import partial
from pathlib import Path

import pytest
from dvc.exceptions import InvalidArgumentError
from dvc.utils.hydra import apply_overrides

from kadanoff.data.description import Dataset
from kadanoff.project.params import entry, read_params, read_yaml
from kadanoff.studies import superresolution
from kadanoff.studies.classify import params as classify_params
from kadanoff.studies.classify import pretrain
from kadanoff.studies.coarsen import coarsen
from kadanoff.studies.mcrg import block_rule
from kadanoff.studies.mcrg.params import Params as McrgParams
from kadanoff.validation import validated

ROOT = Path(__file__).parents[1]
OVERRIDES = [line for line in (ROOT / "full-scale.params").read_text().splitlines() if line and line[0] != "#"]


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    """The parameters with all lines, as `dvc exp run -S` applies them; it refuses a key that is not there."""
    path = Path(shutil.copy(ROOT / "params.yaml", tmp_path_factory.mktemp("full")))
    apply_overrides(path, OVERRIDES)
    return path


def value(params, override):
    for key in override.removeprefix("+").partition("=")[0].split("."):
        params = params.get(key, {})
    return params


def test_every_line_changes_a_parameter(params):
    before, after = (read_yaml(path) for path in (ROOT / "params.yaml", params))
    same = [line for line in OVERRIDES if value(before, line) == value(after, line)]
    assert same == []


def test_a_misspelt_line_would_be_refused(params):
    with pytest.raises(InvalidArgumentError):
        apply_overrides(params, ["superres.variants.pixels.batch_sise=200"])


def test_all_of_it_is_valid(params, monkeypatch):
    changed = read_params(params.parent)
    monkeypatch.setattr("kadanoff.project.params.read_params", lambda root: changed)  # once, rather than for each entry
    for study, datasets in changed["datasets"].items():
        for name, values in datasets.items():
            validated(Dataset, values, f"datasets.{study}.{name}")
    readers = {"coarsen": coarsen.read_variant}
    readers |= {study: partial(superresolution.read_variant, study=study) for study in ("superres", "upsample")}
    for study, read in readers.items():
        for name in changed[study]["variants"]:
            read(params.parent, name)
    for name in changed["block_rule"]["variants"]:
        block_rule.read(params.parent, name)
    mcrg = entry(params.parent, McrgParams, "mcrg")
    for lattices in mcrg.lattices:
        mcrg.setup(lattices).check(lattices.block)
    classify_params.read_params(params.parent)
    for name in changed["classify"]["models"]:
        classify_params.read_model(params.parent, name)
        pretrain.read(params.parent, name)


def test_the_documented_models_from_a_folder_are_valid(tmp_path):
    lines = re.findall(r"-S '(.+FOLDER.+)'", (ROOT / "docs" / "classify.md").read_text())
    apply_overrides(Path(shutil.copy(ROOT / "params.yaml", tmp_path)), lines)
    for name, library in (("vit_base", "transformers"), ("resnet50", "timm")):
        model, training = classify_params.read_model(tmp_path, name)
        assert (model.library, model.weights, model.compare) == (library, "FOLDER", ["FOLDER"])
        assert (training.epochs, training.learning_rate, training.precision) == (10, 2e-5, "auto")
        assert pretrain.read(tmp_path, name)[2].epochs == 1
