import os
import subprocess
import sys
import time

import pytest

from kadanoff.errors import KadanoffError
from kadanoff.lab.files import disk_errors, replace_folder, working_folder, write_atomic


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_write_atomic_replaces_and_leaves_nothing_beside(tmp_path):
    write_atomic(tmp_path / "a.json", "old")
    write_atomic(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_replace_folder(tmp_path):
    for name, text in (("target", "old"), ("work/finished", "new")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text(text)
    replace_folder(tmp_path / "work" / "finished", tmp_path / "target")
    assert (tmp_path / "target" / "file").read_text() == "new"
    assert list((tmp_path / "work").iterdir()) == []


def test_a_working_folder_is_kept_on_failure_and_removed_on_success(project):
    def fail():
        with working_folder("stage", "v", {"a": 1}) as folder:
            (folder / "checkpoint").write_text("half")
            raise ZeroDivisionError(folder)

    with pytest.raises(ZeroDivisionError) as caught:
        fail()
    folder = caught.value.args[0]
    with working_folder("stage", "v", {"a": 1}) as again:
        assert again == folder
        assert (again / "checkpoint").read_text() == "half"
    assert not folder.exists()


def test_other_parameters_have_another_folder(project):
    with working_folder("stage", "v", {"a": 1}) as first:
        pass
    with working_folder("stage", "v", {"a": 2}) as second:
        pass
    assert first != second


def test_a_second_run_of_a_stage_is_refused(project):
    with (
        working_folder("stage", "v"),
        pytest.raises(KadanoffError, match="stage v is already running"),
        working_folder("stage", "v"),
    ):
        pass


@pytest.mark.parametrize("variant", ["../x", "a/b", "", ".hidden"])
def test_a_name_that_could_leave_the_folder_is_refused(project, variant):
    with pytest.raises(KadanoffError, match="rename the entry"), working_folder("stage", variant):
        pass
    assert not (project / ".checkpoints").exists()


def test_disk_errors_are_sentences(tmp_path):
    with pytest.raises(KadanoffError, match=r"cannot write .*: No space left.*free some space"), disk_errors(tmp_path):
        raise OSError(28, "No space left on device")


def test_a_stage_dies_with_its_parent():
    child = "from kadanoff.lab.lifeline import die_with_dvc; import time; die_with_dvc(); time.sleep(60)"
    parent = (
        "import subprocess, sys\n"
        f"process = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "print(process.pid, flush=True)\n"
        "process.wait()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, env={**os.environ, "DVC_STAGE": "x"}
    )
    pid = int(process.stdout.readline())
    time.sleep(2.0)
    os.kill(pid, 0)  # the child lives as long as its parent
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _alive(pid):
        time.sleep(0.1)
    assert not _alive(pid)


def _alive(pid):
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
