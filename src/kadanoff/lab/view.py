"""The live view of a run, as far as there is one."""

import re
import sys
import time
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from kadanoff.lab.records.runinfo import RunInfo

if TYPE_CHECKING:
    from kadanoff.lab.tracking.live import LiveRun


class View:
    """A run as MLflow shows it while it happens. When MLflow fails it says so once, and the run goes on.

    One thread beside the run does it all, so that no run waits for seconds of imports and for a database. It ends with
    the process, whatever it waits for.
    """

    def __init__(self, info: RunInfo) -> None:
        self._run: LiveRun | None = None
        self._calls: SimpleQueue[tuple[str, tuple[Any, ...], Event]] = SimpleQueue()
        Thread(target=self._work, args=(info,), name="mlflow", daemon=True).start()

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run, if it is shown after all calls so far, for which this waits."""
        self._ask("").wait()
        return self._run.run_id if self._run else None

    def call(self, action: str, *arguments: Any) -> None:
        """Do something on the live run, if there still is one: soon, or before this returns if files are read."""
        if action == "metrics":
            arguments = *arguments, time.time()
        done = self._ask(action, *arguments)
        if action in ("artifacts", "end"):
            done.wait()

    def _ask(self, action: str, *arguments: Any) -> Event:
        done = Event()
        self._calls.put((action, arguments, done))
        return done

    def _work(self, info: RunInfo) -> None:
        self._start(info)
        action = ""
        while action != "end":
            action, arguments, done = self._calls.get()
            if action:
                self._do(action, *arguments)
            done.set()

    def _start(self, info: RunInfo) -> None:
        try:
            from kadanoff.lab.tracking import live

            self._run = live.LiveRun(info)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("kadanoff"):
                self._fail(error)
            else:
                _say(f"{error.name} is not installed: {info.title} is recorded in reports/ and not shown live.")
        except Exception as error:
            self._fail(error)

    def _do(self, action: str, *arguments: Any) -> None:
        try:
            if self._run is not None:
                getattr(self._run, action)(*arguments)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        run, self._run = self._run, None
        reason = without_secret(next(iter(str(error).splitlines()), ""))
        _say(
            f"MLflow logging stopped ({type(error).__name__}: {reason[:200]}). "
            "The record is written all the same; `kadanoff runs sync` imports it later."
        )
        if run is not None:
            with suppress(Exception):
                run.stop_watching()


def without_secret(text: str) -> str:
    """`text` without the user and password of any address in it."""
    return re.sub(r"://[^/\s]*@", "://", text)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
