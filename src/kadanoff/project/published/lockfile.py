"""The entries of a dvc.lock that came from elsewhere: a publication, or another commit. Nothing in it is trusted."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kadanoff.errors import KadanoffError
from kadanoff.project.records.dvclock import outputs

LOCK = "dvc.lock"
LARGEST_LOCK = 16 * 2**20  # bytes; an entry has about 3 kB
ADDRESS = re.compile(r"[A-Za-z0-9][\w.=-]*(@[A-Za-z0-9][\w.=-]*)?", re.ASCII)  # safe inside a command to be copied
RECORD = re.compile(r"reports/[A-Za-z0-9][\w.=-]*(/[A-Za-z0-9][\w.=-]*)?", re.ASCII)
MD5 = re.compile(r"[0-9a-f]{32}\.dir", re.ASCII)


@dataclass(frozen=True)
class Result:
    """A record that a lock entry pins: its stage address, its path, and the md5 of its folder."""

    address: str
    path: str
    md5: str

    @property
    def title(self) -> str:
        """The result as a user calls it: `coarsen/cnn`."""
        return self.path.removeprefix("reports/")


def parse_lock(content: bytes, place: str) -> dict[str, dict[str, Any]]:
    """Entries by stage address (`coarsen@cnn`) of the content of a dvc.lock; `place` names it in messages.

    Raises
    ------
    KadanoffError
        If it is too large, or not the YAML that DVC writes.
    """
    if len(content) > LARGEST_LOCK:
        raise KadanoffError(
            f"{place} has {len(content) >> 20} MB; a lock file has at most {LARGEST_LOCK >> 20} MB. "
            "Restore it from the commit that wrote it."
        )
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, loader)):
            raise KadanoffError(f"{place} has YAML aliases, which DVC does not write; restore it from Git.")
        tree = yaml.load(content, loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise KadanoffError(f"{place} is not valid YAML ({error}); restore it from Git.") from error
    stages = tree.get("stages") if isinstance(tree, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(entry, dict) for entry in stages.values()):
        raise KadanoffError(f"{place} has no mapping `stages`; restore it from Git.")
    return stages


def lock_entries(folder: Path) -> dict[str, dict[str, Any]]:
    """Entries by stage address of the dvc.lock in `folder`; none if there is no such file.

    Raises
    ------
    KadanoffError
        If the file is broken, too large or a symbolic link.
    """
    path = folder / LOCK
    if path.is_symlink():
        raise KadanoffError(f"{path} is a symbolic link; put the file itself in its place.")
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        return parse_lock(file.read(LARGEST_LOCK + 1), str(path))


def results(stages: dict[str, dict[str, Any]]) -> list[Result]:
    """The records among the outputs of these entries; what no stage of ours can have written is left out."""
    return [
        Result(address, path, md5)
        for address, entry in stages.items()
        if isinstance(address, str) and ADDRESS.fullmatch(address)
        for path, md5 in outputs(entry).items()
        if RECORD.fullmatch(path) and MD5.fullmatch(md5)
    ]


def with_inputs(stages: dict[str, dict[str, Any]], address: str) -> list[str]:
    """`address` after the other stages of these entries that made what it read."""
    deps = stages[address].get("deps")
    read = [dep.get("path") for dep in deps if isinstance(dep, dict)] if isinstance(deps, list) else []
    makers = [
        other
        for other, entry in stages.items()
        if ADDRESS.fullmatch(str(other))
        for made in outputs(entry)
        if any(made == path or made.startswith(f"{path}/") for path in read)
    ]
    return [*dict.fromkeys(makers), address]
