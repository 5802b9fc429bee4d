"""The live view of a run, as far as there is one."""

import sys
from typing import TYPE_CHECKING, Any

from kadanoff.errors import printable, without_secret
from kadanoff.project.records.runinfo import RunInfo

if TYPE_CHECKING:
    from kadanoff.project.tracking.live import LiveRun


class View:
    """A run as MLflow shows it while it happens. When MLflow fails it says so once, and the run goes on."""

    def __init__(self, info: RunInfo) -> None:
        self._run: LiveRun | None = None
        try:
            from kadanoff.project.tracking import live

            self._run = live.LiveRun(info)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("kadanoff"):
                raise
            _say(f"{error.name} is not installed: {info.title} is recorded in reports/ and not shown live.")
        except Exception as error:
            self._fail(error)

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run, if it is shown."""
        return self._run.run_id if self._run else None

    def call(self, action: str, *arguments: Any) -> None:
        """Do something on the live run, if there still is one."""
        try:
            if self._run is not None:
                getattr(self._run, action)(*arguments)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._run is not None:
            self._run.stop_watching()
        self._run = None
        reason = without_secret(next(iter(str(error).splitlines()), ""))
        _say(
            f"MLflow logging stopped ({type(error).__name__}: {reason[:200]}). "
            "The record is written all the same; `kadanoff runs sync` imports it later."
        )


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)
