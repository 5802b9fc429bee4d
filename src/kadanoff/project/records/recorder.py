"""The record of a run: a folder reports/STAGE/VARIANT of small files, put in place when the run ends well.

    with recorded("coarsen", "cnn", parameters=..., inputs=[Path("data/coarsen16.zarr")]) as run:
        run.epoch(epoch, train_loss=..., validation_loss=...)  # a row of history.csv
        run.metrics({"mse": estimate, "energy": {"mean": -1.4, "error": 0.01}})  # metrics.json
        run.figure("history", figure)  # history.png
        run.model("models/coarsen/cnn.safetensors", metric="mse", task="majority of 2 x 2 blocks", ...)

MLflow shows the same while it happens, where it is installed. It never fails a run: the record is the result.
"""

import csv
import io
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from kadanoff.errors import KadanoffError
from kadanoff.project.png import Figure, save_png
from kadanoff.project.records.dvclock import file_md5, outputs, read_lock
from kadanoff.project.records.runinfo import HISTORY, Input, ModelInfo, RunInfo, environment, flatten, git_commit, plain
from kadanoff.project.view import View
from kadanoff.runtime.files import disk_errors, project_root, replace_folder

OWN_FILES = ("run.json", "metrics.json", "history.csv")
Kind = TypeVar("Kind", bound=BaseModel)
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@contextmanager
def recorded(
    stage: str,
    variant: str | None = None,
    *,
    parameters: Mapping[str, Any],
    inputs: Sequence[Path | str] = (),
) -> Iterator["Recorder"]:
    """Record what happens in the block as reports/STAGE/VARIANT (reports/STAGE without a variant).

    If the block fails, an earlier record stays as it was and the MLflow run ends as FAILED.

    Raises
    ------
    KadanoffError
        If the names cannot be folders, the same run is being recorded already, or the disk refuses a write.
    """
    root = project_root()
    info = _describe(root, stage, variant, parameters, inputs)
    with _working_folder(root, info.title) as folder:
        run = Recorder(info, root, folder)
        try:
            yield run
            run.publish()
        except BaseException:
            run.abandon()
            raise


class Recorder:
    """Collects what one run has to tell; made by `recorded`."""

    def __init__(self, info: RunInfo, root: Path, folder: Path) -> None:
        self._info, self._root, self._folder = info, root, folder
        self._clock = time.monotonic()
        self._history: dict[int, dict[str, Any]] = {}
        self._metrics: dict[str, Any] = {}
        self._view = View(info)

    def epoch(self, epoch: int, **values: Any) -> None:
        """One row of history.csv; a row given again replaces the first, as when training resumes."""
        row = {name: float(value) for name, value in values.items()}
        self._history[int(epoch)] = row
        self._view.row({HISTORY + name: value for name, value in row.items()}, int(epoch))

    def metrics(self, values: Mapping[str, Any]) -> None:
        """Add final numbers to metrics.json: nested mappings of numbers and estimates. NaN becomes null.

        Raises
        ------
        KadanoffError
            If a value is no number, or is given twice.
        """
        found = {key: plain(value, f"metric {key}") for key, value in values.items()}
        if twice := sorted(found.keys() & self._metrics.keys()):
            raise KadanoffError(f"metric {twice[0]} is given twice; gather its parts, then give it once.")
        numbers = flatten(found)
        for name, value in numbers.items():
            if not isinstance(value, int | float | None):
                raise KadanoffError(f"metric {name} is {value!r}; a metric is a number. Give words to run.text().")
        self._metrics.update(found)
        known = {name: float(value) for name, value in numbers.items() if value is not None}
        self._view.call("metrics", known, max(self._history, default=0))

    def figure(self, name: str, figure: Figure, caption: str = "") -> None:
        """Write a Matplotlib figure as NAME.png, with its caption inside; the same figure gives the same bytes."""
        path = self._file(name if name.endswith(".png") else f"{name}.png")
        with disk_errors(path):
            save_png(figure, path, caption)

    def text(self, name: str, text: str) -> None:
        """Write a text file, such as table.md."""
        path = self._file(name)
        with disk_errors(path):
            path.write_text(text, encoding="utf-8")

    def model(self, weights: Path | str, **described: Any) -> None:
        """Name the weights file that the run has written: it becomes an MLflow model.

        `described` are the other fields of `ModelInfo`: its held-out `metric`, the `task`, the shapes, ...

        Raises
        ------
        KadanoffError
            If the weights are not there yet, the metric is not among those given, or a field breaks its rule.
        """
        if not (self._root / weights).is_file():
            raise KadanoffError(f"there are no weights {weights}; save the network before naming it in the record.")
        found = {"weights": _inside(self._root, weights), "md5": file_md5(self._root / weights)} | described
        model = _validated(ModelInfo, found, "the model")
        if model.metric not in flatten(self._metrics):
            raise KadanoffError(f"the model's metric is {model.metric!r}; give it to run.metrics() first.")
        self._info = self._info.model_copy(update={"model": model})

    def _file(self, name: str) -> Path:
        if not FILE_NAME.fullmatch(name) or name in OWN_FILES:
            raise KadanoffError(
                f"{name!r} cannot be a file of a record: use letters, digits, '_', '-' and '.', "
                f"and none of {', '.join(OWN_FILES)}."
            )
        return self._folder / name

    def publish(self) -> None:
        """Write the record into reports/ in one rename, and end the MLflow run."""
        target = self._root / "reports" / self._info.title
        with disk_errors(target):
            if self._history:
                (self._folder / "history.csv").write_text(_csv(self._history), encoding="utf-8")
            _write_json(self._folder / "metrics.json", self._metrics, sort=True)
            self._view.call("artifacts", sorted(self._folder.iterdir()))
            # asked for after the last call that may fail: a sync imports the record of a run whose view broke
            update = {
                "duration_s": round(time.monotonic() - self._clock, 3),
                "mlflow_run_id": self._view.run_id,
            }
            info = self._info.model_copy(update=update)
            # DVC takes the record for a plot, and complains of an empty list
            content = {key: value for key, value in info.model_dump(mode="json").items() if value != []}
            _write_json(self._folder / "run.json", content)
            replace_folder(self._folder, target)
        self._view.call("end", "FINISHED")

    def abandon(self) -> None:
        """Drop what was written, and end the MLflow run as failed, with the files so far."""
        if self._folder.exists():
            self._view.call("artifacts", sorted(self._folder.iterdir()))
            shutil.rmtree(self._folder, ignore_errors=True)
        self._view.call("end", "FAILED")


def _describe(
    root: Path, stage: str, variant: str | None, parameters: Mapping[str, Any], inputs: Sequence[Path | str]
) -> RunInfo:
    paths = [_inside(root, path) for path in inputs]
    known = {path: md5 for entry in read_lock(root).values() for path, md5 in outputs(entry).items()} if paths else {}
    return _validated(
        RunInfo,
        {
            "stage": stage,
            "variant": variant,
            "parameters": plain(parameters, "parameters"),
            "inputs": [Input(path=path, md5=known.get(path)) for path in paths],
            "environment": environment(),
            "started": datetime.now(UTC),
            "git_commit": git_commit(root),
            "dvc_experiment": os.environ.get("DVC_EXP_NAME"),
        },
        "the run",
    )


def _validated(kind: type[Kind], values: dict[str, Any], what: str) -> Kind:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise KadanoffError(f"{what}'s {place} is {fault['input']!r}: {fault['msg']}.") from error


@contextmanager
def _working_folder(root: Path, title: str) -> Iterator[Path]:
    base = root / ".checkpoints"
    folder = base / f"record-{title.replace('/', '-')}"
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    with disk_errors(base):
        base.mkdir(exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise KadanoffError(
                f"{title} is being recorded by another process in {root}: one run of a stage at a time. "
                "Wait for it to end, or stop it first."
            ) from error
    try:
        with disk_errors(folder):
            shutil.rmtree(folder, ignore_errors=True)  # left by a run that was killed
            folder.mkdir()
        yield folder
    finally:
        lock.release()


def _inside(root: Path, path: Path | str) -> str:
    """`path` as dvc.lock writes it: relative to the project."""
    full = root / path
    return (full.relative_to(root) if full.is_relative_to(root) else full).as_posix()


def _csv(history: dict[int, dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in history.values() for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, ["epoch", *columns], lineterminator="\n")
    table.writeheader()
    table.writerows({"epoch": epoch, **history[epoch]} for epoch in sorted(history))
    return text.getvalue()


def _write_json(path: Path, content: Any, sort: bool = False) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=sort, allow_nan=False) + "\n", encoding="utf-8")
