"""What dvc.yaml says of the stages: their order, and a sentence for each."""

from pathlib import Path
from typing import Any

from kadanoff.errors import KadanoffError
from kadanoff.project.params import read_params, read_yaml


def read_stages(root: Path) -> dict[str, dict[str, Any]]:
    """Stages of dvc.yaml by name, in its order; of a `foreach` stage the part under `do`, and its `variants`.

    Raises
    ------
    KadanoffError
        If dvc.yaml or params.yaml is not the YAML that DVC reads.
    """
    path = root / "dvc.yaml"
    content = read_yaml(path)
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(body, dict) for body in stages.values()):
        raise KadanoffError(f"{path} has no mapping `stages`; restore it with `git checkout dvc.yaml`.")
    params = read_params(root)
    return {name: body.get("do", body) | {"variants": _variants(body, params)} for name, body in stages.items()}


def _variants(body: dict[str, Any], params: dict[str, Any]) -> list[str]:
    """Entries of `foreach`, which names a section of params.yaml (`${coarsen.variants}`) or lists them."""
    entries = body.get("foreach", ())
    if isinstance(entries, str):
        keys = entries.removeprefix("${").removesuffix("}").split(".")
        entries = params
        for key in keys:
            entries = entries.get(key, {}) if isinstance(entries, dict) else {}
    return [str(entry) for entry in entries] if isinstance(entries, dict | list) else []
