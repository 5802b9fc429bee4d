"""The pipeline as DVC reads it: its stages, their parameters and their outputs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kadanoff.errors import KadanoffError
from kadanoff.lab.records.dvclock import read_lock


@dataclass(frozen=True)
class Pipeline:
    """An open DVC project. `outputs` are DVC's, of all stages, by their path in the project."""

    repo: Any
    outputs: dict[str, Any]

    @property
    def addresses(self) -> set[str]:
        """`simulate@coarsen16`, `coarsen_compare`."""
        return {output.stage.addressing for output in self.outputs.values()}


def open_pipeline(root: Path) -> AbstractContextManager[Pipeline]:
    """The pipeline of the project `root`.

    Raises
    ------
    KadanoffError
        If dvc.lock or dvc.yaml cannot be read, or DVC was never initialised here.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    read_lock(root)  # its message is better than DVC's
    try:
        repo = Repo(str(root))
        return _opened(repo, {os.path.relpath(output.fs_path, repo.root_dir): output for output in repo.index.outs})
    except DvcException as error:
        reasons = [str(error), str(error.__cause__ or "")]
        raise KadanoffError(
            f"DVC cannot read the project in {root}: {' '.join(filter(None, reasons))} Until then no stage runs; "
            "`git diff dvc.yaml` shows what was changed."
        ) from error


@contextmanager
def _opened(repo: Any, outputs: dict[str, Any]) -> Iterator[Pipeline]:
    with repo:
        yield Pipeline(repo, outputs)


def run_dvc(root: Path, *arguments: str) -> None:
    """Run a dvc command in the project; its progress is shown.

    Raises
    ------
    KadanoffError
        If it fails, with the last line that it said.
    """
    finished = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, stderr=subprocess.PIPE, text=True)
    if finished.returncode:
        reason = (finished.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise KadanoffError(f"`dvc {' '.join(arguments)}` failed: {reason}")
