"""Work on a Dask cluster and in parts: real processes, killed in the middle, and the bytes of one machine."""

import math
import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest
from processes import Cluster, begun, end, files, finish, run_stage, simulate, spins, until, write_project

from kadanoff.commands.grow import Job, grow
from kadanoff.errors import KadanoffError
from kadanoff.models import weights_file
from kadanoff.runtime import cluster
from kadanoff.runtime.executor import PartEnded, in_processes, part

pytestmark = pytest.mark.slow


@pytest.fixture
def dask(tmp_path):
    """A cluster of two workers."""
    found = Cluster(tmp_path).add_worker().add_worker()
    yield found
    found.close()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The spins as one machine simulates them."""
    return spins(simulate(tmp_path_factory.mktemp("here") / "work"))


def test_a_cluster_gives_the_bytes_of_one_machine_though_a_worker_is_killed(dask, tmp_path, expected):
    process = simulate(tmp_path / "work", KADANOFF_CLUSTER=str(dask.file))
    until(lambda: begun(tmp_path / "work"))
    dask.computing()[0].kill()
    assert spins(process) == expected


def test_a_worker_that_hangs_is_given_up(tmp_path, expected, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL", "5s")
    dask = Cluster(tmp_path).add_worker().add_worker()
    try:
        process = simulate(tmp_path / "work", KADANOFF_CLUSTER=str(dask.file))
        until(lambda: begun(tmp_path / "work"))
        nanny = psutil.Process(dask.workers[0].pid)
        for each in (nanny, *nanny.children(recursive=True)):  # a machine that the network has lost
            each.suspend()
        assert spins(process) == expected
    finally:
        dask.close()


def test_workers_at_their_time_limit_are_replaced(dask, tmp_path, expected):
    process = simulate(tmp_path / "work", KADANOFF_CLUSTER=str(dask.file))
    until(lambda: begun(tmp_path / "work"))
    for worker in dask.workers:
        os.killpg(worker.pid, signal.SIGTERM)
        worker.communicate(timeout=60)
    dask.add_worker()
    assert spins(process) == expected


def test_a_full_disk_is_a_sentence_and_what_was_done_is_kept(dask, tmp_path, expected):
    process = simulate(tmp_path / "work", KADANOFF_CLUSTER=str(dask.file))
    until(lambda: any((tmp_path / "work" / "tasks").glob("*.pickle")))
    for worker in dask.computing():
        worker.rlimit(psutil.RLIMIT_FSIZE, (1000, psutil.RLIM_INFINITY))  # as if the disk took no more
    assert "it resumes from its last checkpoint" in process.communicate(timeout=60)[1]
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "work" / "tasks").iterdir()}
    assert 0 < len(kept) < 4
    until(lambda: len(dask.computing()) == 2)
    for worker in dask.computing():
        worker.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    assert spins(simulate(tmp_path / "work", KADANOFF_CLUSTER=str(dask.file))) == expected
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_coordinator_that_is_killed_resumes(dask, tmp_path, expected):
    process = simulate(tmp_path / "work", KADANOFF_CLUSTER=str(dask.file))
    until(lambda: begun(tmp_path / "work"))
    end(process)
    assert spins(simulate(tmp_path / "work", KADANOFF_CLUSTER=str(dask.file))) == expected


def test_parts_give_the_bytes_of_one_machine(tmp_path, expected):
    for number in ("2/3", "1/3", "3/3"):
        process = simulate(tmp_path / "work", KADANOFF_PART=number)
        assert "PartEnded: simulate test:" in process.communicate(timeout=300)[1]
    assert spins(simulate(tmp_path / "work")) == expected


def negated(number):
    return -number


def test_the_error_of_a_task_arrives_as_it_is(dask):
    assert cluster.on_cluster("roots", math.sqrt, [(9,), (4,)], str(dask.file)) == [3, 2]
    with pytest.raises(ValueError, match="math domain error"):
        cluster.on_cluster("roots", math.sqrt, [(9,), (-1,)], str(dask.file))


def test_what_a_worker_does_not_have_is_a_sentence(dask):
    with pytest.raises(KadanoffError, match="start them in the environment of this command"):
        cluster.on_cluster("negate", negated, [(1,)], str(dask.file))  # of this file, which they cannot import


def test_workers_round_as_the_command_does(dask, monkeypatch):
    for setting in ("COMPATIBLE", None, "COMPATIBLE"):
        if setting:
            monkeypatch.setenv("MKL_CBWR", setting)
        else:
            monkeypatch.delenv("MKL_CBWR")
        assert cluster.on_cluster("getenv", os.getenv, [("MKL_CBWR",)] * 4, str(dask.file)) == [setting] * 4


def test_a_lattice_grows_on_a_cluster_with_the_bytes_of_one_machine(dask, tmp_path, monkeypatch):
    with weights_file("upsample/kernel") as model:
        job = Job(model, None, 0, 4608, 2, 7)
        grow(job, tmp_path / "here.zarr", rows=512)
        monkeypatch.setenv("KADANOFF_CLUSTER", str(dask.file))
        errors = []

        def run():
            try:
                grow(job, tmp_path / "there.zarr", rows=512)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        until(lambda: any(tmp_path.glob(".there.zarr.partial/*/4608.zarr/spins/c/0/0/*/0")))
        dask.computing()[0].kill()
        thread.join(300)
        assert errors == []
        assert tree(tmp_path / "there.zarr") == tree(tmp_path / "here.zarr")


def tree(folder):
    """The bytes of all files."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_workers_of_other_code_are_refused(dask, monkeypatch):
    monkeypatch.setattr(cluster, "code", lambda: "0.0-other")
    with pytest.raises(KadanoffError, match=r"a worker has other code .* than this command \(0.0-other\)"):
        cluster.on_cluster("roots", math.sqrt, [(1,)], str(dask.file))


def test_other_libraries_are_other_code(monkeypatch):
    assert f"numpy {np.__version__}" in cluster.code()
    monkeypatch.setattr(cluster, "version", {"numba": "1", "numpy": "2", "scipy": "3", "torch": "4.0+cpu"}.get)
    assert cluster.code.__wrapped__().endswith(", numba 1, numpy 2, scipy 3, torch 4.0")


def test_a_scheduler_of_another_dask_is_refused(dask, monkeypatch):
    monkeypatch.setattr(cluster, "version", lambda name: "2000.1.0")
    with pytest.raises(KadanoffError, match=r"is of Dask 20\d\d.*, and this command of 2000.1.0; start it"):
        cluster.on_cluster("roots", math.sqrt, [(1,)], str(dask.file))


def test_a_scheduler_file_that_never_comes_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "FILE_SECONDS", 0.5)
    with pytest.raises(KadanoffError, match=r"no Dask scheduler answers \(no such file"):
        cluster.on_cluster("roots", math.sqrt, [(1,)], str(tmp_path / "scheduler.json"))


def test_a_worker_with_several_threads_is_refused(tmp_path):
    dask = Cluster(tmp_path).add_worker("2")
    try:
        until(dask.computing)
        time.sleep(3)
        with pytest.raises(KadanoffError, match="start it with `--nthreads 1`"):
            cluster.on_cluster("roots", math.sqrt, [(1,)], str(dask.file))
    finally:
        dask.close()


def test_no_scheduler_is_a_sentence(monkeypatch):
    monkeypatch.setattr(cluster, "SECONDS", 1)
    with pytest.raises(KadanoffError, match="where no Dask scheduler answers"):
        cluster.on_cluster("roots", math.sqrt, [(1,)], "tcp://127.0.0.1:9")


def test_after_ctrl_c_nothing_runs_on(dask, tmp_path):
    process = simulate(tmp_path / "work", KADANOFF_CLUSTER=str(dask.file))
    until(lambda: begun(tmp_path / "work"))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    until(lambda: all(child.cpu_percent(0.5) < 20 for child in dask.computing()))


# ---- parts -----------------------------------------------------------------------------------------------------------


def test_results_of_parts_are_gathered(tmp_path, monkeypatch):
    tasks = [(number,) for number in (5, 6, 7)]
    for number in ("1/2", "2/2"):
        monkeypatch.setenv("KADANOFF_PART", number)
        with pytest.raises(PartEnded, match="of 3 tasks are done"):
            in_processes("negate", negated, tasks, tmp_path)
    monkeypatch.delenv("KADANOFF_PART")
    monkeypatch.setattr("kadanoff.runtime.executor._here", lambda *_, workers: 1 / 0)  # nothing is computed again
    assert in_processes("negate", negated, tasks, tmp_path) == [-5, -6, -7]


@pytest.mark.parametrize("text", ["5/4", "0/4", "1", "a/b", "1/2/3"])
def test_what_is_no_part_is_refused(text, monkeypatch):
    monkeypatch.setenv("KADANOFF_PART", text)
    with pytest.raises(KadanoffError, match="it must be I/N"):
        part()


# ---- a time limit, and parts of the command line --------------------------------------------------------------------


@pytest.fixture(scope="module")
def expected_files(tmp_path_factory):
    project = write_project(tmp_path_factory.mktemp("undisturbed"))
    finish(run_stage(project))
    return files(project)


def test_at_its_time_limit_a_stage_saves_and_the_command_resumes(tmp_path, expected_files):
    project = write_project(tmp_path)
    process = run_stage(project)
    until(lambda: any(project.glob(".checkpoints/simulate-long-*/spins.npy")))
    time.sleep(1.0)
    process.terminate()
    assert "ended by SIGTERM. Repeat the command" in finish(process, 143)
    kept = list(project.glob(".checkpoints/simulate-long-*/chains-*.npz"))
    assert kept, "the first save without SIGTERM is after ten seconds"
    finish(run_stage(project))
    assert files(project) == expected_files


def test_parts_of_other_parameters_are_not_mixed(tmp_path):
    small = {"temperatures": [2.0], "sweeps": 500}
    assert "of 2 tasks are done" in finish(run_stage(write_project(tmp_path, **small, seed=1), "--part", "1/2"))
    assert "1 of 2 tasks are done" in finish(run_stage(write_project(tmp_path, **small, seed=2), "--part", "2/2"))
    finish(run_stage(tmp_path))
    (tmp_path / "other").mkdir()
    finish(run_stage(write_project(tmp_path / "other", **small, seed=2)))
    assert files(tmp_path) == files(tmp_path / "other")
