"""What MLflow shows of a run while it happens, if anything: most runs are imported from their record instead."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from kadanoff.errors import printable, without_secret
from kadanoff.project.records.runinfo import HISTORY, RunInfo

LIVE_AFTER_SECONDS = 10.0  # loading MLflow takes seconds
FLUSH_SECONDS = 2.0  # an epoch may take milliseconds, and one call to the store takes some


class View:
    """A run as MLflow shows it. When MLflow fails this says so once, and the run continues.

    A training is shown from its first epoch after ten seconds on, with the earlier ones. A run of a DVC experiment is
    shown from the start: its record may stay in the experiment, where no sync sees it.
    """

    def __init__(self, info: RunInfo) -> None:
        self.run_id = ""
        """MLflow's id of the run, if it is shown."""
        self._info = info
        self._rows: list[tuple[Mapping[str, float], int, float]] = []
        self._flushed = time.monotonic() + LIVE_AFTER_SECONDS - FLUSH_SECONDS
        self._failed = False
        if info.dvc_experiment:
            self._try(self._show)

    def row(self, values: Mapping[str, float], epoch: int) -> None:
        """Show one row of the history."""
        self._rows.append(({HISTORY + name: value for name, value in values.items()}, epoch, time.time()))
        if time.monotonic() > self._flushed + FLUSH_SECONDS:
            self._try(self._flush)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Show final numbers."""
        if self.run_id:
            self._rows.append((values, step, time.time()))

    def artifacts(self, files: Iterable[Path]) -> None:
        """Log what waits, and copies of these files."""
        if self.run_id:
            self._try(self._flush)
            for path in map(str, files):
                self._try(partial(self._client.log_artifact, self.run_id, path))

    def end(self, status: str) -> None:
        """Close the run as FINISHED or FAILED."""
        if self.run_id:
            self._try(partial(self._client.set_terminated, self.run_id, status))

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            if not self._failed:
                action()
        except Exception as error:
            self.run_id, self._failed = "", True
            reason = without_secret(next(iter(str(error).splitlines()), ""))
            line = (
                f"MLflow logging stopped ({type(error).__name__}: {reason[:200]}). "
                "The record is written all the same; `kadanoff runs sync` imports it later."
            )
            print(printable(line), file=sys.stderr, flush=True)

    def _show(self) -> None:
        from kadanoff.project.tracking.runs import open_live_run

        self._client, self.run_id = open_live_run(self._info)

    def _flush(self) -> None:
        from kadanoff.project.tracking.runs import log, points

        if not self.run_id:
            self._show()
        rows, self._rows = self._rows, []
        log(self._client, self.run_id, [point for row in rows for point in points(*row)])
        self._flushed = time.monotonic()
