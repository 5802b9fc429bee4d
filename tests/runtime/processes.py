"""Processes as a user starts them: a simulation, a Dask cluster, a stage."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import yaml

SIMULATE = """
import hashlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have begun the tests without it
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
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def until(condition, seconds=240):
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


def begun(folder):
    return any(folder.glob("chains-*.npz"))


LONG = {"size": 64, "temperatures": [2.0, 2.3], "samples": 96, "sweeps": 40000, "sampler": "metropolis"}


def write_project(project, **changes):
    """A project of one dataset, which takes some seconds."""
    (project / "dvc.yaml").touch()
    dataset = LONG | {"allow_unequilibrated": True} | changes
    (project / "params.yaml").write_text(yaml.safe_dump({"datasets": {"long": {"long": dataset}}}))
    return project


def run_stage(project, *options):
    """A process of `kadanoff run`."""
    command = [sys.executable, "-c", "from kadanoff.cli import main; main()", "run", "simulate@long", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
    return subprocess.Popen(command, cwd=project, env=environment | {"MLFLOW_TRACKING_URI": ""}, **pipes)


def finish(process, code=0):
    """What a process prints, and its errors."""
    output, errors = process.communicate(timeout=300)
    assert process.returncode == code, errors
    return output + errors


def files(project):
    """The bytes of its dataset."""
    store = project / "data" / "long"
    return {path.relative_to(store): path.read_bytes() for path in store.rglob("*") if path.is_file()}
