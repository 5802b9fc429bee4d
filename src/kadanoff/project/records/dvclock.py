"""What DVC has written down: the entries of dvc.lock, and the hash it gives a folder."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from kadanoff.errors import KadanoffError, shown

LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # all values as text: nine times as fast as YAML 1.2 in Python


def read_lock(root: Path) -> dict[str, dict[str, Any]]:
    """Entries of dvc.lock by stage address (`coarsen@cnn`), every value as text; none if there is no such file.

    Raises
    ------
    KadanoffError
        If the file cannot be read, or is not as DVC writes it.
    """
    path = root / "dvc.lock"
    if not path.exists():
        return {}
    try:
        stages = yaml.load(path.read_text(encoding="utf-8"), LOADER)["stages"]
        return {address: dict(entry) for address, entry in stages.items()}
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise KadanoffError(
            f"{path} is not as DVC writes it ({shown(str(error))}); restore it with `git checkout dvc.lock`."
        ) from error


def outputs(entry: dict[str, Any]) -> dict[str, str]:
    """DVC md5 of every output of one entry, by path; that of a folder ends in `.dir`."""
    outs = entry.get("outs")
    found = [out for out in outs if isinstance(out, dict)] if isinstance(outs, list) else []
    pairs = [(out.get("path"), out.get("md5")) for out in found]
    return {path: md5 for path, md5 in pairs if isinstance(path, str) and isinstance(md5, str)}


def file_md5(path: Path) -> str:
    """Hash that DVC gives a file."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def folder_md5(folder: Path, files: Iterable[Path]) -> str:
    """Hash that DVC gives a `folder` with these `files`: the md5 of the JSON list of their md5s and paths."""
    listing = [{"md5": file_md5(file), "relpath": file.relative_to(folder).as_posix()} for file in files]
    listing.sort(key=lambda item: item["relpath"])
    return hashlib.md5(json.dumps(listing).encode(), usedforsecurity=False).hexdigest() + ".dir"


def lock_key(entry: dict[str, Any]) -> str:
    """Name of what one entry pins down: the sha256 of its canonical JSON."""
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
