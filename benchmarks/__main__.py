"""`python -m benchmarks`: the samplers beside PyPI's peapods and isingenerator, measured in the same run.

Every figure is a slope between the best of a few short and of a few long runs, at T_c. Ratios between rows of one
run are what can be compared: a machine's speed drifts from one run to the next.
"""

import json
import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite.binding import get_host_cpu_name
from rich.console import Console
from rich.table import Table

from benchmarks import growth, growth_figure, instructions
from benchmarks.timing import Sweeps, slope_ns
from kadanoff.errors import KadanoffError
from kadanoff.montecarlo.samplers import GROUP, SAMPLERS
from kadanoff.runtime.files import disk_errors, project_root, write_atomic
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C

SIZE = 1024
SMALL = 64
PEERS = ("peapods", "isingenerator")


def kadanoff_sweeps(sampler: str, size: int, chains: int, threads: int) -> Sweeps:
    """Some chains in each of some threads of this process."""
    lattice, key, advance = Lattice(size, size), np.uint64(1), SAMPLERS[sampler]
    spins = 2 * np.random.default_rng(0).integers(0, 2, (threads, chains, size, size), np.int8) - 1
    pool = ThreadPoolExecutor(threads)

    def run(sweeps: int) -> None:
        def chain(thread: int) -> None:
            advance(spins[thread], lattice, T_C, 0.0, key, GROUP * thread, 0, sweeps)

        list(pool.map(chain, range(threads)))

    run(50)  # away from the start
    return run


def peapods_sweeps(replicas: int, clusters: bool) -> Sweeps:
    """Metropolis sweeps of peapods, each followed by a Swendsen-Wang update if there are `clusters`.

    It has no sweep of clusters alone. A warm-up only skips its measurements.
    """
    from peapods import Ising

    model = Ising((SIZE, SIZE), temperatures=np.array([T_C]), n_replicas=replicas)
    options: dict[str, Any] = {"sweep_mode": "metropolis", "warmup_ratio": 1.0, "sequential": replicas == 1}
    if clusters:
        options |= {"cluster_update_interval": 1, "cluster_mode": "sw"}

    def run(sweeps: int) -> None:
        with np.errstate(invalid="ignore"):  # 0/0 in its averages, as nothing was measured
            model.sample(sweeps, **options)

    return run


def isingenerator_sweeps() -> Sweeps:
    """Metropolis sweeps of isingenerator, one thread, and the one measurement that it insists on."""
    from isingenerator import Simulation

    simulation = Simulation(rows=SIZE, cols=SIZE, J=1.0, B=0.0, seed=1)
    return lambda sweeps: simulation.run_single_temperature(
        T_C, equilibration_sweeps=sweeps, measurement_blocks=1, sweeps_per_block=1, threads=1
    )


def _row(program: str, sampler: str, size: int, cores: int, ns: float) -> dict[str, Any]:
    return {"program": program, "sampler": sampler, "size": size, "cores": cores, "ns_per_site": ns}


def measure(cores: int) -> list[dict[str, Any]]:
    """One row for each program, sampler, lattice size and number of cores."""
    rows = []
    for sampler, few, many in (("metropolis", 20, 220), ("swendsen_wang", 5, 45)):
        for size, chains in ((SIZE, 1), (SMALL, GROUP)):
            for threads in sorted({1, cores}):
                run = kadanoff_sweeps(sampler, size, chains, threads)
                ns = slope_ns(run, few, many, threads * chains * size**2)
                rows.append(_row("kadanoff", sampler, size, threads, ns))
    rows.append(_row("isingenerator", "metropolis", SIZE, 1, slope_ns(isingenerator_sweeps(), 4, 24, SIZE**2)))
    for replicas in sorted({1, cores}):
        alone, both = (
            slope_ns(peapods_sweeps(replicas, clusters), 4, 24, replicas * SIZE**2) for clusters in (False, True)
        )
        rows.append(_row("peapods", "metropolis", SIZE, replicas, alone))
        rows.append(_row("peapods", "swendsen_wang", SIZE, replicas, both - alone))
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """Print the rows, with each peer's time over ours for the same sampler, size and cores."""
    ours = {(row["sampler"], row["size"], row["cores"]): row for row in rows if row["program"] == "kadanoff"}
    grid = Table("program", "sampler", "L", "cores", "ns/site/sweep", "flips/ns/core", "peer / ours")
    for row in sorted(rows, key=lambda row: (row["sampler"], row["size"], row["cores"], row["ns_per_site"])):
        ns, peer = row["ns_per_site"], row["program"] != "kadanoff"
        own = ours[row["sampler"], row["size"], row["cores"]]["ns_per_site"]
        flips = f"{1 / (ns * row['cores']):.2f}" if row["sampler"] == "metropolis" else ""
        numbers = f"{row['size']}", f"{row['cores']}", f"{ns:.3f}", flips, f"{ns / own:.1f}" if peer else ""
        grid.add_row(row["program"], row["sampler"], *numbers)
    Console().print(grid)


def show_instructions(rows: list[dict[str, Any]]) -> None:
    """Print the speed of one core by instruction set."""
    grid = Table("instructions", "metropolis, flips/ns", "swendsen_wang, sites/ns")
    for row in rows:
        grid.add_row(row["instructions"], f"{row['metropolis']:.2f}", f"{row['swendsen_wang']:.3f}")
    Console().print(grid)


def measure_all(output: Path | None = None, largest: int = growth.LARGEST) -> None:
    """Measure, print tables, and write JSON to `output` if it is given, and the figure `bench_growth.png` beside it.

    `largest` is the side of the largest lattice that is grown.

    Raises
    ------
    KadanoffError
        If the peers are not installed, nothing grows to `largest`, or `output` cannot be written.
    """
    if missing := [name for name in PEERS if find_spec(name) is None]:
        raise KadanoffError(f"{', '.join(missing)} is not installed; `make bench` installs the peers and measures.")
    sides = growth.sizes(project_root(), largest)
    rows = measure(os.cpu_count() or 1)
    show(rows)
    by_instructions = instructions.measure()
    show_instructions(by_instructions)
    grown = growth.growth(project_root(), sides) if sides else None
    if grown:
        growth.show(grown)
    if output is not None:
        versions = {name: version(name) for name in ("kadanoff", "numba", "torch", *PEERS)}
        machine = f"{platform.machine()}, {get_host_cpu_name()}"
        content = {"machine": machine, "versions": versions, "rows": rows} | {
            "instructions": by_instructions,
            "growth": grown,
        }
        with disk_errors(output):
            write_atomic(output, json.dumps(content, indent=2) + "\n")
        if grown:
            growth_figure.draw(grown, output.with_name("bench_growth.png"))


if __name__ == "__main__":
    import typer

    try:
        typer.run(measure_all)
    except KadanoffError as error:
        sys.exit(f"error: {error}")
