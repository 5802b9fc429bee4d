"""How `kadanoff run` calls a stage."""

import os

import pytest

from kadanoff.studies import run_stage, stages


@pytest.mark.parametrize(("stage", "setting"), [("coarsen@x", "COMPATIBLE"), ("classify@x", None)])
def test_training_is_the_same_on_all_processors_but_of_image_models(monkeypatch, tmp_path, stage, setting):
    name, seen = stage.split("@")[0], []
    monkeypatch.setenv("MKL_CBWR", "later removed")
    monkeypatch.delenv("MKL_CBWR")
    monkeypatch.setattr(
        f"kadanoff.studies.{name}.{name}.{name}", lambda root, variant: seen.append(os.environ.get("MKL_CBWR"))
    )
    run_stage(tmp_path, stage)
    assert seen == [setting]


def test_every_stage_says_what_it_does():
    assert all(text.endswith((".", "?")) for text in stages().values())
