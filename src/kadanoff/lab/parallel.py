"""Independent work on several cores inside one stage: one process each, none of which outlives the stage."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

from kadanoff.lab.lifeline import watch_ancestors
from kadanoff.lab.progress import progress


def in_processes(what: str, function: Callable[..., Any], tasks: Sequence[tuple]) -> list[Any]:
    """[function(*task) for task in tasks], computed by one process a core; the first error ends all.

    `function` must be importable, and its arguments picklable.
    """
    # fresh processes: a forked one inherits the locks of PyTorch's threads
    pool = ProcessPoolExecutor(
        min(len(tasks), os.cpu_count() or 1), get_context("spawn"), initializer=watch_ancestors, initargs=(1,)
    )
    try:
        with progress(what, len(tasks)) as advance:
            futures = [pool.submit(function, *task) for task in tasks]
            for future in as_completed(futures):
                future.result()
                advance()
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)
