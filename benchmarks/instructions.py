"""`python -m benchmarks.instructions`: the samplers compiled for smaller instruction sets, which most people have.

Each is measured in a process of its own, in turn, for which Numba compiles as for a processor that has no more
(NUMBA_CPU_NAME). The spins are the same.
"""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
from llvmlite.binding import get_host_cpu_features

from benchmarks.timing import slope_ns
from kadanoff.errors import KadanoffError
from kadanoff.montecarlo.samplers import SAMPLERS
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C

SIZE, ROUNDS = 1024, 3
SWEEPS = {"metropolis": (20, 120), "swendsen_wang": (4, 24)}
SETS = {"SSE2": ("x86-64", "sse2"), "AVX2": ("haswell", "avx2"), "AVX-512": ("", "avx512vl")}
"""Name, Numba's processor (this one, if it has all), and the feature that this machine needs to emulate it."""


def own(size: int = SIZE) -> dict[str, str | float]:
    """Sites per nanosecond and core of each sampler as this process compiles, and the MD5 of the spins."""
    lattice, key = Lattice(size, size), np.uint64(1)
    start = 2 * np.random.default_rng(0).integers(0, 2, (1, size, size), np.int8) - 1
    found: dict[str, str | float] = {}
    digest = hashlib.md5(usedforsecurity=False)
    for sampler, counts in SWEEPS.items():
        spins = start.copy()
        SAMPLERS[sampler](spins, lattice, T_C, 0.0, key, 0, 0, 50)
        digest.update(spins.data)

        def run(sweeps: int, sampler: str = sampler, spins: np.ndarray = spins) -> None:
            SAMPLERS[sampler](spins, lattice, T_C, 0.0, key, 0, 0, sweeps)

        found[sampler] = 1 / slope_ns(run, *counts, size**2)
    return found | {"md5": digest.hexdigest()}


def measure(size: int = SIZE, rounds: int = ROUNDS) -> list[dict[str, str | float]]:
    """`own` by instruction set, the best of some rounds: those that this machine can emulate.

    KadanoffError if the spins differ.
    """
    host = get_host_cpu_features()
    sets = {name: cpu for name, (cpu, feature) in SETS.items() if host.get(feature)} or {"native": ""}
    found = [{name: _in_process(cpu, size) for name, cpu in sets.items()} for _ in range(rounds)]
    if len({result["md5"] for results in found for result in results.values()}) > 1:
        raise KadanoffError("the spins depend on the instruction set; please report it.")
    return [
        {"instructions": name} | {sampler: max(results[name][sampler] for results in found) for sampler in SWEEPS}
        for name in sets
    ]


def _in_process(cpu: str, size: int) -> dict:
    environment = os.environ | ({"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""} if cpu else {})
    command = [sys.executable, "-m", "benchmarks.instructions", str(size)]
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)


if __name__ == "__main__":
    print(json.dumps(own(int(sys.argv[1])) if len(sys.argv) > 1 else measure(), indent=2))
