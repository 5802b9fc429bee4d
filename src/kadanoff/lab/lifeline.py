"""A stage dies with the `dvc` that started it, however that ended."""

import os
import signal
import threading
import time

import psutil

POLL_SECONDS = 0.5


def die_with_dvc() -> None:
    """Inside a DVC stage, end this process at once when the DVC process above it has ended.

    A killed parent sends no signal, and asking the kernel for one works on Linux only; so a thread looks.
    """
    if "DVC_STAGE" not in os.environ:
        return
    above = psutil.Process().parents()[:2]
    watched = next((above[: depth + 1] for depth, process in enumerate(above) if _is_dvc(process)), above[:1])
    if watched and watched[0].pid == 1 and not _is_dvc(watched[0]):
        _end()  # adopted by init: DVC has ended already
    threading.Thread(target=_watch, args=(watched,), name="lifeline", daemon=True).start()


def _is_dvc(process: psutil.Process) -> bool:
    try:
        return any("dvc" in os.path.basename(word) for word in process.cmdline()[:3])
    except psutil.Error:
        return False


def _watch(processes: list[psutil.Process]) -> None:
    while all(process.is_running() for process in processes):
        time.sleep(POLL_SECONDS)
    _end()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
