"""Published results: pinned copies in Git, changed only openly, and believed no more than any other record."""

import os
from pathlib import Path

import pytest
import yaml
from written_records import lock, write_record

from kadanoff.errors import KadanoffError
from kadanoff.project.records.dvclock import read_lock
from kadanoff.project.records.publish import publish
from kadanoff.project.records.read import find_records, read_record


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def root(tmp_path):
    for stage, variant in (("coarsen", "cnn"), ("coarsen", "mlp"), ("coarsen_compare", None)):
        write_record(tmp_path, variant, stage)
    lock(tmp_path)
    return tmp_path


def stages(folder):
    """The entries of a dvc.lock, numbers as numbers."""
    return yaml.safe_load((folder / "dvc.lock").read_text())["stages"]


def message(added, there):
    return (
        f"reports/published/paper: {added} records added, {there} there already. Next: git add reports/published/paper"
    )


def test_all_records_are_copied_with_what_pins_them(root):
    assert publish(root, "paper") == message(3, 0)
    target = root / "reports/published/paper"
    for title in ("coarsen/cnn", "coarsen/mlp", "coarsen_compare"):
        assert files(target / title) == files(root / "reports" / title)
    assert stages(target) == stages(root)
    record = read_record(root, target / "coarsen/cnn")
    assert (record.title, record.publication) == ("coarsen/cnn [paper]", "paper")
    assert record.md5 == read_record(root, root / "reports/coarsen/cnn").md5
    assert list(target.parent.iterdir()) == [target]


def test_the_same_again_changes_nothing(root):
    publish(root, "paper")
    before = {path: path.stat().st_mtime_ns for path in (root / "reports/published/paper").rglob("*")}
    assert publish(root, "paper") == message(0, 3)
    assert {path: path.stat().st_mtime_ns for path in (root / "reports/published/paper").rglob("*")} == before


def test_chosen_records_join_those_that_are_there(root):
    publish(root, "paper", ["coarsen/mlp"])
    assert list(read_lock(root / "reports/published/paper")) == ["coarsen@mlp"]
    assert publish(root, "paper", ["coarsen/cnn", "coarsen/mlp"]) == message(1, 1)
    assert list(read_lock(root / "reports/published/paper")) == ["coarsen@mlp", "coarsen@cnn"]
    with pytest.raises(KadanoffError, match="no record of coarsen/none; there are: coarsen/cnn, coarsen/mlp, coarsen_"):
        publish(root, "paper", ["coarsen/none"])


def test_another_result_is_refused_and_named_unless_told(root):
    publish(root, "paper")
    target = root / "reports/published/paper"
    (target / "coarsen/cnn/extra.png").write_bytes(b"left over")
    (target / "coarsen_compare/metrics.json").write_text("{")
    before = files(target)
    write_record(root, "mlp", mse=0.25)
    write_record(root, "new")
    lock(root)
    with pytest.raises(KadanoffError, match="other results of coarsen/cnn, coarsen/mlp, coarsen_compare, and stays as"):
        publish(root, "paper")
    assert files(target) == before
    assert publish(root, "paper", replace=True) == message(4, 0)
    for title in ("coarsen/cnn", "coarsen/mlp", "coarsen_compare"):
        assert files(target / title) == files(root / "reports" / title)
    assert stages(target) == stages(root)
    lock(root, cmd="kadanoff renamed")  # the same files of another entry
    with pytest.raises(KadanoffError, match="holds other results of"):
        publish(root, "paper")


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
    assert not (root / "reports/published/paper").exists()
    assert publish(root, "paper", ["coarsen/mlp"]) == message(1, 0)


@pytest.mark.parametrize("name", ["", "..", "../up", "a/b", ".hidden", "a b", "a\nb", "-rf"])
def test_names_stay_in_their_folder(root, name):
    with pytest.raises(KadanoffError, match="cannot name published results"):
        publish(root, name)
    assert not (root / "reports/published").exists()


def test_large_records_are_refused(root, monkeypatch):
    monkeypatch.setattr("kadanoff.project.records.publish.MEGABYTES", 1)
    (root / "reports/coarsen/cnn/big.png").write_bytes(bytes(2**20))
    lock(root)
    with pytest.raises(KadanoffError, match="would have 1 MB, and Git keeps them for good"):
        publish(root, "paper")
    assert list((root / "reports/published").iterdir()) == []


@pytest.mark.parametrize("place", ["reports/published", "reports/published/paper", "reports/published/paper/coarsen"])
def test_nothing_is_written_through_a_link(root, tmp_path_factory, place):
    outside = tmp_path_factory.mktemp("outside")
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).symlink_to(outside)
    with pytest.raises(KadanoffError, match="is a symbolic link; published results are files of the project"):
        publish(root, "paper")
    assert os.listdir(outside) == []


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
