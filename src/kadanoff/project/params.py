"""The one reader of params.yaml, and of what else DVC reads."""

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from kadanoff.errors import KadanoffError, shown
from kadanoff.validation import SectionType, validated


def read_yaml(path: Path) -> Any:
    """What a file holds, as DVC reads it: YAML 1.2, UTF-8, no key twice; KadanoffError if it is no such file."""
    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KadanoffError(f"cannot read {path}: {error.strerror or error}; make it a readable file.") from error
    except UnicodeDecodeError as error:
        raise KadanoffError(f"{path} is not UTF-8, from byte {error.start} on; save it as UTF-8 text.") from error
    except (YAMLError, RecursionError, ValueError, TypeError, AttributeError) as error:  # the last: a wrong tag
        raise KadanoffError(f"{path} is not valid YAML: {_reason(error)}; mend or restore it.") from error


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    words = " ".join(str(getattr(error, "problem", None) or error).split())
    return shown(words)[1:-1] + (f" (line {mark.line + 1})" if mark else "")


STUDY = re.compile(r"src/kadanoff/studies/([\w-]+)/")


def studies(root: Path) -> dict[str, str]:
    """Study of each stage of dvc.yaml, in its order: the folder with the stage's code."""
    pipeline = read_yaml(root / "dvc.yaml")
    stages = pipeline.get("stages") if isinstance(pipeline, dict) else None
    if not isinstance(stages, dict):
        raise KadanoffError(f"{root / 'dvc.yaml'} has no mapping `stages`; restore it with `git checkout dvc.yaml`.")
    found = {stage: STUDY.search(str(described)) for stage, described in stages.items()}
    return {stage: match[1] if match else stage for stage, match in found.items()}


def read_params(root: Path) -> dict[str, Any]:
    """All sections of params.yaml in the folder `root`, unvalidated; KadanoffError if it is missing or no mapping."""
    path = root / "params.yaml"
    if not path.exists():
        raise KadanoffError(f"there is no {path}; run this in a folder of the project.")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise KadanoffError(f"{path} must be a mapping of sections, not {type(content).__name__}.")
    return content


def section(root: Path, *keys: str) -> dict[str, Any]:
    """The mapping of params.yaml under `keys`, such as ("datasets", "coarsen"), unvalidated.

    If there is none, KadanoffError lists the entries that there are.
    """
    values: Any = read_params(root)
    for depth, key in enumerate(keys):
        if not isinstance(values, dict) or key not in values:
            place = ".".join(keys[:depth]) or "params.yaml"
            choices = ", ".join(map(str, values)) if isinstance(values, dict) else "nothing"
            raise KadanoffError(f"{place} has no entry {shown(key)}; it has: {choices}.")
        values = values[key]
    for key in values if isinstance(values, dict) else ():
        if not isinstance(key, str):
            kind = type(key).__name__
            raise KadanoffError(
                f"{'.'.join(keys)} has the key {shown(key)}, which YAML reads as {kind}; write '{key}'."
            )
    if not isinstance(values, dict):
        raise KadanoffError(f"{'.'.join(keys)} is {shown(values)}; it must be a mapping.")
    return values


def entry(root: Path, model: type[SectionType], *keys: str) -> SectionType:
    """The validated entry of params.yaml under `keys`; KadanoffError if there is none, or it breaks a rule."""
    return validated(model, section(root, *keys), ".".join(keys))
