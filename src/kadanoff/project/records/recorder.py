"""The record of a run: a folder reports/STAGE/VARIANT of small files, put in place when the run ends well.

    with recorded("coarsen", "cnn", parameters=..., inputs=[Path("data/coarsen/coarsen16.zarr")]) as run:
        run.epoch(epoch, train_loss=..., validation_loss=...)  # a row of history.csv
        run.metrics({"mse": estimate, "energy": {"mean": -1.4, "error": 0.01}})  # metrics.json
        run.summary("A test error of {test_mse}.", "history", test_mse="mse")  # headlines.json, and a sentence
        run.figure("history", figure, "Training and validation loss over epochs")  # history.png, with its caption
        run.model("models/coarsen/cnn.safetensors", metric="mse", task="majority of 2 x 2 blocks", ...)

MLflow shows the same while it happens, where it is installed. It never fails a run: the record is the result.
"""

import csv
import io
import json
import math
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.project.records.dvclock import content_md5, file_md5
from kadanoff.project.records.runinfo import (
    MOST_HEADLINES,
    ModelInfo,
    RunInfo,
    environment,
    flatten,
    git_commit,
    headlines,
    plain,
)
from kadanoff.project.tables import cell
from kadanoff.project.view import View
from kadanoff.runtime.files import alone, project_root, replace_folder
from kadanoff.validation import validated

if TYPE_CHECKING:
    import pandas as pd

COLOURS = 256  # of a figure's palette: a third of the bytes, and no difference that an eye sees


@contextmanager
def recorded(
    stage: str, variant: str | None = None, *, parameters: Mapping[str, Any], inputs: Sequence[Path | str] = ()
) -> Iterator["Recorder"]:
    """Record what happens in the block as reports/STAGE/VARIANT (reports/STAGE without a variant).

    If the block fails, an earlier record stays as it was and the MLflow run ends as FAILED. KadanoffError if the names
    cannot be folders, the same run is being recorded already, or the disk refuses a write.
    """
    root = project_root()
    paths = [_inside(root, path) for path in inputs]
    described = {
        "stage": stage,
        "variant": variant,
        "parameters": plain(parameters, "parameters"),
        "inputs": [{"path": path, "md5": content_md5(root / path)} for path in paths],
        "environment": environment(),
        "started": datetime.now(UTC),
        "git_commit": git_commit(root),
        "dvc_experiment": os.environ.get("DVC_EXP_NAME"),
    }
    info = validated(RunInfo, described, "run")
    name = f"record-{info.title}{os.environ.get('KADANOFF_PART', '')}".replace("/", "-")  # parts record nothing
    with alone(root / ".checkpoints" / name, "recording") as work:
        run = Recorder(info, root, work / "record")
        try:
            yield run
            if "KADANOFF_PART" in os.environ:  # several parts would write the same files at once
                raise KadanoffError(f"{info.title} has no part left to compute, or none at all; run it without --part.")
            run.publish()
        except BaseException:
            run.abandon()
            raise


class Recorder:
    """Collects the results of one run; made by `recorded`."""

    def __init__(self, info: RunInfo, root: Path, folder: Path) -> None:
        folder.mkdir()
        self._info, self._root, self._folder = info, root, folder
        self._clock = time.monotonic()
        self._history: dict[int, dict[str, float]] = {}
        self._metrics: dict[str, Any] = {}
        self._summary: dict[str, float] = {}
        self._view = View(info)

    def epoch(self, epoch: int, **values: float) -> None:
        """One row of history.csv; a row given again replaces the first, as when training resumes."""
        row = self._history[int(epoch)] = {name: float(value) for name, value in values.items()}
        self._view.row(row, int(epoch))

    def metrics(self, values: Mapping[str, Any]) -> None:
        """Add final numbers to metrics.json: nested mappings of numbers and estimates. NaN becomes null.

        KadanoffError if a value is no number, or is given twice.
        """
        found = {key: plain(value, f"metric {key}") for key, value in values.items()}
        if twice := sorted(found.keys() & self._metrics.keys()):
            raise KadanoffError(f"metric {twice[0]} is given twice; gather its parts, then give it once.")
        for name, value in flatten(found).items():
            if not isinstance(value, int | float | None):
                raise KadanoffError(f"metric {name} is {value!r}; a metric is a number. Give words to run.text().")
        self._metrics |= found

    def summary(self, result: str, figure: str | None = None, dvc: Sequence[str] = (), **places: str) -> None:
        """Say what was found: a sentence, the figure that shows it best, and at most ten headline numbers.

        `places` are metrics given before, `test/cnn/mse`, by plain names; an estimate has its standard error beside it.
        {name} in the sentence stands for that number. What is not among the metrics is left out. Those named in `dvc`
        are written into summary.json for `dvc metrics show`, whose table has a column for each.
        """
        numbers, words = flatten(self._metrics), defaultdict(lambda: "–")
        for name, place in places.items():
            if (value := numbers.get(place)) is not None:
                error = numbers.get(f"{place}_error")
                self._summary |= _estimated(name, value, error)
                words[name] = cell(value if error is None else Estimate(value, error))
        if len(self._summary) > MOST_HEADLINES:
            raise KadanoffError(f"{len(self._summary)} headline numbers; a run has at most {MOST_HEADLINES}.")
        _write_json(self._folder / "headlines.json", self._summary)
        if dvc:
            _write_json(self._folder / "summary.json", {name: self._summary.get(name) for name in dvc})
        self._info = self._info.model_copy(update={"result": result.format_map(words), "figure": figure})

    def comparison(self, frame: "pd.DataFrame", by: Sequence[str], values: Sequence[str]) -> None:
        """What is compared, in comparison.csv: MLflow shows a row as a run with parameters `by` and metrics `values`.

        Values are numbers, estimates, or empty; at most five.
        """
        rows = []
        for row in frame.to_dict("records"):
            numbers: dict[str, float] = {}
            for name in values:
                value = row[name]
                mean, error = (value.mean, value.error) if isinstance(value, Estimate) else (value, None)
                if mean is not None and math.isfinite(mean):
                    numbers |= _estimated(name, mean, error)
            rows.append({name: row[name] for name in by} | numbers)
        columns = [*by, *dict.fromkeys(name for row in rows for name in row if name not in by)]
        _write_csv(self._folder / "comparison.csv", columns, rows)
        self._info = self._info.model_copy(update={"compared_by": list(by)})

    def figure(self, name: str, figure: Any, caption: str = "") -> None:
        """Write a Matplotlib figure as NAME.png, with its caption inside; the same figure gives the same bytes.

        With KADANOFF_SVG=1 in the environment NAME.svg lies beside it, for print.
        """
        from PIL import Image, PngImagePlugin  # most stages draw nothing until they end

        drawn = io.BytesIO()
        figure.savefig(drawn, format="png")
        text = PngImagePlugin.PngInfo()
        text.add_itxt("Description", caption)
        with Image.open(drawn) as image:
            small = image.convert("RGB").quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
            small.save(self._folder / f"{name}.png", "PNG", optimize=True, pnginfo=text)
        if os.environ.get("KADANOFF_SVG"):
            figure.savefig(self._folder / f"{name}.svg", metadata={"Date": None, "Description": caption})

    def text(self, name: str, text: str) -> None:
        """Write a text file, such as table.md."""
        (self._folder / name).write_text(text, encoding="utf-8")

    def model(self, weights: Path | str, **described: Any) -> None:
        """Name the weights file that the run has saved: it becomes an MLflow model.

        `described` are the other fields of `ModelInfo`: its held-out `metric`, the `task`, the shapes, ...
        KadanoffError if the metric is not among those given, or a field breaks its rule.
        """
        found = {"weights": _inside(self._root, weights), "md5": file_md5(self._root / weights)} | described
        model = validated(ModelInfo, found, "model")
        if model.metric not in flatten(self._metrics):
            raise KadanoffError(f"the model's metric is {model.metric!r}; give it to run.metrics() first.")
        self._info = self._info.model_copy(update={"model": model})

    def publish(self) -> None:
        """Write the record into reports/ in one rename, and end the MLflow run."""
        if self._history:
            self._write_history()
        _write_json(self._folder / "metrics.json", self._metrics, sort_keys=True)
        numbers = {name: float(value) for name, value in flatten(self._metrics).items() if value is not None}
        self._view.metrics(self._summary or headlines(numbers), max(self._history, default=0))
        self._view.artifacts(sorted(self._folder.iterdir()))
        # asked for after the last call that may fail: a sync imports the record of a run whose view broke
        update = {"duration_s": round(time.monotonic() - self._clock, 3), "mlflow_run_id": self._view.run_id or None}
        info = self._info.model_copy(update=update).model_dump(mode="json")
        # DVC takes the record for a plot, and complains of an empty list
        _write_json(self._folder / "run.json", {key: value for key, value in info.items() if value != []})
        replace_folder(self._folder, self._root / "reports" / self._info.title)
        self._view.end("FINISHED")

    def abandon(self) -> None:
        """End the MLflow run as failed, with the files so far."""
        if self._folder.exists():
            self._view.artifacts(sorted(self._folder.iterdir()))
        self._view.end("FAILED")

    def _write_history(self) -> None:
        columns = dict.fromkeys(name for row in self._history.values() for name in row)
        rows = [{"epoch": epoch, **self._history[epoch]} for epoch in sorted(self._history)]
        _write_csv(self._folder / "history.csv", ["epoch", *columns], rows)


def _inside(root: Path, path: Path | str) -> str:
    """`path` as dvc.lock writes it: relative to the project."""
    full = root / path
    return (full.relative_to(root) if full.is_relative_to(root) else full).as_posix()


def _estimated(name: str, mean: float, error: float | None) -> dict[str, float]:
    """A headline number, to the digits that are read, beside its standard error."""
    found = {name: mean} | ({} if error is None else {f"{name}_stderr": error})
    return {key: value if isinstance(value, int) else float(f"{value:.5g}") for key, value in found.items()}


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _write_json(path: Path, content: Any, sort_keys: bool = False) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=sort_keys, allow_nan=False) + "\n", encoding="utf-8")
