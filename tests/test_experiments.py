"""DVC's experiments and its run-cache as MLflow shows them: one store, one run for every execution, and no other."""

import hashlib
import time

import pytest
from mlflow.entities import ViewType
from project import Project, copy_project, shrink

from kadanoff.project.tracking import sync
from kadanoff.project.tracking.store import experiment_id, open_store

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
        project.run("kadanoff", "runs", "sync")
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
    client = open_store(project.folder)
    experiment = experiment_id(client, project.folder, "coarsen")
    found = client.search_runs([experiment], run_view_type=ViewType.ALL)
    assert len({run.info.run_name for run in found}) == len(found), "a second run of the same name"
    assert {run.info.status for run in found} == {"FINISHED"}
    return {run.info.run_name: run.info.run_id for run in found}


def weights(project: Project, path: str = WEIGHTS) -> str:
    return hashlib.md5((project.folder / path).read_bytes()).hexdigest()


def set_rate(project: Project, rate: float) -> None:
    params = project.params()
    params["coarsen"]["variants"]["exact"]["learning_rate"] = rate
    project.write_params(params)


NAMES = ("exact", "exact (plain)", "exact (aside)", "exact (queued)")


def test_every_experiment_is_a_run_of_the_same_store_with_its_name(project):
    assert sorted(runs(project)) == sorted(NAMES)
    client = open_store(project.folder)
    for name, run_id in runs(project).items():
        experiment = client.get_run(run_id).data.tags.get("dvc_experiment")
        assert experiment == (None if name == "exact" else name[7:-1])
    assert not list((project.folder / ".dvc/tmp/exps").rglob("mlflow.db"))


def test_a_result_from_the_run_cache_makes_no_second_run(project):
    before = runs(project)
    sync(project.folder)
    for rate in (0.02, 0.03):  # those of `plain`, which ran here, and of `aside`, which ran in a copy
        set_rate(project, rate)
        assert f"Stage '{STAGE}' is cached - skipping run" in project.run("dvc", "repro", STAGE)
        assert not sync(project.folder).imported
    project.run("git", "checkout", "-q", "params.yaml")
    assert f"Stage '{STAGE}' is cached - skipping run" in project.run("dvc", "repro", STAGE)
    assert not sync(project.folder).imported
    output = project.run("dvc", "exp", "run", "-n", "again", "-S", f"{RATE}=0.03", STAGE)
    assert "is cached - skipping run" in output
    assert not sync(project.folder).imported
    assert runs(project) == before


def test_an_applied_experiment_and_a_branch_of_one_make_no_second_run(project):
    before = runs(project)
    project.run("dvc", "exp", "apply", "queued")
    assert not sync(project.folder).imported
    project.run("git", "checkout", "-qf", "main")
    project.run("dvc", "exp", "branch", "plain", "promising")
    project.run("git", "checkout", "-q", "promising")
    assert not sync(project.folder).imported
    assert runs(project) == before


def test_the_commands_in_its_description_restore_exactly_that_result(project):
    here = weights(project)
    project.run("git", "checkout", "-qB", "kept", "main")
    project.run("dvc", "exp", "apply", "plain")
    project.commit("a better rate")
    expected = weights(project)
    sync(project.folder)
    text = open_store(project.folder).get_run(runs(project)["exact (plain)"]).data.tags["mlflow.note.content"]
    find = next(line for line in text.splitlines() if "git log" in line).split("`")[1]
    [commit] = project.run("bash", "-c", find.replace("log", "log --format=%h")).split()
    [restore] = [line for line in text.splitlines() if f"dvc get . {WEIGHTS}" in line]
    project.run("git", "checkout", "-qf", "main")
    project.run("dvc", "checkout", "-q", "--force", STAGE)
    project.run("bash", "-c", f"{restore.replace('COMMIT', commit)} -o restored.safetensors")
    assert weights(project, "restored.safetensors") == expected != here == weights(project)


def test_a_published_result_is_restored_without_the_commit_that_made_it(project):
    here = weights(project)
    project.run("dvc", "exp", "apply", "queued")
    expected = weights(project)
    project.run("kadanoff", "runs", "publish", "gpu")
    project.run("git", "checkout", "-q", "dvc.lock", "params.yaml", "reports/coarsen")
    project.run("dvc", "checkout", "-q")
    project.commit("published")
    lock = "reports/published/gpu/dvc.lock"
    project.run("bash", "-c", f"cp {lock} dvc.lock && dvc checkout {WEIGHTS}; git checkout dvc.lock")
    assert weights(project) == expected != here


def test_a_second_execution_is_a_second_run(project):
    before = set(runs(project).values())
    project.run("dvc", "repro", "--force", "--single-item", STAGE)
    report = sync(project.folder)
    assert report.imported + report.updated == ["coarsen/exact"], report  # updated if it took over ten seconds
    client = open_store(project.folder)
    found = client.search_runs([experiment_id(client, project.folder, "coarsen")])
    assert before < {run.info.run_id for run in found}
    assert len(found) == len(before) + 1
