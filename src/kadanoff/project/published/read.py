"""Reading records. They are data from outside, pulled from someone's branch: nothing in them is trusted."""

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
from kadanoff.project.records.runinfo import RunInfo, flatten
from kadanoff.runtime.files import NAME

MEGABYTE = 2**20
LARGEST_FILE = 16 * MEGABYTE
MOST_FILES = 200
ARTIFACTS = (".png", ".md", ".txt", ".csv", ".json")  # nothing that a browser would run
PUBLISHED = "published"  # the folder reports/published/NAME/STAGE[/VARIANT]: no stage has this name
LONGEST_NAME = 60


@dataclass(frozen=True)
class Published:
    """One record as it lies on disk, in the folder `path` of the project. `md5` is DVC's hash of that folder.

    `publication` is the NAME of reports/published/NAME; None for the project's own results.
    """

    path: str
    info: RunInfo
    metrics: dict[str, float]
    history: list[tuple[int, dict[str, float]]]
    artifacts: list[Path]
    md5: str
    publication: str | None = None

    @property
    def title(self) -> str:
        """The record as a user calls it: `coarsen/cnn`, or `coarsen/cnn [NAME]` if it is published as NAME."""
        return self.info.title if self.publication is None else f"{self.info.title} [{self.publication}]"

    @property
    def locked_path(self) -> str:
        """The output of dvc.lock that this record is, wherever it lies now."""
        return f"reports/{self.info.title}"


def find_records(root: Path) -> Iterator[Path]:
    """Folders with a run.json: reports/STAGE[/VARIANT], then reports/published/NAME/STAGE[/VARIANT].

    Symbolic links are not followed.
    """
    for base in (root / "reports", *find_publications(root)):
        for stage in _folders(base):
            if stage != root / "reports" / PUBLISHED:
                yield from (folder for folder in (stage, *_folders(stage)) if (folder / "run.json").is_file())


def find_publications(root: Path) -> list[Path]:
    """Folders reports/published/NAME. Symbolic links are not followed."""
    return [folder for base in _folders(root / "reports") if base.name == PUBLISHED for folder in _folders(base)]


def _folders(folder: Path) -> list[Path]:
    """Those in a folder, without what is about to become or to replace one (`runtime/files.py`)."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    found = (child for child in folder.iterdir() if child.is_dir() and not child.is_symlink())
    return sorted(child for child in found if not child.name.startswith("."))


def publication_name(name: str) -> str:
    """`name`, if it can name a publication, else KadanoffError."""
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise KadanoffError(
            f"{shown(name)} cannot name published results: use at most {LONGEST_NAME} letters, digits, '_', '-' and "
            "'.', the first a letter or digit."
        )
    return name


def read_record(root: Path, folder: Path) -> Published:
    """Read one record. Only regular files of its own folder are opened; no path written in it is followed.

    Raises
    ------
    KadanoffError
        Naming the file that is too large, malformed, or about another run than its folder says.
    """
    files = record_files(folder)
    if "run.json" not in files:
        raise KadanoffError(f"{folder / 'run.json'} is a symbolic link; a record holds its own files.")
    info = _read_info(files["run.json"])
    path = folder.relative_to(root).as_posix()
    parts = path.split("/")
    publication = publication_name(parts[2]) if parts[1] == PUBLISHED else None
    expected = "/".join(["reports", *([PUBLISHED, publication] if publication else []), info.title])
    if path != expected:
        raise KadanoffError(f"{folder / 'run.json'} is of the run {info.title}; its folder must be {expected}.")
    return Published(
        path=path,
        info=info,
        metrics=_read_metrics(files["metrics.json"]) if "metrics.json" in files else {},
        history=_read_history(files["history.csv"]) if "history.csv" in files else [],
        artifacts=[
            file
            for name, file in sorted(files.items())
            if "/" not in name and name != "run.json" and name.endswith(ARTIFACTS)
        ],
        md5=folder_md5(folder, files.values()),
        publication=publication,
    )


def record_files(folder: Path) -> dict[str, Path]:
    """Regular files of a record by relative path; KadanoffError if one is too large, or they are too many."""
    found: dict[str, Path] = {}
    for base, _, names in os.walk(folder):  # enters no symbolic link
        for file in (Path(base, name) for name in names):
            if file.is_symlink() or not file.is_file():
                continue
            if (size := file.stat().st_size) > LARGEST_FILE:
                limit = LARGEST_FILE // MEGABYTE
                raise KadanoffError(f"{file} has {size / MEGABYTE:.0f} MB; a file of a record has at most {limit} MB.")
            found[file.relative_to(folder).as_posix()] = file
            if len(found) > MOST_FILES:
                raise KadanoffError(f"{folder} has more than {MOST_FILES} files; that is no record.")
    return found


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
        raise KadanoffError(f"{path}: {place} is {str(fault['input'])[:80]!r}: {fault['msg']}.") from error


def _read_metrics(path: Path) -> dict[str, float]:
    metrics = {name: value for name, value in flatten(_read_json(path, float)).items() if value is not None}
    for name, value in metrics.items():
        if not isinstance(value, float) or not math.isfinite(value):
            raise KadanoffError(f"{path}: {name} is {str(value)[:80]!r}; a metric is a finite number or null.")
    return metrics


def _read_history(path: Path) -> list[tuple[int, dict[str, float]]]:
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")), strict=True))
        history = [
            (int(row.pop("epoch")), {name: float(value) for name, value in row.items() if value}) for row in rows
        ]
        if any(not 0 <= epoch < 2**53 for epoch, _ in history):
            raise ValueError("an epoch is no small whole number")
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise KadanoffError(f"{path} is not a table of numbers with a column `epoch` ({error}).") from error
    return history
