"""A stage ends with the process that ran it, however that ended; it says so."""

import os
import signal
import sys
import threading
import time
from contextlib import suppress

import psutil

POLL_SECONDS = 0.5
ENDED = "what ran this stage has ended"


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
        end(ENDED)  # a process that adopts orphans belongs to another session
    else:
        threading.Thread(target=_watch, args=(command, above.pid), name="lifeline", daemon=True).start()


def _stage_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("DVC_STAGE")
    except psutil.Error:  # of another user, or gone
        return None


def _watch(command: psutil.Process, runner: int) -> None:
    with suppress(psutil.Error):
        while command.ppid() == runner:
            time.sleep(POLL_SECONDS)
    end(ENDED)


def end(reason: str) -> None:
    """Say why, then end this process at once, whatever its other threads are doing."""
    with suppress(OSError, ValueError):  # a terminal that is gone
        print(
            f"killed: {reason}. Repeat the command: it goes on from its last checkpoint.", file=sys.stderr, flush=True
        )
    os.kill(os.getpid(), signal.SIGKILL)
