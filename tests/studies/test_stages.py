"""How `kadanoff run` calls a stage."""

import os

import pytest

from kadanoff.studies import run_stage, stages


@pytest.mark.parametrize(
    ("stage", "setting"),
    [
        ("coarsen@x", {"MKL_CBWR": "COMPATIBLE", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}),
        ("classify@x", {"MKL_CBWR": None, "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}),
    ],
)
def test_training_is_repeatable_and_on_all_processors_the_same_but_of_image_models(
    monkeypatch, tmp_path, stage, setting
):
    name, seen = stage.split("@")[0], []
    for variable in setting:
        monkeypatch.setenv(variable, "later removed")
        monkeypatch.delenv(variable)
    monkeypatch.setattr(
        f"kadanoff.studies.{name}.{name}.{name}",
        lambda root, variant: seen.append({variable: os.environ.get(variable) for variable in setting}),
    )
    run_stage(tmp_path, stage)
    assert seen == [setting]


def test_every_stage_says_what_it_does():
    assert all(text.endswith((".", "?")) for text in stages().values())
