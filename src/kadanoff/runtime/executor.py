"""Independent work on several cores: threads that the memory holds, or processes, none of which outlives its stage."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any

from kadanoff.errors import KadanoffError
from kadanoff.runtime.parent import end
from kadanoff.runtime.progress import progress


def threads(workers: int | None, held: int, memory: int) -> int:
    """How many threads to start: `workers`, one a core if None; fewer where `memory` bytes hold fewer, of `held` each.

    >>> threads(8, held=300, memory=1000)
    3
    """
    return max(1, min(workers or os.cpu_count() or 1, memory // held))


def in_processes(what: str, function: Callable[..., Any], tasks: Sequence[tuple]) -> list[Any]:
    """[function(*task) for task in tasks], computed by one process a core; the first error ends all.

    `function` must be importable, and its arguments picklable.

    Raises
    ------
    KadanoffError
        If a process is killed from outside.
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
            f"{what}: a process was killed, perhaps for want of memory. Repeat the command; it goes on from there."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end when the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), name="lifeline", daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    end("the process that started this one has ended")
