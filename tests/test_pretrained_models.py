"""The networks that come with the package are those of the records, and work by name."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import kadanoff
from kadanoff.models import PRETRAINED, pretrained

ROOT = Path(__file__).parents[1]
DESCRIBED = json.loads((PRETRAINED / "models.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", DESCRIBED)
def test_each_is_the_network_of_its_record(name):
    described = DESCRIBED[name]
    assert hashlib.md5((PRETRAINED / described["file"]).read_bytes()).hexdigest() == described["md5"]
    record = json.loads((ROOT / "reports" / name / "run.json").read_text(encoding="utf-8"))
    assert record["model"]["md5"] == described["md5"], "run `make pretrained`"


def test_they_are_small_and_listed():
    assert sum(path.stat().st_size for path in PRETRAINED.iterdir()) < 6_000_000
    assert list(pretrained().index) == list(DESCRIBED)


def test_they_load_by_name_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spins = torch.from_numpy(np.random.default_rng(1).choice([-1.0, 1.0], (2, 1, 16, 16)).astype(np.float32))
    with torch.inference_mode():
        averaged = kadanoff.load_model("coarsen/exact")(spins)
    assert torch.allclose(averaged, torch.nn.functional.avg_pool2d(spins, 2), atol=1e-6)


def test_a_name_that_is_unknown_is_answered_with_those_there_are():
    with pytest.raises(kadanoff.KadanoffError, match="superres/blocks"):
        kadanoff.load_model("superres/block")
