"""What DVC has written down: the entries of dvc.lock, and the hash it gives a folder."""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kadanoff.errors import KadanoffError
from kadanoff.project.params import read_yaml

MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


def read_lock(root: Path) -> dict[str, dict[str, Any]]:
    """Entries of dvc.lock by stage address (`coarsen@cnn`); none if there is no such file.

    Raises
    ------
    KadanoffError
        If the file cannot be read or is not YAML, or a hash in it is none.
    """
    path = root / "dvc.lock"
    if not path.exists():
        return {}
    content = read_yaml(path)
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(entry, dict) for entry in stages.values()):
        raise KadanoffError(f"{path} has no mapping `stages`; restore it with `git checkout dvc.lock`.")
    for entry in stages.values():
        for name, md5 in outputs(entry).items():
            if not MD5.fullmatch(md5):
                raise KadanoffError(
                    f"{path}: {name} has the hash {md5[:80]!r}, which is no md5. DVC would take it for a path, and "
                    "delete what is there: run no dvc command before `git checkout dvc.lock`, and ask where it came "
                    "from."
                )
    return stages


def outputs(entry: dict[str, Any]) -> dict[str, str]:
    """DVC md5 of every output of one entry, by path; that of a folder ends in `.dir`."""
    outs = entry.get("outs")
    pairs = (
        [(out.get("path"), out.get("md5")) for out in outs if isinstance(out, dict)] if isinstance(outs, list) else []
    )
    return {path: md5 for path, md5 in pairs if isinstance(path, str) and isinstance(md5, str)}


def file_md5(path: Path) -> str:
    """Hash that DVC gives a file."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def folder_md5(folder: Path, files: Iterable[Path]) -> str:
    """Hash that DVC gives a `folder` with these `files`: the md5 of the JSON list of their md5s and paths."""
    listing = [
        {
            "md5": file_md5(file),
            "relpath": file.relative_to(folder).as_posix(),
        }
        for file in files
    ]
    listing.sort(key=lambda item: item["relpath"])
    return hashlib.md5(json.dumps(listing).encode(), usedforsecurity=False).hexdigest() + ".dir"


def lock_key(entry: dict[str, Any]) -> str:
    """Name of what one entry pins down: the sha256 of its canonical JSON."""
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
