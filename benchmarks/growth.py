"""What a grown spin costs, beside the published PyTorch method.

`steps` are the draw and the sweeps of one enlargement in memory, ours and the published one. `commands` are whole
commands `kadanoff grow`, out of core, each in a process of its own, with the shares of their parts. All of it is
measured in the same run.
"""

import io
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import published
from benchmarks.growth_command import command, swept
from benchmarks.published import fastest
from kadanoff.commands.grow import Job, enlargement_of, seed_of
from kadanoff.data.store import open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.inverse import bands
from kadanoff.inverse.growth import Enlargement, Rows, around, enlarge, refined
from kadanoff.learning.checkpoints import read_recipe
from kadanoff.runtime.executor import in_processes
from kadanoff.runtime.files import working_folder
from kadanoff.runtime.output import require_room

MODEL, SOURCE = "models/upsample/kernel.safetensors", "data/grow/grow512.zarr"
LARGEST = 13824
SWEEPS = 35
PARTS = ("generator", "refinement", "compression", "reading")


def sizes(root: Path, largest: int) -> list[int]:
    """Sides of the lattices that the project's seeds grow to, up to `largest`; none without seeds or network.

    Raises
    ------
    KadanoffError
        If `largest` is no such side, or the disk has too little room.
    """
    if not ((root / MODEL).is_file() and (root / SOURCE).is_dir()):
        return []
    block = int(read_recipe(root / MODEL).arguments["block"])
    found = [block * open_dataset(root / SOURCE).spins.shape[-1]]
    while found[-1] < largest:
        found.append(block * found[-1])
    if found[-1] != largest:
        raise KadanoffError(
            f"largest is {largest}, but the seeds of {SOURCE} grow by {block} at a time; take one of "
            f"{', '.join(str(found[0] * block**level) for level in range(5))}."
        )
    needed = 2 * largest**2 / 8  # a bit a spin, and the smaller ones beside it
    require_room(root, needed, f"to grow up to {largest} takes", "take a smaller --largest")
    return found


def growth(root: Path, sides: list[int]) -> dict[str, Any]:
    """Steps and commands, of lattices of these sides; some minutes for 13824.

    Returns
    -------
    dict
        `sweeps`, `cores`, `steps` (rows of `benchmarks.published.measure`) and `commands` (rows of `summary`).

    Raises
    ------
    KadanoffError
        If the seeds or the network are not what `kadanoff.commands.grow.grow` takes, or the disk refuses.
    """
    cores = os.cpu_count() or 1
    jobs = [Job(root / MODEL, root / SOURCE, 0, side, SWEEPS, 0) for side in sides]
    seed = seed_of(jobs[0])
    steps = own_steps(enlargement_of(jobs[0]), seed, cores) + published.measure(len(seed), SWEEPS, cores)
    commands: list[dict[str, Any]] = []
    with working_folder("bench", "growth") as folder:
        for left in folder.iterdir():  # of a bench that was killed
            shutil.rmtree(left)
        below = None
        for level, job in enumerate(jobs, 1):
            target = folder / f"{job.size}.zarr"
            commands.append(summary(_apart(job, target, below), sides[:level], cores))
            below = target
    return {"sweeps": SWEEPS, "cores": cores, "steps": steps, "commands": commands}


def _apart(job: Job, target: Path, below: Path | None) -> dict[str, Any]:
    with redirect_stderr(io.StringIO()):  # the bar of the command itself is the one to see
        return in_processes(f"grow {job.size}", command, [(job, target, below, time.time())])[0]


def summary(found: dict[str, Any], sides: list[int], cores: int) -> dict[str, Any]:
    """The row of one command that grew through these sides: what a spin of the last costs, and the shares of its parts.

    `ns_per_spin` is seconds times cores, `processor_ns_per_spin` the processor's time in them. `parts` are nanoseconds
    of the processor a spin of one enlargement, on one thread. `shares` are fractions of the processor's time and add
    up to 1: the parts, for the spins of all levels; `set-up`, the tables of the network; `rest`, such as the energy of
    the last lattice, and what the parts take more or less among other threads than alone.
    """
    size, spins = sides[-1], sum(side**2 for side in sides)
    total = found["processor_seconds"]
    seconds = {name: found["parts"][name] * 1e-9 * spins for name in PARTS} | {"set-up": found["setup_seconds"]}
    seconds["rest"] = total - sum(seconds.values())
    return {
        "size": size,
        "cores": cores,
        "seconds": found["seconds"],
        "start_seconds": found["start_seconds"],
        "ns_per_spin": 1e9 * found["seconds"] * cores / size**2,
        "processor_ns_per_spin": 1e9 * total / size**2,
        "peak_bytes": found["peak_bytes"],
        "bytes_per_spin": found["bytes"] / size**2,
        "parts": found["parts"],
        "shares": {name: value / total for name, value in seconds.items()},
    }


def own_steps(way: Enlargement, coarse: Rows, cores: int) -> list[dict[str, Any]]:
    """Rows as of `benchmarks.published.measure`, for one core and all: one torus in as many bands as cores."""
    side, rows = way.block * len(coarse), []
    fine, alone = enlarge(way, coarse, 1), replace(way, sweeps=0)

    def draw(band: range) -> object:
        return refined(alone, around(coarse), 1, len(coarse), band)

    def sweep(band: range) -> object:
        return _swept_band(way, fine, band)

    for threads in sorted({1, cores}):
        for step, run, ns in (("generator", draw, 1e9), ("refinement", sweep, 1e9 / way.sweeps)):
            seconds = _seconds_of(run, side, threads)
            rows.append(published.row("kadanoff", "cpu", threads, step, side, seconds * ns / side**2))
    return rows


def _seconds_of(run: Callable[[range], object], side: int, threads: int) -> float:
    step = -(-side // threads)
    cut = [range(first, min(first + step, side)) for first in range(0, side, step)]
    with ThreadPoolExecutor(threads) as pool:
        return fastest(lambda: list(pool.map(run, cut)))


def _swept_band(way: Enlargement, fine: Rows, band: range) -> Rows:
    """The rows of a band after the sweeps, from bytes to bytes."""
    halo, found = bands.halo(way.sweeps), np.empty((len(band), fine.shape[1]), np.int8)
    words = swept(way, around(fine)(band.start - halo, band.stop + halo), band.start - halo, len(fine))
    bands.scatter(words, halo, (band.start - halo) & 1, found)
    return found


def enlargement_ns(growth: dict[str, Any], program: str, cores: int, device: str = "cpu") -> float:
    """Nanoseconds times cores a spin, of the draw and all sweeps together."""
    ns = {
        step["step"]: step["ns"]
        for step in growth["steps"]
        if (step["program"], step["cores"], step["device"]) == (program, cores, device)
    }
    return cores * (ns["generator"] + growth["sweeps"] * ns["refinement"])


def show(growth: dict[str, Any]) -> None:
    """Print the steps, with the published method's time over ours on as many cores, and the commands."""
    ours = {(row["step"], row["cores"]): row["ns"] for row in growth["steps"] if row["program"] == "kadanoff"}
    grid = Table("program", "step", "L", "device", "cores", "ns a spin (and sweep)", "published / ours")
    for row in sorted(growth["steps"], key=lambda row: (row["step"], row["device"], row["cores"], row["ns"])):
        ns, own = row["ns"], ours[row["step"], row["cores"] if row["device"] == "cpu" else growth["cores"]]
        ratio = f"{ns / own:.2g}" if row["program"] != "kadanoff" else ""
        names = row["program"], row["step"], f"{row['size']}", row["device"], f"{row['cores']}"
        grid.add_row(*names, f"{ns:.3g}", ratio)
    Console().print(grid)
    grid = Table(
        "L",
        "s",
        "s to start",
        "ns x cores a spin",
        "processor",
        "peak GB",
        "bits a spin",
        title=f"kadanoff grow, {SWEEPS} sweeps a stage",
    )
    for row in growth["commands"]:
        numbers = (row[name] for name in ("seconds", "start_seconds", "ns_per_spin", "processor_ns_per_spin"))
        memory, bits = f"{row['peak_bytes'] / 1e9:.2f}", f"{8 * row['bytes_per_spin']:.2f}"
        grid.add_row(f"{row['size']}", *(f"{number:.3g}" for number in numbers), memory, bits)
    Console().print(grid)
    shares = list(growth["commands"][0]["shares"])
    grid = Table("L", *shares, title="% of the processor's time")
    for row in growth["commands"]:
        grid.add_row(f"{row['size']}", *(f"{100 * row['shares'][name]:.1f}" for name in shares))
    Console().print(grid)
