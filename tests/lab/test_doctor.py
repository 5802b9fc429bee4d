"""The doctor: every trap is found and repaired, nothing is removed unasked, and a healthy project is quiet."""

import json
import os
import shutil
import subprocess
import sys

import psutil
import pytest
from filelock import FileLock
from small_project import PARAMS, cure, dvc, findings, repair_all, sentence
from typer.testing import CliRunner

from kadanoff.cli import app
from kadanoff.errors import KadanoffError
from kadanoff.lab.doctor import Finding, Repair, treat


@pytest.fixture
def project(small_project):
    return small_project


@pytest.fixture
def tracked(project, empty_store):
    """The same with an MLflow store."""
    shutil.copy(empty_store, project)
    return project


def doctor(*arguments, answers=None, monkeypatch=None):
    if answers is not None:
        monkeypatch.setattr("kadanoff.cli._terminal", lambda: True)
    result = CliRunner().invoke(app, ["doctor", *arguments], input=answers)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


# ---- asking --------------------------------------------------------------------------------------------------------


def test_a_healthy_project_is_quiet(tracked):
    before = tree(tracked)
    assert doctor() == (0, "")
    assert tree(tracked) == before


def tree(folder):
    """All files but the locks, and the stamps that DVC leaves when it opens a project."""
    found = {path for path in folder.rglob("*") if path.parent != folder / ".dvc/tmp" and ".git" not in path.parts}
    return found - {folder / "mlflow.db.lock"}


def test_a_project_without_results_or_store_is_named_and_left_as_it_is(project):
    shutil.rmtree(project / "data/a.zarr")
    (project / "mlflow.db").unlink(missing_ok=True)
    findings(project)
    assert not (project / "mlflow.db").exists()


@pytest.fixture
def checkpoint(project):
    """A trap whose repair removes something."""
    folder = project / ".checkpoints/stage-of-old-0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "state").write_bytes(b"x" * 1000)
    return folder


def test_nothing_is_removed_on_no(checkpoint, monkeypatch):
    code, output = doctor(answers="n\n", monkeypatch=monkeypatch)
    assert code == 1
    assert "repair? removes .checkpoints/stage-of-old-0123456789abcdef" in output
    assert output.endswith("1 left.\n")
    assert (checkpoint / "state").exists()


def test_it_is_removed_on_yes(checkpoint, monkeypatch):
    code, output = doctor(answers="y\n", monkeypatch=monkeypatch)
    assert (code, checkpoint.exists()) == (0, False)
    assert "repaired: removes" in output


def test_without_a_terminal_nothing_is_repaired_unless_told(checkpoint, project):
    shutil.rmtree(project / "data/a.zarr")  # a repair that removes nothing
    before = tree(project)
    code, output = doctor()
    assert (code, tree(project)) == (1, before)
    assert output.endswith("2 left; `kadanoff doctor --yes` repairs what it can.\n")
    assert "repaired" not in output
    assert doctor("--yes")[0] == 0
    assert not checkpoint.exists()
    assert doctor() == (0, "")


def test_the_option_is_named_only_if_it_repairs_something(project):
    (project / "params.yaml").write_text(PARAMS + "unread: 1\n")
    code, output = doctor()
    assert code == 1
    assert output.endswith("\n1 left.\n")


def test_what_a_repair_uncovers_is_treated_too_and_a_failed_one_told():
    state = ["first"]

    def refuse():
        raise KadanoffError("no")

    repairs = {
        "first": Repair("a", lambda: state.append("second")),
        "second": Repair("b", refuse),
    }
    lines = []
    left = treat(lambda: [Finding(state[-1], repairs[state[-1]])], lambda _: True, lines.append)
    assert [finding.what for finding in left] == ["second"]
    assert lines == ["* first", "  repaired: a", "* second", "  not repaired: no"]


# ---- DVC's locks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "word", "removes"),
    [("", "empty", False), ('{"write": ', "damaged", True), ("[]", "damaged", True), ('{"read": 1}', "damaged", True)],
)
def test_an_unreadable_list_of_locks(project, content, word, removes):
    (project / ".dvc/tmp/rwlock").write_text(content)
    finding = cure(project)
    assert finding.what.startswith(f".dvc/tmp/rwlock is {word}")
    assert finding.repair.removes is removes
    [aside] = (project / ".dvc/tmp").glob("rwlock.broken-*")
    assert aside.read_text() == content


def test_dvc_goes_on_after_the_repair(project):
    (project / ".dvc/tmp/rwlock").write_text("")
    with pytest.raises(subprocess.CalledProcessError):
        dvc(project, "repro")
    cure(project)
    dvc(project, "repro")


def test_locks_of_the_dead_are_dropped_and_those_of_the_living_kept(project):
    path = project / ".dvc/tmp/rwlock"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    living = {"pid": os.getpid(), "cmd": "dvc repro"}
    gone = {"pid": dead.pid, "cmd": "dvc push"}
    path.write_text(json.dumps({"write": {"x": gone, "y": living}, "read": {"z": [gone, living]}}))
    finding = cure(project)
    assert f"names processes that are gone, {dead.pid} (dvc push)" in finding.what
    assert json.loads(path.read_text()) == {"write": {"y": living}, "read": {"z": [living]}}


def test_a_process_number_that_was_given_out_again_is_a_stranger(project):
    path = project / ".dvc/tmp/rwlock"
    path.write_text(json.dumps({"write": {"x": {"pid": os.getpid(), "cmd": "dvc repro"}}}))
    assert findings(project) == []
    before = psutil.Process().create_time() - 100
    os.utime(path, (before, before))
    assert "names processes that are gone" in sentence(project)


# ---- the pipeline and its parameters -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("dvc.lock", "<<<<<<< HEAD\nstages:\n=======\n", "dvc.lock is not valid YAML"),
        ("dvc.yaml", "stages: [\n", "unable to read: 'dvc.yaml'"),
        ("params.yaml", "datasets: 3\n", "failed to resolve 'stages.simulate.foreach' in 'dvc.yaml'"),
    ],
)
def test_a_pipeline_that_cannot_be_read_is_one_finding(project, name, content, words):
    (project / name).write_text(content)
    assert words in sentence(project)


def test_keys_that_no_stage_reads_are_named(project):
    (project / "params.yaml").write_text(PARAMS.replace("square", "square, cites: 3") + "dataset: {a: {size: 4}}\n")
    first, second = sorted(finding.what for finding in findings(project))
    assert first.startswith("params.yaml has dataset, which no stage in dvc.yaml reads; did you mean datasets?")
    assert second.startswith(
        "params.yaml has lattice.cites, which no stage in dvc.yaml reads; did you mean lattice.sites?"
    )


# ---- checkpoints ---------------------------------------------------------------------------------------------------


def folder(project, name):
    path = project / ".checkpoints" / name
    path.mkdir(parents=True)
    (path / "state").write_text("hours of work")
    return path


HASH, OTHER = "0123456789abcdef", "fedcba9876543210"


def test_only_checkpoints_that_nothing_goes_on_from_are_removed(project):
    (project / "params.yaml").write_text(PARAMS)
    kept = [
        folder(project, f"simulate-a-{HASH}"),
        folder(project, f"simulate-c-{HASH}"),  # its parameters do not say
        folder(project, "notes"),
    ]
    dead = [
        folder(project, f"simulate-a-{OTHER}"),
        folder(project, f"simulate-gone-{HASH}"),
        folder(project, f"formerly-all-{HASH}"),
        folder(project, "record-simulate-a"),
        folder(project, f"record-simulate-a.old-{HASH[:8]}"),
    ]
    live = {"simulate-a": f"simulate-a-{HASH}", "simulate-c": None}
    found = findings(project, resumable=lambda root: live)
    assert {finding.what.split()[0] for finding in found} == {f".checkpoints/{path.name}" for path in dead}
    assert all(finding.repair.removes for finding in found)
    assert repair_all(project, lambda root: live) == []
    assert [path.exists() for path in kept] == [True] * 3
    assert not any(path.exists() for path in dead)


def test_a_stage_of_which_nothing_is_known_keeps_its_checkpoints(project):
    folder(project, f"simulate-gone-{HASH}")
    assert findings(project, resumable=lambda root: {}) == []


def test_a_folder_that_a_stage_works_in_is_left_alone(project):
    path = folder(project, f"simulate-a-{OTHER}")
    live = {"simulate-a": f"simulate-a-{HASH}"}
    with FileLock(project / ".checkpoints/simulate-a.lock"):
        assert findings(project, resumable=lambda root: live) == []
    [finding] = findings(project, resumable=lambda root: live)
    with FileLock(project / ".checkpoints/simulate-a.lock"), pytest.raises(KadanoffError, match="is in use now"):
        finding.repair.act()
    assert path.exists()


def test_files_half_written_by_the_dead_are_removed_and_young_ones_are_left(project):
    old, young = project / "models/coarsen/.cnn.safetensors.0123abcd", project / "models/coarsen/.mlp.0123abcd"
    old.parent.mkdir(parents=True)
    for path in (old, young):
        path.write_text("half")
    os.utime(old, (0, 0))
    finding = cure(project)
    assert "1 file half written by a process that was killed, models/coarsen/.cnn.safetensors.0123abcd" in finding.what
    assert finding.repair.removes
    assert (old.exists(), young.exists()) == (False, True)
