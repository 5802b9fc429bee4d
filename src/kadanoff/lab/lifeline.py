"""A stage dies with the `dvc` that started it, however that ended."""

import os
import signal
import threading
import time

import psutil

POLL_SECONDS = 0.5


def die_with_dvc() -> None:
    """Inside a DVC stage, watch the shell and the DVC process above it."""
    if "DVC_STAGE" in os.environ:
        watch_ancestors(2)


def watch_ancestors(generations: int) -> None:
    """End this process at once when its parent (2: or the parent's parent) has ended.

    A killed parent sends no signal, and asking the kernel for one works on Linux only; so a thread looks.
    """
    ancestors = psutil.Process().parents()[:generations]
    threading.Thread(target=_watch, args=(ancestors,), name="lifeline", daemon=True).start()


def _watch(ancestors: list[psutil.Process]) -> None:
    while all(process.is_running() for process in ancestors):
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
