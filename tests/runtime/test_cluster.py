"""Work on a Dask cluster and in parts: real processes, killed in the middle, and the bytes of one machine."""

import math
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from kadanoff.errors import KadanoffError
from kadanoff.runtime import cluster
from kadanoff.runtime.executor import PartEnded, in_processes, part

pytestmark = pytest.mark.slow

SIMULATE = """
import hashlib, sys
from pathlib import Path
from kadanoff.data.description import Dataset
from kadanoff.montecarlo import runner
from kadanoff.validation import validated
values = {"size": 64, "temperatures": [2.0, 2.3], "samples": 96, "seed": 3, "sweeps": 40000, "sampler": "metropolis"}
values |= {"allow_unequilibrated": True}
folder = Path(sys.argv[1])
folder.mkdir(exist_ok=True)
spins = runner.run(validated(Dataset, values, "test"), "test", None, folder).spins
print("SPINS", hashlib.md5(spins.tobytes()).hexdigest())
"""


def simulate(folder, **environment):
    """A process that simulates in `folder`, in a group of its own."""
    command = [sys.executable, "-c", SIMULATE, str(folder)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    return subprocess.Popen(command, env=os.environ | environment, **options)


def spins(process):
    """md5 of what a process has simulated."""
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output.split("SPINS ")[1].strip()


def end(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Cluster:
    """A scheduler and its workers, as a user starts them."""

    def __init__(self, folder):
        self.file = folder / "scheduler.json"
        self.workers = []
        self.scheduler = self._start("scheduler", "--port", "0", "--host", "127.0.0.1")
        until(self.file.exists)

    def _start(self, *command):
        command = [sys.executable, "-m", "distributed.cli.dask_" + command[0], *command[1:], "--no-dashboard"]
        options = {"start_new_session": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([*command, "--scheduler-file", str(self.file)], **options)

    def add_worker(self, threads="1"):
        self.workers.append(self._start("worker", "--nthreads", threads, "--host", "127.0.0.1"))
        return self

    def computing(self):
        """Processes of the workers, without the nannies that watch them."""
        nannies = [psutil.Process(worker.pid) for worker in self.workers]
        return [child for nanny in nannies for child in nanny.children() if "spawn_main" in " ".join(child.cmdline())]

    def close(self):
        for process in (*self.workers, self.scheduler):
            end(process)


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


def begun(folder):
    return any(folder.glob("chains-*.npz"))


def test_a_cluster_gives_the_bytes_of_one_machine_though_a_worker_is_killed(dask, tmp_path, expected):
    process = simulate(tmp_path / "work", KADANOFF_CLUSTER=str(dask.file))
    until(lambda: begun(tmp_path / "work"))
    dask.computing()[0].kill()
    assert spins(process) == expected


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


def test_workers_of_other_code_are_refused(dask, monkeypatch):
    monkeypatch.setattr(cluster, "code", lambda: "0.0-other")
    with pytest.raises(KadanoffError, match=r"a worker has other code .* than this command \(0.0-other\)"):
        cluster.on_cluster("roots", math.sqrt, [(1,)], str(dask.file))


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
    monkeypatch.setattr("kadanoff.runtime.executor._here", None)  # nothing is computed again
    assert in_processes("negate", negated, tasks, tmp_path) == [-5, -6, -7]


@pytest.mark.parametrize("text", ["5/4", "0/4", "1", "a/b", "1/2/3"])
def test_what_is_no_part_is_refused(text, monkeypatch):
    monkeypatch.setenv("KADANOFF_PART", text)
    with pytest.raises(KadanoffError, match="it must be I/N"):
        part()
