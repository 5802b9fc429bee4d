"""Independent work on several cores, in threads or processes; a stage and its processes end with what ran them."""

import os
import pickle
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, TypeVar

import psutil

from kadanoff.errors import KadanoffError, shown
from kadanoff.runtime.cluster import cluster, on_cluster
from kadanoff.runtime.files import disk_errors, write_atomic
from kadanoff.runtime.progress import progress

POLL_SECONDS = 0.5
GRACE_SECONDS = 10.0  # to save the chains of a stage whose dvc has ended
Item = TypeVar("Item")
ENDED = "what ran this stage has ended"


def threads(workers: int | None, held: int, memory: int) -> int:
    """How many threads to start: `workers`, one a core if None; fewer if `memory` bytes hold fewer, of `held` each."""
    return max(1, min(workers or os.cpu_count() or 1, memory // held))


def in_threads(what: str, function: Callable[..., Any], tasks: Sequence[tuple], workers: int) -> list[Any]:
    """[function(*task) for task in tasks], by threads of this process, or by the cluster as `in_processes`.

    For functions that leave Python's lock to others most of the time. The first error ends all.
    """
    if place := cluster():
        return on_cluster(what, function, tasks, place)
    found = []
    with ThreadPoolExecutor(workers) as pool, progress(what, len(tasks)) as advance:
        for value in pool.map(lambda task: function(*task), tasks):
            found.append(value)
            advance()
    return found


class PartEnded(Exception):
    """What this part of a stage could do is done; the message says what is left."""


def part() -> tuple[int, int] | None:
    """(number from 0, how many) if this command computes one part of a stage: `--part 1/4` sets KADANOFF_PART."""
    text = os.environ.get("KADANOFF_PART", "")
    if not text:
        return None
    match = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", text)
    if match is None or int(match[1]) > int(match[2]):
        raise KadanoffError(f"--part is {shown(text)}; it must be I/N, the part I = 1, ..., N of N parts: 2/8.")
    return int(match[1]) - 1, int(match[2])


def share(items: Sequence[Item]) -> Sequence[Item]:
    """Those of the items that this part computes; all of them if there are no parts."""
    number, count = part() or (0, 1)
    return items[number::count]


def in_processes(
    what: str,
    function: Callable[..., Any],
    tasks: Sequence[tuple],
    folder: Path | None = None,
    workers: int | None = None,
) -> list[Any]:
    """[function(*task) for task in tasks], by the cluster that KADANOFF_CLUSTER names, or `workers` processes.

    By default a process a core.

    `function` must be importable, its arguments picklable, and a task that is computed twice gives the same. The first
    error ends all. With a `folder`, what a task gave is kept there, and not computed again.

    Raises
    ------
    KadanoffError
        If a process is killed from outside, or the cluster does not answer.
    PartEnded
        If this command computes one part of a stage: its own is done.
    """
    compute = partial(on_cluster, place=place) if (place := cluster()) else partial(_here, workers=workers)
    if folder is None:
        return compute(what, function, tasks)
    files = [folder / f"{what}-{number}.pickle" for number in range(len(tasks))]
    pairs = [(file, *task) for file, task in zip(files, tasks, strict=True)]
    if todo := [pair for pair in share(pairs) if not pair[0].exists()]:
        compute(what, partial(_keep, function), todo)
    if part():
        done = sum(file.exists() for file in files)
        raise PartEnded(f"{what}: {done} of {len(tasks)} tasks are done. Without --part the command gathers them.")
    if not all(file.exists() for file in files):
        raise KadanoffError(
            f"{what}: what the workers computed is not in {folder}; they must see it under this path. Share it, then "
            "repeat the command."
        )
    return [pickle.loads(file.read_bytes()) for file in files]


def _keep(function: Callable[..., Any], file: Path, *task: Any) -> None:
    if not file.exists():  # a cluster computes again what a worker that vanished had done
        found = function(*task)
        with disk_errors(file):
            write_atomic(file, pickle.dumps(found))


def _here(what: str, function: Callable[..., Any], tasks: Sequence[tuple], workers: int | None) -> list[Any]:
    # fresh processes: a forked one inherits the locks of PyTorch's threads
    pool = ProcessPoolExecutor(
        min(len(tasks), workers or os.cpu_count() or 1), get_context("spawn"), initializer=_follow_parent
    )
    try:
        with progress(what, len(tasks)) as advance:
            futures = [pool.submit(function, *task) for task in tasks]
            for future in as_completed(futures):
                future.result()
                advance()
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise KadanoffError(
            f"{what}: a process was killed, perhaps for want of memory. Repeat the command; it resumes."
        ) from error
    except (KeyboardInterrupt, SystemExit):  # nobody waits for what runs, which has its checkpoints
        for child in active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end when the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), name="watch", daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    _end("the process that started this one has ended")


def die_with_dvc() -> None:
    """Inside a DVC stage, end this process when the one that ran the stage has ended: `dvc`, or a program that uses it.

    That is the nearest ancestor whose environment does not name the stage: DVC sets DVC_STAGE for the command, which a
    shell may stand between. A killed parent sends no signal, and asking the kernel for one works on Linux only; so a
    thread looks.
    """
    if "DVC_STAGE" not in os.environ:
        return
    command = psutil.Process()
    while (above := command.parent()) is not None and _stage_of(above) == os.environ["DVC_STAGE"]:
        command = above
    if above is None or os.getsid(above.pid) != os.getsid(0):
        _end(ENDED)  # a process that adopts orphans belongs to another session
    else:
        threading.Thread(target=_watch, args=(command, above.pid), name="watch", daemon=True).start()


def _stage_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("DVC_STAGE")
    except psutil.Error:  # of another user, or gone
        return None


def _watch(command: psutil.Process, runner: int) -> None:
    with suppress(psutil.Error):
        while command.ppid() == runner:
            time.sleep(POLL_SECONDS)
    _end(ENDED, GRACE_SECONDS)


def _end(reason: str, grace: float = 0.0) -> None:
    """Say why, then end this process, whatever its other threads are doing; after seconds of `grace` to save."""
    with suppress(OSError, ValueError):  # a terminal that is gone
        print(
            f"killed: {reason}. Repeat the command: it resumes from its last checkpoint.", file=sys.stderr, flush=True
        )
    if grace:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace)
    os.kill(os.getpid(), signal.SIGKILL)
