"""A stage dies with the `dvc` that started it, however that ended."""

import os
import signal
import threading
import time

import psutil

POLL_SECONDS = 0.5


def die_with_parent() -> None:
    """Inside a DVC stage, watch the shell and the DVC process above; when one is gone, end this process at once.

    A killed parent sends no signal, and asking the kernel for one works on Linux only; so a thread looks.
    """
    if "DVC_STAGE" not in os.environ:
        return
    ancestors = psutil.Process().parents()[:2]
    threading.Thread(target=_watch, args=(ancestors,), name="lifeline", daemon=True).start()


def _watch(ancestors: list[psutil.Process]) -> None:
    while all(process.is_running() for process in ancestors):
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
