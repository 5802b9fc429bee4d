"""`kadanoff bench`: the samplers beside PyPI's peapods and isingenerator, measured in the same run.

Every figure is the best of a few runs, at T_c. Ratios between rows of one run are what can be compared: a
machine's speed drifts from one run to the next.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from kadanoff.errors import KadanoffError
from kadanoff.lab.files import disk_errors, write_atomic
from kadanoff.montecarlo.samplers import GROUP, SAMPLERS
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C

SIZE = 1024
RUNS = 5
PEERS = ("peapods", "isingenerator")


def best_ns(run: Callable[[], object], updates: int) -> float:
    """Least time of some runs, in ns for each of `updates`."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times) * 1e9 / updates


def kadanoff_ns(sampler: str, size: int, chains: int, sweeps: int, threads: int) -> float:
    """Ns per site and sweep of `chains` chains in each of some threads, packing and unpacking included."""
    lattice, key, advance = Lattice(size, size), np.uint64(1), SAMPLERS[sampler]
    spins = np.ones((threads, chains, size, size), np.int8)

    def chain(thread: int, first: int = 50, count: int = sweeps) -> None:
        advance(spins[thread], lattice, T_C, 0.0, key, GROUP * thread, first, count)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda thread: chain(thread, 0, 50), range(threads)))  # away from the start
        return best_ns(lambda: list(pool.map(chain, range(threads))), threads * chains * size**2 * sweeps)


def peapods_ns() -> dict[str, float]:
    """Metropolis and Swendsen-Wang of peapods, one replica a core.

    It has no sweep of clusters alone: with `cluster_update_interval=1` each Metropolis sweep is followed by one, so
    its price is a difference of two timings.
    """
    from peapods import Ising

    replicas, sweeps = os.cpu_count() or 1, 10
    model = Ising((SIZE, SIZE), temperatures=np.array([T_C], np.float32), n_replicas=replicas)
    options: dict[str, Any] = {"sweep_mode": "metropolis", "cluster_mode": "sw", "warmup_ratio": 0.0}
    model.sample(30, cluster_update_interval=1, **options)
    updates = replicas * SIZE**2 * sweeps
    both = best_ns(lambda: model.sample(sweeps, cluster_update_interval=1, **options), updates)
    alone = best_ns(lambda: model.sample(sweeps, cluster_update_interval=None, **options), updates)
    return {"metropolis": alone, "swendsen_wang": both - alone}


def isingenerator_ns() -> float:
    """Metropolis of isingenerator, one thread."""
    from isingenerator import Lattice as Peer

    sweeps = 10
    peer = Peer(SIZE, SIZE)
    return best_ns(lambda: peer.sweep(T_C, sweeps), SIZE**2 * sweeps)


def bench(output: Path | None = None) -> None:
    """Measure, print a table, and write JSON to `output` if it is given.

    Raises
    ------
    KadanoffError
        If the peers are not installed.
    """
    if missing := [name for name in PEERS if find_spec(name) is None]:
        raise KadanoffError(f"{', '.join(missing)} is not installed; `make bench` installs the peers and measures.")
    rows = _measure(os.cpu_count() or 1)
    show(rows)
    if output is not None:
        versions = {name: version(name) for name in ("kadanoff", "numba", *PEERS)}
        content = {"machine": platform.processor() or platform.machine(), "versions": versions, "rows": rows}
        with disk_errors(output):
            write_atomic(output, json.dumps(content, indent=2) + "\n")
