"""Keys of the parameter file that no stage reads: a misspelt name changes nothing, and nobody says so."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kadanoff.errors import KadanoffError
from kadanoff.lab.doctor.finding import Finding
from kadanoff.lab.doctor.pipeline import Pipeline
from kadanoff.lab.params import read_params


def check(root: Path, pipeline: Pipeline) -> Iterator[Finding]:
    """Keys above or beside those that the stages name in dvc.yaml; what lies below them the stages check."""
    try:
        content = read_params(root)
    except KadanoffError as error:
        yield Finding(str(error))
        return
    read = _read_by_stages(root, pipeline)
    for key in _unread(content, read):
        near = difflib.get_close_matches(key, read, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        yield Finding(
            f"params.yaml has {key}, which no stage in dvc.yaml reads; {hint}Rename or remove it: as it is, it changes "
            "nothing."
        )


def _read_by_stages(root: Path, pipeline: Pipeline) -> set[str]:
    named = {
        key
        for output in pipeline.outputs.values()
        for dependency in output.stage.deps
        for key in getattr(dependency, "params", None) or []
    }
    return named | set(re.findall(r"\$\{([\w.]+)", (root / "dvc.yaml").read_text(encoding="utf-8")))


def _unread(content: dict[str, Any], read: set[str], above: str = "") -> Iterator[str]:
    for name, value in content.items():
        key = f"{above}{name}"
        if any(key == one or key.startswith(f"{one}.") for one in read):
            continue
        if any(one.startswith(f"{key}.") for one in read) and isinstance(value, dict):
            yield from _unread(value, read, f"{key}.")
        else:
            yield key
