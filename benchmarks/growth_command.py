"""One command `grow`, measured from inside a process of its own, and the parts of its cost."""

import resource
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from kadanoff.commands.grow import TALLEST, Job, enlargement_of, grow, reader, seed_of
from kadanoff.data.store import create_lattice, open_dataset
from kadanoff.inverse import bands
from kadanoff.inverse.growth import Enlargement, Read, Rows, around, enlarge, refined
from kadanoff.montecarlo.rng import stream_key
from kadanoff.spins.exact import T_C

BANDS = 3  # that the parts are measured on


def command(job: Job, target: Path, below: Path | None, started: float) -> dict[str, Any]:
    """Grow `target` in this fresh process, and measure what it takes.

    Parameters
    ----------
    job, target
        Of `kadanoff.commands.grow.grow`, which runs as the command does.
    below
        The dataset that was grown to the level before; None for the first level.
    started
        When the process was asked for, by `time.time`.

    Returns
    -------
    dict
        `seconds` of `grow` alone, `start_seconds` that a fresh process and the loading of machine code take before it,
        `processor_seconds` and `setup_seconds` (the network's tables) in it, both of the processor, `peak_bytes` of
        memory, `bytes` on disk, and `parts`: `parts_of` the last level.

    Raises
    ------
    KadanoffError
        As `grow`.
    """
    before = time.time()
    way, seed = enlargement_of(job), seed_of(job)  # `grow` does it again: no part of the start
    between = time.time()
    enlarge(way, np.ascontiguousarray(seed[: bands.MULTIPLE, : bands.MULTIPLE]), 1)
    start = before - started + time.time() - between
    del way  # nor of the memory
    wall, processor = time.perf_counter(), time.process_time()
    grow(job, target)
    found: dict[str, Any] = {
        "seconds": time.perf_counter() - wall,
        "start_seconds": start,
        "processor_seconds": time.process_time() - processor,
        "peak_bytes": peak_bytes(),
        "bytes": sum(path.stat().st_size for path in target.rglob("*") if path.is_file()),
    }
    processor = time.process_time()
    way = enlargement_of(job)
    found["setup_seconds"] = time.process_time() - processor
    read = around(seed) if below is None else reader(open_dataset(below).spins)
    return found | {"parts": parts_of(way, read, job.size, target.with_name("parts.zarr"))}


def peak_bytes() -> int:
    """The most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # in Linux's `ru_maxrss` a fresh process has the memory of the one that started it
        (line,) = [line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:")]
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def swept(way: Enlargement, drawn: Rows, first: int, side: int) -> bands.Words:
    """Drawn rows int8 (rows, side), from row `first` of the lattice on, after the sweeps; their halo is invalid."""
    words = bands.words_of(len(drawn), side)
    bands.gather(drawn, words, 0, first & 1)
    key, thresholds = stream_key(way.seed, "bench"), bands.thresholds(float(T_C))
    bands.advance(words, side, first % side, side, key, thresholds, way.sweeps)
    return words


def parts_of(way: Enlargement, read: Read, side: int, scratch: Path) -> dict[str, float]:
    """What one enlargement to `side` costs, by the bands that `grow` takes, on one thread.

    Returns
    -------
    dict
        Nanoseconds of the processor a fine spin for `generator` (all that draws the blocks), `refinement` (words,
        sweeps, and bytes again), `compression` (shards written to a store at `scratch`, which is removed) and `reading`
        (of the coarse rows).
    """
    array = create_lattice(scratch, side)
    assert array.shards is not None  # `create_lattice` gave it some
    shard = array.shards[2]
    step = shard * max(1, TALLEST // shard)
    # not those at the edges: the last may be lower
    firsts = range(0, side, step)[1:-1] or range(1)
    clock, spins = _Clock(), 0
    for number in range(BANDS):
        first = firsts[number % len(firsts)]
        band = range(first, first + min(step, side))
        _one_band(way, read, side, band, array, clock)
        spins += len(band) * side
    shutil.rmtree(scratch)
    seconds = clock.seconds
    seconds["generator"] -= seconds["reading"] + seconds["sweeps"]
    seconds["refinement"] += seconds.pop("sweeps")
    return {name: 1e9 * seconds[name] / spins for name in ("generator", "refinement", "compression", "reading")}


def _one_band(way: Enlargement, read: Read, side: int, band: range, array: zarr.Array, clock: "_Clock") -> None:
    def reading(first: int, end: int) -> Rows:
        with clock.of("reading"):
            return read(first, end)

    with clock.of("generator"):  # and what is subtracted from it afterwards
        words = refined(way, reading, 1, side // way.block, band)
    spins = np.empty((len(band), side), np.int8)
    with clock.of("refinement"):
        bands.scatter(words, 0, band.start & 1, spins)
    halo = bands.halo(way.sweeps)
    drawn = around(spins)(-halo, len(band) + halo)
    with clock.of("sweeps"):
        swept(way, drawn, band.start - halo, side)
    assert array.shards is not None
    shard = array.shards[2]
    with clock.of("compression"):
        for start in range(0, len(band), shard):
            rows = spins[start : start + shard]
            array[0, 0, band.start + start : band.start + start + len(rows)] = rows


class _Clock:
    """Seconds of the processor, of all threads of this process: the store compresses in some of its own."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.seconds[name] += time.process_time() - start
