"""DVC's experiments and its run-cache as MLflow shows them: one store, one run for every execution, and no other."""

import hashlib
import time

import pytest
import yaml
from mlflow.entities import ViewType
from project import Project, copy_project, shrink

from kadanoff.project.published import git
from kadanoff.project.tracking import sync
from kadanoff.project.tracking.store import open_store
from kadanoff.project.tracking.versions import runs_of
from kadanoff.project.tracking.where import where

pytestmark = pytest.mark.slow

STAGE = "coarsen@exact"
WEIGHTS = "models/coarsen/exact.safetensors"
RATE = "coarsen.variants.exact.learning_rate"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """One dataset and one network, committed; then a plain, a temporary and a queued experiment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DVC_ROOT", "DVC_EXP_NAME", "MLFLOW_TRACKING_URI"):
            patch.delenv(name, raising=False)
        project = copy_project(tmp_path_factory.mktemp("experiments"))
        params = shrink(project.params())
        params["datasets"] = {"coarsen16": params["datasets"]["coarsen16"]}
        params["coarsen"]["variants"] = {"exact": params["coarsen"]["variants"]["exact"]}
        params["superres"]["variants"], params["superres_extrapolate"], params["upsample"]["variants"] = {}, {}, {}
        params["classify"]["models"] = {}
        project.write_params(params)
        project.run("git", "config", "user.name", "test")
        project.run("git", "config", "user.email", "test@localhost")
        project.commit("tiny parameters")
        project.run("git", "branch", "-M", "main")
        project.run("dvc", "repro", STAGE)
        project.commit("results")
        project.run("dvc", "exp", "run", "--temp", "-n", "aside", "-S", f"{RATE}=0.03", STAGE)
        project.run("dvc", "exp", "run", "--queue", "-n", "queued", "-S", f"{RATE}=0.04", STAGE)
        project.run("dvc", "queue", "start")
        project.run("dvc", "exp", "run", "-n", "plain", "-S", f"{RATE}=0.02", STAGE)
        wait_for_queue(project)
        yield project


@pytest.fixture(autouse=True)
def reset(project):
    """Every test begins at the committed results."""
    project.run("git", "checkout", "-qf", "main")
    project.run("dvc", "checkout", "-q", "--force", STAGE)


def wait_for_queue(project: Project) -> None:
    for _ in range(120):
        status = project.run("dvc", "queue", "status")
        if "Success" in status and "1 active" not in status:
            return
        assert "Failed" not in status, status
        time.sleep(0.5)
    pytest.fail(f"the queue does not end:\n{status}")


def runs(project: Project) -> dict[str, str]:
    """Ids of all runs of the stage by name."""
    store = open_store(project.folder)
    found = store.client.search_runs([store.experiment("coarsen")], run_view_type=ViewType.ALL)
    assert len({run.info.run_name for run in found}) == len(found), "a second run of the same name"
    assert {run.info.status for run in found} == {"FINISHED"}
    return {run.info.run_name: run.info.run_id for run in found}


def run_of(project: Project, rev: str) -> str | None:
    [found] = [pinned.run for pinned in runs_of(project.folder, rev) if pinned.title == "coarsen/exact"]
    return found and found.info.run_id


def locked_weights(project: Project, rev: str) -> str:
    commit = git.resolve(project.folder, rev)
    lock = yaml.safe_load(project.run("git", "show", f"{commit}:dvc.lock"))["stages"]
    return next(out["md5"] for out in lock[STAGE]["outs"] if out["path"] == WEIGHTS)


def weights(project: Project, path: str = WEIGHTS) -> str:
    return hashlib.md5((project.folder / path).read_bytes()).hexdigest()


def set_rate(project: Project, rate: float) -> None:
    params = project.params()
    params["coarsen"]["variants"]["exact"]["learning_rate"] = rate
    project.write_params(params)


NAMES = ("exact", "exact (plain)", "exact (aside)", "exact (queued)")


def test_every_experiment_is_a_run_of_the_same_store_with_its_name(project):
    assert sorted(runs(project)) == sorted(NAMES)
    store = open_store(project.folder)
    for name, run_id in runs(project).items():
        experiment = store.client.get_run(run_id).data.tags.get("dvc_experiment")
        assert experiment == (None if name == "exact" else name[7:-1])
    assert not list((project.folder / ".dvc/tmp/exps").rglob("mlflow.db"))


def test_an_experiment_and_its_run_name_each_other_before_any_sync(project):
    for rev, name in (("HEAD", "exact"), ("plain", "exact (plain)"), ("aside", "exact (aside)")):
        assert run_of(project, rev) == runs(project)[name]
    found = where(project.folder, runs(project)["exact (queued)"])
    assert [holding.version.names for holding in found.own] == ["experiment queued"]


def test_a_result_from_the_run_cache_makes_no_second_run(project):
    before = runs(project)
    sync(project.folder)
    for rate in (0.02, 0.03):  # those of `plain`, which ran here, and of `aside`, which ran in a copy
        set_rate(project, rate)
        assert f"Stage '{STAGE}' is cached - skipping run" in project.run("dvc", "repro", STAGE)
        assert not sync(project.folder).imported
    project.run("git", "checkout", "-q", "params.yaml")
    assert f"Stage '{STAGE}' is cached - skipping run" in project.run("dvc", "repro", STAGE)
    assert weights(project) == locked_weights(project, "HEAD")
    assert not sync(project.folder).imported
    output = project.run("dvc", "exp", "run", "-n", "again", "-S", f"{RATE}=0.03", STAGE)
    assert "is cached - skipping run" in output
    assert not sync(project.folder).imported
    assert runs(project) == before
    assert run_of(project, "again") == before["exact (aside)"]


def test_an_applied_experiment_and_a_branch_of_one_make_no_second_run(project):
    before = runs(project)
    project.run("dvc", "exp", "apply", "queued")
    assert not sync(project.folder).imported
    project.run("git", "checkout", "-qf", "main")
    project.run("dvc", "exp", "branch", "plain", "promising")
    project.run("git", "checkout", "-q", "promising")
    assert not sync(project.folder).imported
    assert runs(project) == before
    assert run_of(project, "promising") == before["exact (plain)"]
    names = where(project.folder, before["exact (plain)"]).own[0].version.names
    assert sorted(names.split(", ")) == ["experiment plain", "promising"]


def test_the_commands_restore_exactly_that_result(project):
    run_id = runs(project)["exact (aside)"]
    expected, here = locked_weights(project, "aside"), locked_weights(project, "main")
    assert expected != here
    set_rate(project, 0.5)  # changed since, and not committed
    restore, copy = (line.partition(":")[2].strip() for line in where(project.folder, run_id).restore)
    project.run("bash", "-c", copy)
    assert weights(project, copy.split()[-1]) == expected
    assert weights(project) == here
    project.run("bash", "-c", restore)
    assert weights(project) == expected
    assert "up to date" in project.run("dvc", "status", STAGE)
    project.run("git", "checkout", "-q", "main")
    project.run("git", "stash", "pop")
    project.run("dvc", "checkout", STAGE)
    assert weights(project) == here
    assert project.params()["coarsen"]["variants"]["exact"]["learning_rate"] == 0.5


def test_a_published_result_is_restored_without_the_commit_that_made_it(project):
    run_id, expected = runs(project)["exact (queued)"], locked_weights(project, "queued")
    project.run("dvc", "exp", "apply", "queued")
    project.run("kadanoff", "runs", "publish", "gpu")
    project.run("git", "checkout", "-q", "dvc.lock", "params.yaml", "reports/coarsen")
    project.run("dvc", "checkout", "-q")
    project.commit("published")
    project.run("dvc", "exp", "remove", "queued")
    listing = [line.split() for line in project.run("kadanoff", "runs", "of", "HEAD").splitlines()]
    assert ["coarsen/exact", "[gpu]", run_id] in [row[:3] for row in listing]
    output = project.run("kadanoff", "runs", "where", run_id[:10])
    [restore] = [line.partition(":")[2] for line in output.splitlines() if line.startswith("restore:")]
    assert "kadanoff pull data/coarsen16.zarr models/coarsen/exact.safetensors" in restore
    project.run("bash", "-c", restore)
    assert weights(project) == expected
    assert project.run("git", "status", "--porcelain") == ""


def test_a_second_execution_is_a_second_run(project):
    before = set(runs(project).values())
    project.run("dvc", "repro", "--force", "--single-item", STAGE)
    assert not sync(project.folder).imported
    store = open_store(project.folder)
    after = {run.info.run_id for run in store.client.search_runs([store.experiment("coarsen")])}
    assert len(after - before) == 1
    assert before < after
