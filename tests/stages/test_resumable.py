"""The doctor knows the checkpoints that the stages would go on from: the very folders they ask for."""

import importlib
import re
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from kadanoff.lab.files import fingerprint
from kadanoff.lab.params import read_params
from kadanoff.stages.resumable import resumable

ROOT = Path(__file__).parents[2]


class Asked(Exception):
    """What a stage asks for, in place of its work."""


@contextmanager
def ask(stage, variant, *parts):
    raise Asked(f"{stage}-{variant}-{fingerprint(*parts)}")
    yield


@pytest.fixture
def stages(monkeypatch):
    """All stages that keep checkpoints, stopped where they ask for their folder."""
    sources = (ROOT / "src/kadanoff/stages").glob("*.py")
    names = [path.stem for path in sources if re.search(r"(working_folder|train_study)\(", path.read_text())]
    found = {}
    for name in names:
        module = importlib.import_module(f"kadanoff.stages.{name}")
        monkeypatch.setattr(module, "working_folder", ask, raising=False)  # `superres` asks for `upsample` too
        if hasattr(module, "coarse_task"):
            monkeypatch.setattr(module, "open_dataset", lambda path: None)
            monkeypatch.setattr(module, "coarse_task", task)
        found[name] = getattr(module, name)
    return found


def task(dataset, rule, block, seed):
    return SimpleNamespace(spins=np.zeros((1, 4 * block, 4 * block)), split=SimpleNamespace(train=range(10**6)))


def test_every_stage_with_checkpoints_is_there_with_the_folder_it_asks_for(stages):
    folders = resumable(ROOT)
    assert {title.partition("-")[0] for title in folders} == set(stages)
    for title, folder in folders.items():
        stage, _, variant = title.partition("-")
        arguments = () if variant == "all" else (variant,)
        with pytest.raises(Asked, match=f"^{folder}$"):
            stages[stage](ROOT, *arguments)


def test_an_entry_that_breaks_a_rule_has_no_folder(tmp_path):
    params = read_params(ROOT)
    params["datasets"]["coarsen16"]["samples"] = 0
    params["coarsen"]["variants"]["cnn"]["rate"] = 1
    del params["coarsen_curve"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    folders = resumable(tmp_path)
    assert {title for title, folder in folders.items() if folder is None} == {
        "simulate-coarsen16",
        "coarsen-cnn",
        "coarsen_curve-all",
    }
