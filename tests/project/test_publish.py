"""Published results: pinned copies in Git, changed only openly, and believed no more than any other record."""

import json
import os
import shutil
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from kadanoff.errors import KadanoffError
from kadanoff.project.published import find_records, lock_entries, publish, read_record
from kadanoff.project.records.dvclock import folder_md5

RUN = {
    "stage": "coarsen",
    "parameters": {"epochs": 2},
    "inputs": [],
    "environment": {},
    "started": "2026-01-02T03:04:05Z",
    "mlflow_run_id": None,
}


def write(root: Path, variant: str | None = "cnn", stage="coarsen", mse=0.5, **changes) -> Path:
    """Write one record of the project, and the dvc.lock of all that there are."""
    folder = root / "reports" / stage / (variant or "")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(RUN | {"stage": stage, "variant": variant} | changes))
    (folder / "metrics.json").write_text(json.dumps({"mse": {"mean": mse, "error": 0.1}, "n": 3}))
    (folder / "history.png").write_bytes(b"\x89PNG")
    lock(root)
    return folder


def lock(root: Path, cmd="kadanoff") -> None:
    stages = {}
    for folder in find_records(root):
        path = folder.relative_to(root).as_posix()
        if not path.startswith("reports/published/"):
            out = {"path": path, "hash": "md5", "md5": folder_md5(folder, folder.iterdir())}
            weights = {"path": f"models/{folder.name}.safetensors", "md5": "0" * 32}
            entry = {"cmd": cmd, "params": {"params.yaml": {"rate": 1e-5}}, "outs": [weights, out]}
            stages["@".join(path.split("/")[1:])] = entry
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def outcome(report) -> dict[str, list[str]]:
    return {name: value for name, value in vars(report).items() if value and name != "folder"}


@pytest.fixture
def root(tmp_path):
    write(tmp_path)
    write(tmp_path, "mlp")
    write(tmp_path, None, "coarsen_compare")
    return tmp_path


def test_all_records_are_copied_with_what_pins_them(root):
    report = publish(root, "paper")
    assert outcome(report) == {"added": ["coarsen/cnn", "coarsen/mlp", "coarsen_compare"]}
    assert "git add reports/published/paper" in str(report)
    target = root / "reports/published/paper"
    for title in ("coarsen/cnn", "coarsen/mlp", "coarsen_compare"):
        assert files(target / title) == files(root / "reports" / title)
    assert lock_entries(target) == yaml.safe_load((root / "dvc.lock").read_text())["stages"]
    record = read_record(root, target / "coarsen/cnn")
    assert (record.title, record.locked_path) == ("coarsen/cnn [paper]", "reports/coarsen/cnn")
    assert record.md5 == read_record(root, root / "reports/coarsen/cnn").md5
    assert list((root / ".checkpoints").iterdir()) == [root / ".checkpoints/publish.lock"]


def test_what_was_put_aside_by_a_killed_command_is_not_lost(root):
    publish(root, "paper", only=["coarsen/mlp"])
    target = root / "reports/published/paper"
    target.rename(target.with_name(".paper.old"))  # killed before the other rename
    target.with_name(".paper.new").mkdir()
    assert outcome(publish(root, "paper", only=["coarsen/cnn"])) == {"added": ["coarsen/cnn"]}
    assert (target / "coarsen/mlp/run.json").exists()
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("name", [".cnn.new", ".cnn.old"])
def test_what_is_about_to_become_a_record_is_none(root, name):
    before = list(find_records(root))
    shutil.copytree(root / "reports/coarsen/cnn", root / "reports/coarsen" / name)
    assert list(find_records(root)) == before


def test_the_same_again_changes_nothing(root):
    publish(root, "paper")
    before = {path: path.stat().st_mtime_ns for path in (root / "reports/published").rglob("*")}
    report = publish(root, "paper")
    assert str(report) == "reports/published/paper holds these 3 records already; nothing changed."
    assert {path: path.stat().st_mtime_ns for path in (root / "reports/published").rglob("*")} == before


def test_chosen_records_join_those_that_are_there(root):
    publish(root, "paper", ["coarsen/mlp"])
    assert list(lock_entries(root / "reports/published/paper")) == ["coarsen@mlp"]
    report = publish(root, "paper", ["coarsen/cnn", "coarsen/mlp"])
    assert outcome(report) == {"added": ["coarsen/cnn"], "unchanged": ["coarsen/mlp"]}
    assert list(lock_entries(root / "reports/published/paper")) == ["coarsen@mlp", "coarsen@cnn"]
    with pytest.raises(KadanoffError, match="no record of coarsen/none; there are: coarsen/cnn, coarsen/mlp, coarsen_"):
        publish(root, "paper", ["coarsen/none"])


def test_another_result_is_refused_and_named_unless_told(root):
    publish(root, "paper")
    target = root / "reports/published/paper"
    (target / "coarsen/cnn/extra.png").write_bytes(b"left over")
    before = files(target)
    write(root, mse=0.25)
    write(root, "mlp", started="2026-01-03T00:00:00Z")
    write(root, "new")
    with pytest.raises(KadanoffError, match="holds other results of these records, and stays as it is") as error:
        publish(root, "paper")
    assert "\n  coarsen/cnn: mse 0.5 -> 0.25\n" in str(error.value)
    assert "coarsen/mlp: the same numbers; published by the run of 2026-01-02 03:04, now of 2026-01-03" in str(
        error.value
    )
    assert files(target) == before
    report = publish(root, "paper", replace=True)
    assert outcome(report) == {
        "added": ["coarsen/new"],
        "replaced": ["coarsen/cnn", "coarsen/mlp"],
        "unchanged": ["coarsen_compare"],
    }
    assert files(target / "coarsen/cnn") == files(root / "reports/coarsen/cnn")
    assert lock_entries(target) == yaml.safe_load((root / "dvc.lock").read_text())["stages"]


def test_the_same_record_of_another_entry_is_told(root):
    publish(root, "paper")
    lock(root, cmd="kadanoff renamed")
    with pytest.raises(KadanoffError, match=r"coarsen/cnn: the same files, of another entry of dvc\.lock"):
        publish(root, "paper")


def test_a_published_record_that_is_broken_can_be_replaced(root):
    publish(root, "paper")
    broken = root / "reports/published/paper/coarsen/cnn/metrics.json"
    broken.write_text("{")
    with pytest.raises(KadanoffError, match="coarsen/cnn: the published one is broken"):
        publish(root, "paper")
    assert outcome(publish(root, "paper", replace=True))["replaced"] == ["coarsen/cnn"]
    assert "mse" in broken.read_text()


@pytest.mark.parametrize("damage", ["edited", "unlocked"])
def test_a_record_without_data_is_refused(root, damage):
    if damage == "edited":
        (root / "reports/coarsen/cnn/metrics.json").write_text('{"mse": 0}')
    else:
        stages = yaml.safe_load((root / "dvc.lock").read_text())["stages"]
        del stages["coarsen@cnn"]
        (root / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}))
    with pytest.raises(KadanoffError, match=r"not those of dvc\.lock, so no data belongs to them: coarsen/cnn\. Bring"):
        publish(root, "paper")
    assert not (root / "reports/published").exists()
    assert outcome(publish(root, "paper", ["coarsen/mlp"])) == {"added": ["coarsen/mlp"]}


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", ".hidden", "a b", "a\nb", "x" * 61, "-rf"])
def test_names_stay_in_their_folder(root, name):
    with pytest.raises(KadanoffError, match="cannot name published results"):
        publish(root, name)
    assert not (root / "reports/published").exists()


def test_large_records_are_refused(root, monkeypatch):
    monkeypatch.setattr(import_module("kadanoff.project.published.publish"), "LARGEST_PUBLICATION", 2**20)
    (root / "reports/coarsen/cnn/big.png").write_bytes(bytes(2**20))
    lock(root)
    with pytest.raises(KadanoffError, match="would have 1 MB, and Git keeps them for good"):
        publish(root, "paper")
    assert not (root / "reports/published").exists()
    assert list((root / ".checkpoints").iterdir()) == [root / ".checkpoints/publish.lock"]


def test_a_full_disk_leaves_the_older_publication(root, monkeypatch):
    publish(root, "paper")
    before = files(root / "reports/published")
    write(root, mse=0.25)

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", refuse)
    with pytest.raises(KadanoffError, match=r"cannot write .*: .*No space left on device"):
        publish(root, "paper", replace=True)
    assert files(root / "reports/published") == before


@pytest.mark.parametrize("place", ["reports/published", "reports/published/paper", "reports/published/paper/coarsen"])
def test_nothing_is_written_through_a_link(root, tmp_path_factory, place):
    outside = tmp_path_factory.mktemp("outside")
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).symlink_to(outside)
    if place.endswith("coarsen"):
        publish(root, "paper")
        assert not (root / place).is_symlink()
    else:
        with pytest.raises(KadanoffError, match="is a symbolic link; published results are folders"):
            publish(root, "paper")
    assert os.listdir(outside) == []


BOMB = "stages:\n  a: &a {b: 1}\n  c: *a\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("stages: [", "is not valid YAML"),
        ("stages: 3", "has no mapping `stages`"),
        (BOMB, "has YAML aliases, which DVC does not write"),
        ("\0", "is not valid YAML"),
        ("#" * (16 * 2**20 + 1), "a lock file has at most 16 MB"),
        (None, "is a symbolic link"),
    ],
)
def test_a_broken_lock_of_a_publication_is_a_sentence(root, content, message):
    publish(root, "paper")
    path = root / "reports/published/paper/dvc.lock"
    path.unlink()
    if content is None:
        path.symlink_to(root / "dvc.lock")
    else:
        path.write_text(content)
    with pytest.raises(KadanoffError, match=message):
        publish(root, "paper")


def test_a_publication_is_no_stage_of_its_own(root):
    publish(root, "paper")
    (root / "reports/published/run.json").write_text("{}")
    found = [folder.relative_to(root / "reports").as_posix() for folder in find_records(root)]
    own = ["coarsen/cnn", "coarsen/mlp", "coarsen_compare"]
    assert found == own + [f"published/paper/{title}" for title in own]
    moved = root / "reports/published/paper/coarsen/cnn"
    moved.rename(moved.with_name("other"))
    with pytest.raises(KadanoffError, match="its folder must be reports/published/paper/coarsen/cnn"):
        read_record(root, moved.with_name("other"))


def test_a_record_that_changes_while_it_is_copied_is_refused(root, monkeypatch):
    def copy(source, target):
        Path(target).write_bytes(Path(source).read_bytes() + b" ")

    monkeypatch.setattr(shutil, "copyfile", copy)
    with pytest.raises(KadanoffError, match="was changed while it was being published; repeat the command"):
        publish(root, "paper")
    assert not (root / "reports/published/paper").exists()
