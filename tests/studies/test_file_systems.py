"""Outputs on other file systems than the project: the same bytes, and nothing beside them."""

import errno

import pytest
import yaml
from filesystems import another

from kadanoff.studies.simulate.simulate import simulate

DATASET = {"size": 4, "temperatures": [2.0, 3.0], "samples": 8, "sampler": "metropolis", "sweeps": 50}
DATASET |= {"allow_unequilibrated": True}
FOLDERS = ("data", "reports", ".checkpoints")


def project(folder, monkeypatch):
    (folder / "dvc.yaml").touch()
    (folder / "params.yaml").write_text(yaml.safe_dump({"datasets": {"study": {"x": DATASET}}}))
    monkeypatch.chdir(folder)
    monkeypatch.setattr("kadanoff.project.view.LIVE_AFTER_SECONDS", float("inf"))
    return folder


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_stage_writes_to_other_file_systems_what_it_writes_to_its_own(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    plain = project(tmp_path / "one", monkeypatch)
    simulate(plain, "study")
    with another(tmp_path) as elsewhere:
        root = project(tmp_path / "two", monkeypatch)
        for name in FOLDERS:
            (elsewhere / name).mkdir()
            (root / name).symlink_to(elsewhere / name)
        with pytest.raises(OSError, match="cross-device") as error:  # a rename cannot do it
            (root / "params.yaml").rename(root / "data" / "params.yaml")
        assert error.value.errno == errno.EXDEV
        for _ in range(2):  # an earlier output is replaced
            simulate(root, "study")
            assert content(root / "data") == content(plain / "data") != {}
            assert content(root / "reports").keys() == content(plain / "reports").keys() != set()
            assert not any(path.is_dir() for path in (root / ".checkpoints").iterdir())
