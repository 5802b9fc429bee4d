"""What `make full-scale` changes is there to be changed, and what comes of it is valid."""

import shutil
from functools import partial
from pathlib import Path

import pytest
import yaml
from dvc.exceptions import InvalidArgumentError
from dvc.utils.hydra import apply_overrides

from kadanoff.data.description import Dataset
from kadanoff.studies import superresolution
from kadanoff.studies.classify import params as classify_params
from kadanoff.studies.classify import pretrain
from kadanoff.studies.coarsen import coarsen
from kadanoff.validation import validated

ROOT = Path(__file__).parents[1]
OVERRIDES = [line for line in (ROOT / "full-scale.params").read_text().splitlines() if line and line[0] != "#"]


@pytest.fixture
def params(tmp_path):
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


@pytest.mark.parametrize("override", OVERRIDES)
def test_every_line_changes_a_parameter(params, override):
    before = yaml.safe_load(params.read_text())
    apply_overrides(params, [override])  # as `dvc exp run -S` does; it refuses a key that is not there
    assert yaml.safe_load(params.read_text()) != before


def test_a_misspelt_line_would_be_refused(params):
    with pytest.raises(InvalidArgumentError):
        apply_overrides(params, ["superres.variants.pixels.batch_sise=200"])


def test_all_of_it_is_valid(params):
    apply_overrides(params, OVERRIDES)
    changed = yaml.safe_load(params.read_text())
    for study, datasets in changed["datasets"].items():
        for name, values in datasets.items():
            validated(Dataset, values, f"datasets.{study}.{name}")
    readers = {"coarsen": coarsen.read_variant}
    readers |= {study: partial(superresolution.read_variant, study=study) for study in ("superres", "upsample")}
    for study, read in readers.items():
        for name in changed[study]["variants"]:
            read(params.parent, name)
    classify_params.read_params(params.parent)
    for name in changed["classify"]["models"]:
        classify_params.read_model(params.parent, name)
        pretrain.read(params.parent, name)
