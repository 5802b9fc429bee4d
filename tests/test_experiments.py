"""DVC's experiments and its run-cache as MLflow shows them: one store, one run for every execution, and no other."""

import hashlib
import time

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from project import Project, copy_project, shrink

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")]  # by MLflow

STAGE = "coarsen@exact"
WEIGHTS = "models/coarsen/exact.safetensors"
RATE = "coarsen.variants.exact.learning_rate"
NAMES = ["exact", "exact (aside)", "exact (plain)", "exact (queued)"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """One dataset and one network, committed; then a plain, a temporary and a queued experiment."""
    project = copy_project(tmp_path_factory.mktemp("experiments"))
    params = shrink(project.params())
    params["datasets"] = {"coarsen": {"coarsen16": params["datasets"]["coarsen"]["coarsen16"]}}
    params["coarsen"]["variants"] = {"exact": params["coarsen"]["variants"]["exact"]}
    params["superres"]["variants"], params["superres_extrapolate"], params["upsample"]["variants"] = {}, {}, {}
    params["classify"]["models"], params["block_rule"]["variants"] = {}, {}
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
    return project


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


def runs(project: Project) -> list[str]:
    """Names of all runs of the stage, after a sync."""
    project.run("kadanoff", "runs", "sync")
    client = MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("coarsen").experiment_id
    found = client.search_runs([experiment], run_view_type=ViewType.ALL)
    assert {run.info.status for run in found} == {"FINISHED"}
    return sorted(run.info.run_name for run in found)


def weights(project: Project, path: str = WEIGHTS) -> str:
    return hashlib.md5((project.folder / path).read_bytes()).hexdigest()


def set_rate(project: Project, rate: float) -> None:
    params = project.params()
    params["coarsen"]["variants"]["exact"]["learning_rate"] = rate
    project.write_params(params)


def test_every_experiment_is_a_run_of_the_same_store_with_its_name(project):
    assert runs(project) == NAMES
    assert not list((project.folder / ".dvc/tmp/exps").rglob("mlflow.db"))


def test_dvc_compares_experiments_in_the_width_of_a_terminal(project):
    shown = project.run("env", "COLUMNS=120", "dvc", "exp", "show", "--only-changed", "--no-pager").splitlines()
    assert all(any(f"[{name}]" in line for line in shown) for name in ("aside", "queued", "plain"))
    assert max(map(len, shown)) <= 120


def test_a_result_from_the_run_cache_makes_no_second_run(project):
    for rate in (0.02, 0.03):  # those of `plain`, which ran here, and of `aside`, which ran in a copy
        set_rate(project, rate)
        assert f"Stage '{STAGE}' is cached - skipping run" in project.run("dvc", "repro", STAGE)
        assert runs(project) == NAMES


def test_an_applied_experiment_and_a_branch_of_one_make_no_second_run(project):
    project.run("dvc", "exp", "apply", "queued")
    assert runs(project) == NAMES
    project.run("git", "checkout", "-qf", "main")
    project.run("dvc", "exp", "branch", "plain", "promising")
    project.run("git", "checkout", "-q", "promising")
    assert runs(project) == NAMES


def test_a_hash_leads_to_its_commit_and_to_the_file(project):
    """As docs/sharing.md says."""
    here = weights(project)
    project.run("dvc", "exp", "apply", "aside")
    expected = weights(project)
    assert expected != here
    project.run("git", "checkout", "-qf", "main")
    commit = project.run("git", "log", "--all", "--format=%H", "-S", expected, "--", "dvc.lock").split()[-1]
    project.run("dvc", "get", ".", WEIGHTS, "--rev", commit, "-o", "old.safetensors")
    assert weights(project, "old.safetensors") == expected


def test_a_second_execution_is_a_second_run(project):
    project.run("dvc", "repro", "--force", "--single-item", STAGE)
    assert runs(project) == sorted(["exact", *NAMES])
