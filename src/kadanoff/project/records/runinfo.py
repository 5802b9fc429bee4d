"""What is known of a run: the content of run.json, written and read through the same model."""

import math
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field, JsonValue

from kadanoff.errors import KadanoffError, without_secret
from kadanoff.estimate import Estimate
from kadanoff.validation import Section

MOST_HEADLINES = 10  # numbers of a run that MLflow shows
HISTORY = "history/"  # before a history's columns in MLflow: its charts stand together, above those of single numbers
PACKAGES = (
    "kadanoff", "numpy", "numba", "torch", "zarr", "xarray", "dvc", "mlflow", "transformers", "timm", "scikit-learn"
)  # fmt: skip

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.=-]{0,99}$")]
Text = Annotated[str, Field(max_length=1000)]


class Input(BaseModel):
    """A dataset or file that a run read, and the hash that DVC gave it."""

    path: Text
    md5: str | None = Field(pattern=r"^[0-9a-f]{32}(\.dir)?$")


class ModelInfo(Section, extra="ignore", strict=False):
    """A trained network that a run left behind, and the held-out number by which it competes with others."""

    weights: str = Field(pattern=r"^models(/[A-Za-z0-9][A-Za-z0-9_.=-]*)+\.safetensors$", max_length=1000)
    md5: str = Field(pattern=r"^[0-9a-f]{32}$")
    metric: Text  # name in metrics.json of an error measured on data that training never saw: `test/mse`
    task: Text  # what the metric is measured on: numbers of other tasks cannot be compared
    contender: bool  # whether this is the task for which the study names a champion
    takes: list[int] = Field(min_length=3, max_length=3)  # shape of the spins that it takes, (n, y, x); -1 is any
    gives: list[int] = Field(min_length=2, max_length=3)  # shape of what it makes of them


class RunInfo(Section, extra="ignore", strict=False, allow_inf_nan=False):
    """The content of run.json. Keys of other versions are ignored."""

    stage: Name
    variant: Name | None
    parameters: dict[str, JsonValue]
    inputs: list[Input] = Field(default_factory=list)
    model: ModelInfo | None = None
    environment: dict[str, JsonValue]
    started: AwareDatetime = Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2200, 1, 1, tzinfo=UTC))
    duration_s: float = Field(default=0.0, ge=0, le=1e9)
    git_commit: str | None = Field(default=None, pattern=r"^[0-9a-f]{40,64}$")
    dvc_experiment: Text | None = None
    result: Text | None = None  # a sentence with the headline numbers
    figure: Name | None = None  # the one that shows them best
    compared_by: list[Name] = Field(default_factory=list)  # columns of comparison.csv that are parameters
    mlflow_run_id: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")

    @property
    def title(self) -> str:
        """The run as a user calls it: `coarsen/cnn`."""
        return self.stage if self.variant is None else f"{self.stage}/{self.variant}"

    @property
    def address(self) -> str:
        """The stage as dvc.yaml calls it: `coarsen@cnn`."""
        return self.title.replace("/", "@")

    @property
    def ended(self) -> float:
        """When it ended, in seconds since 1970."""
        return self.started.timestamp() + self.duration_s


def environment() -> dict[str, JsonValue]:
    """Versions and machine that a result may depend on."""
    packages: dict[str, JsonValue] = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            packages[package] = version(package)
    machine = {"python": platform.python_version(), "platform": platform.platform(), "cpus": os.cpu_count()}
    torch = sys.modules.get("torch")  # never imported for its version's sake
    gpu = {"gpu": torch.cuda.get_device_name()} if torch is not None and torch.cuda.is_available() else {}
    return machine | {"packages": packages} | gpu


def git_commit(root: Path) -> str | None:
    """Commit that is checked out in `root`; None outside a Git repository."""
    command = ["git", "-C", str(root), "rev-parse", "--verify", "--quiet", "HEAD"]
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, encoding="utf-8").stdout.strip() or None
    return None


def plain(value: Any, where: str) -> JsonValue:
    """`value` as JSON knows it: estimates as mean and error, arrays as lists, NaN and infinities as null.

    KadanoffError names the place of what JSON has no such thing for.
    """
    if isinstance(value, Estimate):
        value = {"mean": value.mean, "error": value.error}
    elif is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    elif hasattr(value, "tolist"):  # NumPy's and torch's numbers and arrays
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return without_secret(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    raise KadanoffError(f"{where} is a {type(value).__name__}; a record holds numbers, text, lists and mappings.")


def flatten(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Leaves of nested mappings by their path: {"test": {"n": 1}} becomes {"test/n": 1}.

    An estimate takes the name of its mapping: {"mse": {"mean": 1, "error": 0.1}} becomes {"mse": 1, "mse_error": 0.1}.
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{above}/{key}" if above else str(key)
        if isinstance(value, Mapping) and value.keys() == {"mean", "error"}:
            flat |= {path: value["mean"], f"{path}_error": value["error"]}
        else:
            flat |= flatten(value, path) if isinstance(value, Mapping) else {path: value}
    return flat


def headlines(metrics: Mapping[str, float]) -> dict[str, float]:
    """Of a run without a summary: its first numbers that stand in no table, with plain names."""
    first = sorted(metrics, key=lambda name: (name.count("/"), name))[:MOST_HEADLINES]
    return {name.replace("/", "_"): metrics[name] for name in first}
