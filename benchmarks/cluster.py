"""`python -m benchmarks.cluster`: what a Dask cluster on this machine costs beside threads of one command.

One and two workers of one thread, beside as many threads: a dataset, and a lattice that grows, by each in turn; and
tasks that do nothing. Ratios of one run are what can be compared.
"""

import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from llvmlite.binding import get_host_cpu_name

from kadanoff.commands.grow import Job, grow
from kadanoff.data.description import Dataset
from kadanoff.models import weights_file
from kadanoff.montecarlo.runner import run
from kadanoff.runtime.cluster import on_cluster
from kadanoff.validation import validated

REPEATS = 3
TASKS = 1000
DATASET = {"size": 256, "temperatures": [2.1, 2.269185314213022], "samples": 256, "sampler": "metropolis", "seed": 1}
DATASET |= {"sweeps": 1000, "allow_unequilibrated": True}
GROWN = 13824  # side


@contextmanager
def workers(folder: Path, count: int) -> Iterator[str]:
    """Scheduler file of a cluster of so many workers of one thread."""
    file = folder / f"scheduler{count}.json"
    common = ["--no-dashboard", "--host", "127.0.0.1", "--scheduler-file", str(file)]
    found = [_start("scheduler", "--port", "0", *common)]
    while not file.exists():
        time.sleep(0.1)
    found += [_start("worker", "--nthreads", "1", *common) for _ in range(count)]
    try:
        yield str(file)
    finally:
        for process in reversed(found):
            process.terminate()
            process.wait()


def _start(program: str, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def dataset(work: Path, threads: int) -> None:
    """Simulate the dataset, from nothing."""
    run(validated(Dataset, DATASET, "benchmark"), "benchmark", threads, work)


def lattice(work: Path, threads: int) -> None:
    """Grow the lattice, from nothing."""
    with weights_file("upsample/kernel") as model:
        grow(Job(model, None, 0, GROWN, 8, 0, device="cpu"), work / "large.zarr", threads)


def seconds(what: Callable[[Path, int], None], folder: Path, cluster: str | None, threads: int) -> float:
    """Wall-clock seconds of one of these, here or on the cluster."""
    if cluster:
        os.environ["KADANOFF_CLUSTER"] = cluster
    try:
        with tempfile.TemporaryDirectory(dir=folder) as work:
            began = time.perf_counter()
            what(Path(work), threads)
            return time.perf_counter() - began
    finally:
        os.environ.pop("KADANOFF_CLUSTER", None)


def task_milliseconds(cluster: str) -> float:
    """What a task costs beside its work."""
    on_cluster("warm up", math.sqrt, [(1.0,)] * 10, cluster)
    began = time.perf_counter()
    on_cluster("tasks", math.sqrt, [(1.0,)] * TASKS, cluster)
    return 1000 * (time.perf_counter() - began) / TASKS


def main() -> None:
    """Print one JSON object."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for count in (1, 2):
            with workers(folder, count) as cluster:
                row: dict[str, float] = {"workers": count, "ms_per_task": task_milliseconds(cluster)}
                for what in (dataset, lattice):
                    pairs = [[seconds(what, folder, place, count) for place in (None, cluster)] for _ in range(REPEATS)]
                    here, there = np.min(pairs, axis=0)
                    row |= {f"{what.__name__}_here_s": here, f"{what.__name__}_cluster_s": there}
            rows.append(row)
    machine = f"{platform.machine()}, {get_host_cpu_name()}"
    print(json.dumps({"machine": machine, "dataset": DATASET, "grown": GROWN, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
