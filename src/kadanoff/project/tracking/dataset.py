"""A DVC output as an MLflow dataset source: its path in the project and its md5."""

from pathlib import Path
from typing import Any

from mlflow.data.dataset_source import DatasetSource
from mlflow.data.dataset_source_registry import register_dataset_source

from kadanoff.errors import KadanoffError
from kadanoff.project.records.dvclock import outputs, read_lock
from kadanoff.runtime.files import project_root


class DvcSource(DatasetSource):
    """The output `path` of a DVC project, at the version `md5`."""

    def __init__(self, path: str, md5: str | None) -> None:
        self.path, self.md5 = path, md5

    @staticmethod
    def _get_source_type() -> str:
        return "dvc"

    def load(self) -> Path:
        """Path of the data in this project.

        Raises
        ------
        KadanoffError
            If this project's dvc.lock has another version of it.
        """
        root = project_root()
        here = {path: md5 for entry in read_lock(root).values() for path, md5 in outputs(entry).items()}
        if here.get(self.path) != self.md5:
            raise KadanoffError(
                f"{self.path} has md5 {here.get(self.path)} in this checkout, and the run read {self.md5}; "
                "check out the run's commit, then `dvc pull`."
            )
        return root / self.path

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return False  # a plain path says nothing of DVC

    @classmethod
    def _resolve(cls, raw_source: Any) -> "DvcSource":
        raise NotImplementedError  # MLflow asks only after `_can_resolve` has said yes

    def to_dict(self) -> dict[str, Any]:
        """The source as MLflow stores it."""
        return {"path": self.path, "md5": self.md5}

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> "DvcSource":
        """The source that `to_dict` described."""
        return cls(source_dict["path"], source_dict["md5"])


register_dataset_source(DvcSource)  # type: ignore[arg-type]  # MLflow's hint forgets type[...]
