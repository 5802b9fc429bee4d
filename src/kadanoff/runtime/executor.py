"""Independent work on several cores, in threads or processes; a stage and its processes end with what ran them."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any

import psutil

from kadanoff.errors import KadanoffError
from kadanoff.runtime.progress import progress

POLL_SECONDS = 0.5
ENDED = "what ran this stage has ended"


def threads(workers: int | None, held: int, memory: int) -> int:
    """How many threads to start: `workers`, one a core if None; fewer if `memory` bytes hold fewer, of `held` each."""
    return max(1, min(workers or os.cpu_count() or 1, memory // held))


def in_processes(what: str, function: Callable[..., Any], tasks: Sequence[tuple]) -> list[Any]:
    """[function(*task) for task in tasks], computed by one process a core; the first error ends all.

    `function` must be importable, and its arguments picklable. KadanoffError if a process is killed from outside.
    """
    # fresh processes: a forked one inherits the locks of PyTorch's threads
    workers = min(len(tasks), os.cpu_count() or 1)
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_follow_parent)
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
    _end(ENDED)


def _end(reason: str) -> None:
    """Say why, then end this process at once, whatever its other threads are doing."""
    with suppress(OSError, ValueError):  # a terminal that is gone
        print(
            f"killed: {reason}. Repeat the command: it resumes from its last checkpoint.", file=sys.stderr, flush=True
        )
    os.kill(os.getpid(), signal.SIGKILL)
