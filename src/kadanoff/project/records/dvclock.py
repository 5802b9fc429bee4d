"""What DVC has written down: the entries of dvc.lock, and the hash it gives a folder."""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from kadanoff.errors import KadanoffError, shown

LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # all values as text: nine times as fast as YAML 1.2 in Python
MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


def read_lock(folder: Path) -> dict[str, dict[str, Any]]:
    """Entries by stage address (`coarsen@cnn`) of the dvc.lock in `folder`; none if there is no such file.

    That of a publication comes from outside: KadanoffError if it is a symbolic link, or not what DVC writes.
    """
    path = folder / "dvc.lock"
    if path.is_symlink():
        raise KadanoffError(f"{path} is a symbolic link; put the file itself in its place.")
    if not path.exists():
        return {}
    try:
        tree = yaml.load(path.read_bytes(), LOADER)  # DVC writes aliases where params.yaml has them
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise KadanoffError(f"{path} is not valid YAML ({error}); restore it from Git.") from error
    stages = tree.get("stages") if isinstance(tree, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(entry, dict) for entry in stages.values()):
        raise KadanoffError(f"{path} has no mapping `stages`; restore it with `git checkout dvc.lock`.")
    for name, md5 in (pair for entry in stages.values() for pair in outputs(entry).items()):
        if not MD5.fullmatch(md5):
            raise KadanoffError(
                f"{path}: {name} has the hash {shown(md5)}, which is no md5. DVC would take it for a path, and delete "
                "what is there: run no dvc command before `git checkout dvc.lock`, and ask where it came from."
            )
    return stages


def outputs(entry: dict[str, Any]) -> dict[str, str]:
    """DVC md5 of every output of one entry, by path; that of a folder ends in `.dir`."""
    outs = entry.get("outs")
    known = [out for out in outs if isinstance(out, dict)] if isinstance(outs, list) else []
    pairs = [(out.get("path"), out.get("md5")) for out in known]
    return {path: md5 for path, md5 in pairs if isinstance(path, str) and isinstance(md5, str)}


def file_md5(path: Path) -> str:
    """Hash that DVC gives a file."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def folder_md5(folder: Path, files: Iterable[Path]) -> str:
    """Hash that DVC gives a `folder` with these `files`: the md5 of the JSON list of their md5s and paths."""
    listing = [{"md5": file_md5(file), "relpath": file.relative_to(folder).as_posix()} for file in files]
    listing.sort(key=lambda item: item["relpath"])
    return hashlib.md5(json.dumps(listing).encode(), usedforsecurity=False).hexdigest() + ".dir"


def content_md5(path: Path) -> str | None:
    """Hash that DVC gives what is at `path`, a file or a folder; None if there is nothing."""
    if path.is_dir():
        return folder_md5(path, (file for file in path.rglob("*") if file.is_file()))
    return file_md5(path) if path.exists() else None
