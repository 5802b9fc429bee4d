import os
import shlex
import subprocess
import sys
import time

import psutil
import pytest
from filesystems import another

from kadanoff.errors import KadanoffError
from kadanoff.runtime.files import disk_errors, recover_folder, replace_folder, working_folder, write_atomic


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


def folder(path, text):
    path.mkdir(parents=True)
    (path / "file").write_text(text)
    return path


def test_replace_folder_on_another_file_system(tmp_path):
    with another(tmp_path) as elsewhere:
        for text in ("old", "new"):
            replace_folder(folder(tmp_path / "finished", text), elsewhere / "target")
            assert (elsewhere / "target" / "file").read_text() == text
        assert [*tmp_path.iterdir(), *elsewhere.iterdir()] == [elsewhere / "target"]


KILLED = """
import os, shutil, sys
from pathlib import Path
from kadanoff.runtime.files import replace_folder

def counted(function):
    def call(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return function(*arguments, **options)
    return call

left = int(sys.argv[1])
os.rename, shutil.rmtree = counted(os.rename), counted(shutil.rmtree)  # which Path calls
replace_folder(Path("finished"), Path("place/target"))
"""


@pytest.mark.parametrize("step", range(6))
def test_a_kill_while_a_folder_is_replaced_loses_nothing(tmp_path, step):
    """Three renames, one more under which the old folder is removed, and its removal."""
    target = folder(tmp_path / "place" / "target", "old")
    folder(tmp_path / "finished", "new")
    done = subprocess.run([sys.executable, "-c", KILLED, str(step)], cwd=tmp_path)
    assert done.returncode == (9 if step < 5 else 0)
    assert target.exists() == (step != 2)  # between the two renames
    recover_folder(target)
    assert (target / "file").read_text() == ("old" if step < 3 else "new")
    assert list(target.parent.iterdir()) == [target]
    replace_folder(folder(tmp_path / "again", "newer"), target)
    assert (target / "file").read_text() == "newer"
    assert list(target.parent.iterdir()) == [target]


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


CHILD = "from kadanoff.runtime.executor import die_with_dvc; import time; die_with_dvc(); time.sleep({})"


STAY, BECOME = "{}; exit $?", "exec {}"  # what shells do with the only command


def runner(shell, seconds):
    """A program that runs a stage as DVC does; it may well be called something else."""
    command = shell.format(f"{sys.executable} -c {shlex.quote(CHILD.format(seconds))}")
    return (
        "import os, subprocess, sys\n"
        f"process = subprocess.Popen(['/bin/sh', '-c', {command!r}], env={{**os.environ, 'DVC_STAGE': 'x'}})\n"
        "sys.exit(process.wait())"
    )


def children(process):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = psutil.Process(process.pid).children(recursive=True)
        if len(found) == 2 and "die_with_dvc" in str(found[1].cmdline()):
            return found
        time.sleep(0.05)
    raise AssertionError("the stage did not start")


@pytest.mark.parametrize("victim", ["runner", "shell"])
def test_a_stage_ends_with_what_ran_it_and_says_so(victim):
    with subprocess.Popen([sys.executable, "-c", runner(STAY, 60)], stderr=subprocess.PIPE, text=True) as process:
        shell, stage = children(process)
        time.sleep(1.5)
        assert stage.is_running()  # as long as its runner
        (process if victim == "runner" else shell).kill()
        assert process.stderr.read().startswith("killed: what ran this stage has ended. Repeat the command")
    psutil.wait_procs([stage], timeout=10)
    assert not _alive(stage.pid)


def test_a_stage_that_was_adopted_ends_and_says_so():
    orphan = f"sleep 1; exec {sys.executable} -c {shlex.quote(CHILD.format(60))}"
    parent = f"import subprocess; subprocess.Popen(['/bin/sh', '-c', {orphan!r}], stderr=2)"
    command, environment = [sys.executable, "-c", parent], os.environ | {"DVC_STAGE": "x"}
    finished = subprocess.run(
        command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True, timeout=30
    )
    assert finished.stderr.startswith("killed: what ran this stage has ended.")


def _alive(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
