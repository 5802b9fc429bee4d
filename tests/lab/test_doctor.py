"""The doctor: every trap is found and repaired, nothing is removed unasked, and a healthy project is quiet."""

import json
import os
import shutil
import subprocess
import sys

import psutil
import pytest
from filelock import FileLock
from typer.testing import CliRunner

from kadanoff.cli import app
from kadanoff.errors import KadanoffError
from kadanoff.lab.doctor import Finding, Repair, examine, treat

# DVC's affair
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning")

PIPELINE = """
stages:
  simulate:
    foreach: ${datasets}
    do:
      cmd: mkdir data/${key}.zarr reports/${key} && echo ${item.size} | tee data/${key}.zarr/c > reports/${key}/run.txt
      params:
        - datasets.${key}
        - lattice.sites
      outs:
        - data/${key}.zarr
      plots:
        - reports/${key}: {cache: false}
"""
PARAMS = "datasets:\n  a: {size: 4}\n  b: {size: 6}\nlattice: {sites: square}\n"
CONFIG = "[core]\n    analytics = false\n    remote = shared\n['remote \"shared\"']\n    url = ../remote\n"
CONFIG += "    verify = true\n"


def git(folder, *arguments):
    user = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "-C", str(folder), *user, *arguments], check=True, capture_output=True)


def dvc(folder, *arguments):
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project with results, in Git, in the cache and in the remote; it is made once, and copied."""
    folder = tmp_path_factory.mktemp("made")
    git(folder, "init", "-q")
    for name in ("data", "reports"):
        (folder / name).mkdir()
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "params.yaml").write_text(PARAMS)
    (folder / ".gitignore").write_text("/data/\n/remote/\n/mlflow.db*\n/mlartifacts/\n")
    dvc(folder, "init", "-q")
    (folder / ".dvc/config").write_text(CONFIG)
    dvc(folder, "repro", "-q")
    dvc(folder, "push", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "results")
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    folder = tmp_path / "project"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    for name in ("DVC_ROOT", "DVC_EXP_NAME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def tracked(project, empty_store):
    """The same with an MLflow store."""
    shutil.copy(empty_store, project)
    return project


def findings(project, resumable=lambda root: {}):
    return list(examine(project, resumable))


def sentence(project, **options):
    [finding] = findings(project, **options)
    return finding.what


def cure(project, **options):
    """Repair the one finding, and all that it uncovers; nothing may be left."""
    [finding] = findings(project, **options)
    assert treat(lambda: examine(project, **{"resumable": lambda root: {}} | options), lambda _: True, print) == []
    return finding


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


def test_without_a_terminal_nothing_is_removed_unless_told(checkpoint, project):
    (project / ".dvc/tmp/rwlock").write_text("")  # a repair that removes nothing
    code, output = doctor()
    assert (code, checkpoint.exists()) == (1, True)
    assert "1 left; `kadanoff doctor --yes` repairs what it can." in output
    assert "repaired: moves it aside" in output
    assert doctor("--yes")[0] == 0
    assert not checkpoint.exists()
    assert doctor() == (0, "")


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
        ("dvc.yaml", "stages: [\n", "DVC cannot read the project"),
        ("params.yaml", "datasets: 3\n", "DVC cannot read the project"),
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


# ---- outputs -------------------------------------------------------------------------------------------------------


def test_a_record_that_dvc_removed_comes_back_from_git(project):
    shutil.rmtree(project / "reports/a")
    (project / "reports/b/run.txt").write_text("edited\n")
    finding = cure(project)
    assert "1 record missing, reports/a" in finding.what
    assert (project / "reports/a/run.txt").read_text() == "4\n"
    assert (project / "reports/b/run.txt").read_text() == "edited\n"


def test_a_record_that_git_never_had_is_made_again(project):
    git(project, "rm", "-rq", "reports/a")
    assert sentence(project) == "reports/a is missing, and Git has no copy: make it again with `dvc repro`."


def test_an_output_that_dvc_removed_comes_back_from_the_cache(project):
    shutil.rmtree(project / "data/a.zarr")
    finding = cure(project)
    assert finding.what.startswith("data/a.zarr is in DVC's cache and not in place")
    assert (project / "data/a.zarr/c").read_text() == "4\n"


def test_what_a_running_stage_is_making_is_not_missed(project):
    shutil.rmtree(project / "data/a.zarr")
    shutil.rmtree(project / "reports/a")
    paths = [str(project / "data/a.zarr"), str(project / "reports/a")]
    owner = {"pid": os.getpid(), "cmd": "dvc repro"}
    (project / ".dvc/tmp/rwlock").write_text(json.dumps({"write": dict.fromkeys(paths, owner)}))
    assert findings(project) == []


def test_outputs_of_a_fresh_clone_are_fetched(project):
    for name in ("data", ".dvc/cache"):
        shutil.rmtree(project / name)
    finding = cure(project)
    assert finding.what.startswith("data/a.zarr, data/b.zarr are neither in place nor in DVC's cache")
    assert (project / "data/b.zarr/c").read_text() == "6\n"


def test_wrong_bytes_in_the_remote_are_not_put_in_place(project):
    for name in ("data", ".dvc/cache"):
        shutil.rmtree(project / name)
    path = objects(project, "remote/files/md5")["4\n"]
    path.chmod(0o644)
    path.write_text("5\n")
    lines = []
    [left] = treat(lambda: examine(project, lambda root: {}), lambda _: True, lines.append)
    assert "the remote has other bytes than the md5 says for data/a.zarr" in " ".join(lines)
    assert "data/a.zarr" in left.what
    assert not (project / "data/a.zarr").exists()


def test_what_was_changed_here_is_kept_when_its_version_is_lost(project):
    shutil.rmtree(project / ".dvc/cache")
    (project / "data/a.zarr/c").write_text("mine\n")
    [left] = treat(lambda: examine(project, lambda root: {}), lambda _: True, print)
    assert left.what.startswith("data/a.zarr differs from dvc.lock, and DVC's cache lacks the version named there")
    assert (project / "data/a.zarr/c").read_text() == "mine\n"


def test_what_the_remote_lacks_too_is_told(project):
    for name in ("data", ".dvc/cache", "remote"):
        shutil.rmtree(project / name)
    assert "the remote 'shared' lacks objects of data/a.zarr, data/b.zarr" in sentence(project)


def test_without_a_remote_outputs_are_made_again(project):
    for name in ("data", ".dvc/cache"):
        shutil.rmtree(project / name)
    (project / ".dvc/config").write_text("[core]\n    analytics = false\n")
    assert "there is no remote: `dvc repro` makes them again" in sentence(project)


def test_a_cache_that_was_emptied_is_filled_from_the_workspace(project):
    shutil.rmtree(project / ".dvc/cache")
    shutil.rmtree(project / "remote")
    first, second = findings(project)
    assert first.what.startswith("DVC's cache lacks objects of data/a.zarr, which is in place")
    assert treat(lambda: examine(project, lambda root: {}), lambda _: True, print) == []
    assert second.repair is not None
    assert sum(path.is_file() for path in (project / ".dvc/cache/files").rglob("*")) == 4


def objects(project, folder=".dvc/cache/files/md5"):
    return {path.read_text(): path for path in (project / folder).rglob("*") if path.is_file()}


def test_a_damaged_object_is_set_aside_and_fetched_again(project):
    path = objects(project)["4\n"]
    path.chmod(0o644)
    path.write_text("5\n")
    path.chmod(0o444)  # DVC trusts this mode, and sees nothing
    shutil.rmtree(project / "data/a.zarr")
    finding = cure(project)
    assert "1 object of data/a.zarr in DVC's cache does not match the md5" in finding.what
    assert finding.repair.removes
    assert (project / "data/a.zarr/c").read_text() == "4\n"
    [aside] = path.parent.glob("*.broken-*")
    assert aside.read_text() == "5\n"


def test_a_damaged_listing_is_set_aside_and_work_in_place_is_kept(project):
    listing = next(path for path in objects(project).values() if path.name.endswith(".dir"))
    listing.chmod(0o644)
    listing.write_text("[")
    (project / "data/a.zarr/c").write_text("mine\n")
    (project / "data/b.zarr/c").write_text("mine\n")
    treat(lambda: examine(project, lambda root: {}), lambda _: True, print)
    assert {(project / f"data/{name}.zarr/c").read_text() for name in "ab"} == {"mine\n"}


def test_a_hash_that_is_no_hash_names_no_path(project):
    lock = project / "dvc.lock"
    text = lock.read_text()
    md5 = next(path for path in objects(project).values() if path.name.endswith(".dir"))
    oid = f"{md5.parent.name}{md5.name}"
    lock.write_text(text.replace(oid, "../../../../secret"))
    (project / "secret").write_text("x")
    assert "data/b.zarr has the hash '../../../../secret', which is no md5" in sentence(project)
    treat(lambda: examine(project, lambda root: {}), lambda _: True, print)
    assert (project / "secret").read_text() == "x"


@pytest.mark.parametrize("name", ["config", "config.local"])
def test_a_remote_that_does_not_check_is_told_to(project, name):
    config = project / ".dvc" / name
    text = CONFIG.replace("    verify = true\n", "")
    (project / ".dvc/config").unlink()
    config.write_text(text)
    finding = cure(project)
    assert finding.what.startswith("the DVC remote 'shared' lacks `verify = true`")
    assert "verify = True" in config.read_text()
    assert [path.name for path in (project / ".dvc").glob("config*")] == [name]


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
    assert treat(lambda: examine(project, lambda root: live), lambda _: True, print) == []
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
