"""What MLflow shows of a run while it happens, if anything: most runs are imported from their record instead."""

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kadanoff.errors import printable, without_secret
from kadanoff.project.records.runinfo import RunInfo

if TYPE_CHECKING:
    from kadanoff.project.tracking.live import LiveRun

LIVE_AFTER_SECONDS = 10.0  # loading MLflow takes seconds


class View:
    """A run as MLflow shows it. When MLflow fails this says so once, and the run continues.

    A training is shown from its first epoch after ten seconds on, with the earlier ones. A run of a DVC experiment is
    shown from the start: its record may stay in the experiment, where no sync sees it.
    """

    def __init__(self, info: RunInfo) -> None:
        self._info = info
        self._start = time.monotonic()
        self._rows: list[tuple[Mapping[str, float], int, float]] = []
        self._run: LiveRun | None = None
        self._failed = False
        if info.dvc_experiment:
            self._show()

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run, if it is shown."""
        return self._run.run_id if self._run else None

    def row(self, values: Mapping[str, float], epoch: int) -> None:
        """Show one row of the history."""
        self._rows.append((values, epoch, time.time()))
        if self._run is None and not self._failed and time.monotonic() - self._start > LIVE_AFTER_SECONDS:
            self._show()
        if self._run is not None:
            waiting, self._rows = self._rows, []
            for row in waiting:
                self.call("metrics", *row)

    def call(self, action: str, *arguments: Any) -> None:
        """Do something on the run, if it is shown."""
        try:
            if self._run is not None:
                getattr(self._run, action)(*arguments)
        except Exception as error:
            self._fail(error)

    def _show(self) -> None:
        try:
            from kadanoff.project.tracking import live

            self._run = live.LiveRun(self._info)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._run, self._failed = None, True
        reason = without_secret(next(iter(str(error).splitlines()), ""))
        line = (
            f"MLflow logging stopped ({type(error).__name__}: {reason[:200]}). "
            "The record is written all the same; `kadanoff runs sync` imports it later."
        )
        print(printable(line), file=sys.stderr, flush=True)
