"""The one reader of params.yaml, and of what else DVC reads."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from kadanoff.errors import KadanoffError, shown
from kadanoff.validation import SectionType, validated

MOST_NODES = 1_000_000  # values in params.yaml
MOST_WORDS = 200  # characters of what a parser says


def read_yaml(path: Path) -> Any:
    """What a file that DVC also reads holds, as DVC reads it: YAML 1.2, UTF-8, no key twice.

    Raises
    ------
    KadanoffError
        If the file cannot be read, or is not YAML.
    """
    try:
        # without C: the result then does not depend on what else is installed
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KadanoffError(f"cannot read {path}: {error.strerror or error}; make it a readable file.") from error
    except UnicodeDecodeError as error:
        raise KadanoffError(f"{path} is not UTF-8, from byte {error.start} on; save it as UTF-8 text.") from error
    except RecursionError as error:
        raise KadanoffError(f"{path} is not valid YAML: it is nested too deeply; make it flat.") from error
    except (YAMLError, ValueError, TypeError, AttributeError) as error:  # the latter of values with a wrong tag
        raise KadanoffError(f"{path} is not valid YAML: {_reason(error)}; mend or restore it.") from error


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    words = " ".join(str(getattr(error, "problem", None) or error).split())
    return words[:MOST_WORDS] + (f" (line {mark.line + 1})" if mark else "")


def read_params(root: Path) -> dict[str, Any]:
    """All sections of params.yaml in the folder `root`, unvalidated.

    Raises
    ------
    KadanoffError
        If the file is missing or is not a YAML mapping, a key is not text, or aliases make it endless.
    """
    path = root / "params.yaml"
    if not path.exists():
        raise KadanoffError(f"there is no {path}; run this in a folder of the project.")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise KadanoffError(f"{path} must be a mapping of sections, not {type(content).__name__}.")
    if _size(content, str(path), {}) > MOST_NODES:
        raise KadanoffError(f"{path} has more than {MOST_NODES} values, most of them by aliases; write fewer.")
    return content


def _size(value: Any, where: str, known: dict[int, int | None]) -> int:
    """How many values there are in a tree, each as often as aliases repeat it; `known` are sizes of its parts."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) in known:
        size = known[id(value)]
        if size is None:
            raise KadanoffError(f"{where} has an alias of what holds it; write out what is meant.")
        return size
    known[id(value)] = None
    for key in value if isinstance(value, dict) else ():
        if not isinstance(key, str):
            raise KadanoffError(
                f"{where} has the key {shown(key)}, which YAML reads as {type(key).__name__}; keys are text: rename it."
            )
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    size = known[id(value)] = 1 + sum(_size(part, f"{where}: {key}", known) for key, part in parts)
    return size


def section(root: Path, *keys: str) -> dict[str, Any]:
    """The mapping of params.yaml under `keys`, such as ("datasets", "coarsen16"), unvalidated.

    Raises
    ------
    KadanoffError
        If there is no such entry: the message lists those that there are.
    """
    values: Any = read_params(root)
    for depth, key in enumerate(keys):
        if not isinstance(values, dict) or key not in values:
            place = ".".join(keys[:depth]) or "params.yaml"
            choices = ", ".join(map(str, values)) if isinstance(values, dict) else "nothing"
            raise KadanoffError(f"{place} has no entry {shown(key)}; it has: {choices}.")
        values = values[key]
    if not isinstance(values, dict):
        raise KadanoffError(f"{'.'.join(keys)} is {shown(values)}; it must be a mapping.")
    return values


def entry(root: Path, model: type[SectionType], *keys: str) -> SectionType:
    """The validated entry of params.yaml under `keys`.

    Raises
    ------
    KadanoffError
        If there is no such entry, or it breaks a rule.
    """
    return validated(model, section(root, *keys), ".".join(keys))
