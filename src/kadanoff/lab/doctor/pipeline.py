"""The pipeline as DVC reads it: its stages, their parameters and their outputs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kadanoff.lab.remote.address import open_project


@dataclass(frozen=True)
class Pipeline:
    """An open DVC project. `outputs` are DVC's, of all stages, by their path in the project."""

    repo: Any
    outputs: dict[str, Any]

    @property
    def addresses(self) -> set[str]:
        """`simulate@coarsen16`, `coarsen_compare`."""
        return {output.stage.addressing for output in self.outputs.values()}


@contextmanager
def open_pipeline(root: Path) -> Iterator[Pipeline]:
    """The pipeline of the project `root`.

    Raises
    ------
    KadanoffError
        If dvc.lock or dvc.yaml cannot be read, or DVC was never initialised here.
    """
    with open_project(root) as repo:
        yield Pipeline(repo, {os.path.relpath(output.fs_path, repo.root_dir): output for output in repo.index.outs})
