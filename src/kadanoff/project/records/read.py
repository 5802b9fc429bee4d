"""Reading records. They may come from someone's branch: nothing is believed of them but their own numbers."""

import csv
import io
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kadanoff.errors import KadanoffError, shown
from kadanoff.project.records.dvclock import folder_md5
from kadanoff.project.records.runinfo import RunInfo, flatten, headlines

ARTIFACTS = (".png", ".md", ".txt", ".csv", ".json")  # nothing that a browser would run
PUBLISHED = "published"  # the folder reports/published/NAME/STAGE[/VARIANT]: no stage has this name


@dataclass(frozen=True)
class Published:
    """One record as it lies on disk, in the folder `path` of the project. `md5` is DVC's hash of that folder.

    `summary` are its headline numbers, at most ten; `comparison` the rows of comparison.csv, as text by column.
    `publication` is the NAME of reports/published/NAME; None for the project's own results.
    """

    path: str
    info: RunInfo
    metrics: dict[str, float]
    summary: dict[str, float]
    comparison: list[dict[str, str]]
    history: list[tuple[int, dict[str, float]]]
    artifacts: list[Path]
    md5: str
    publication: str | None = None

    @property
    def title(self) -> str:
        """The record as a user calls it: `coarsen/cnn`, or `coarsen/cnn [NAME]` if it is published as NAME."""
        return self.info.title if self.publication is None else f"{self.info.title} [{self.publication}]"


def find_records(root: Path) -> Iterator[Path]:
    """Folders with a run.json: reports/STAGE[/VARIANT], then reports/published/NAME/STAGE[/VARIANT]."""
    for base in (root / "reports", *find_publications(root)):
        for stage in _folders(base):
            if stage != root / "reports" / PUBLISHED:
                yield from (folder for folder in (stage, *_folders(stage)) if (folder / "run.json").is_file())


def find_publications(root: Path) -> list[Path]:
    """Folders reports/published/NAME."""
    return _folders(root / "reports" / PUBLISHED)


def _folders(folder: Path) -> list[Path]:
    """Those in a folder: no symbolic link, and none that is about to become or to replace one (`runtime/files.py`)."""
    found = folder.iterdir() if folder.is_dir() and not folder.is_symlink() else ()
    return sorted(each for each in found if each.is_dir() and not each.is_symlink() and not each.name.startswith("."))


def read_record(root: Path, folder: Path) -> Published:
    """Read one record. Only regular files of its own folder are opened; no path written in it is followed.

    KadanoffError names the file that is malformed, or about another run than its folder says.
    """
    files = record_files(folder)
    if "run.json" not in files:
        raise KadanoffError(f"{folder / 'run.json'} is a symbolic link; a record holds its own files.")
    info = _read_info(files["run.json"])
    path = folder.relative_to(root).as_posix()
    publication = path.split("/")[2] if path.startswith(f"reports/{PUBLISHED}/") else None
    expected = f"reports/{PUBLISHED}/{publication}/{info.title}" if publication else f"reports/{info.title}"
    if path != expected:
        raise KadanoffError(f"{folder / 'run.json'} is of the run {info.title}; its folder must be {expected}.")
    shown_files = (name for name in sorted(files) if "/" not in name and name.endswith(ARTIFACTS))
    metrics, summary = (
        _read_metrics(files[name]) if name in files else {} for name in ("metrics.json", "headlines.json")
    )
    return Published(
        path=path,
        info=info,
        metrics=metrics,
        summary=summary or headlines(metrics),
        comparison=_read_comparison(files["comparison.csv"], info.compared_by) if "comparison.csv" in files else [],
        history=_read_history(files["history.csv"]) if "history.csv" in files else [],
        artifacts=[files[name] for name in shown_files if name != "run.json"],
        md5=folder_md5(folder, files.values()),
        publication=publication,
    )


def record_files(folder: Path) -> dict[str, Path]:
    """Regular files of a record by relative path; what is behind a symbolic link is none of it."""
    found = (Path(base, name) for base, _, names in os.walk(folder) for name in names)
    return {file.relative_to(folder).as_posix(): file for file in found if file.is_file() and not file.is_symlink()}


def _read_json(path: Path, integer: type = int) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes(), parse_int=integer)
    except (ValueError, RecursionError) as error:
        raise KadanoffError(f"{path} is not valid JSON ({error}).") from error
    if not isinstance(content, dict):
        raise KadanoffError(f"{path} must be a JSON object, not {type(content).__name__}.")
    return content


def _read_info(path: Path) -> RunInfo:
    try:
        return RunInfo.model_validate(_read_json(path))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise KadanoffError(f"{path}: {place} is {shown(fault['input'])}: {fault['msg']}.") from error


def _read_metrics(path: Path) -> dict[str, float]:
    metrics = {name: value for name, value in flatten(_read_json(path, float)).items() if value is not None}
    for name, value in metrics.items():
        if not isinstance(value, float) or not math.isfinite(value):
            raise KadanoffError(f"{path}: {name} is {shown(value)}; a metric is a finite number or null.")
    return metrics


def _read_history(path: Path) -> list[tuple[int, dict[str, float]]]:
    try:
        rows = _read_rows(path)
        return [(int(row.pop("epoch")), {name: float(value) for name, value in row.items() if value}) for row in rows]
    except (ValueError, KeyError) as error:
        raise KadanoffError(f"{path} is not a table of numbers with a column `epoch` ({error}).") from error


def _read_comparison(path: Path, by: list[str]) -> list[dict[str, str]]:
    try:
        rows = _read_rows(path)
        for value in (value for row in rows for name, value in row.items() if value and name not in by):
            float(value)
    except ValueError as error:
        raise KadanoffError(f"{path} is not a table of numbers by {', '.join(by) or 'nothing'} ({error}).") from error
    return rows


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        header, *lines = csv.reader(io.StringIO(path.read_text(encoding="utf-8")), strict=True)
        return [dict(zip(header, line, strict=True)) for line in lines]
    except csv.Error as error:
        raise ValueError(error) from error
