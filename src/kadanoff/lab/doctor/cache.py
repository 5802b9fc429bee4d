"""Outputs whose objects in DVC's cache are missing or damaged.

DVC trusts an object by its read-only mode. Here the objects that dvc.lock names are read and hashed: that finds what a
full disk or a careless program has done to them, at the speed of MD5.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kadanoff.errors import KadanoffError
from kadanoff.lab.doctor.finding import Finding, Repair, beside, count, listing
from kadanoff.lab.doctor.pipeline import Pipeline
from kadanoff.lab.remote import pull
from kadanoff.lab.remote.content import intact
from kadanoff.lab.remote.listing import checked_md5, files
from kadanoff.lab.remote.transfer import dvc


@dataclass(frozen=True)
class Objects:
    """Objects of one output, by what is wrong with them."""

    damaged: list[Path]
    absent: list[str]


def check(root: Path, pipeline: Pipeline, busy: set[Path]) -> Iterator[Finding]:
    """Objects that do not match their md5, or are not there; outputs that are only in the cache."""
    kept = {
        path: output
        for path, output in pipeline.outputs.items()
        if output.use_cache and output.hash_info and Path(output.fs_path) not in busy
    }
    objects: dict[str, Objects] = {}
    for path, output in kept.items():
        try:
            objects[path] = _objects(path, output)
        except KadanoffError as error:
            yield Finding(str(error))
    if len(objects) == len(kept):  # else no repair may run dvc
        yield from _check_objects(root, pipeline, kept, objects)


def _check_objects(
    root: Path, pipeline: Pipeline, kept: dict[str, Any], objects: dict[str, Objects]
) -> Iterator[Finding]:
    lost: dict[str, list[str]] = {}
    away: list[str] = []
    for path, output in kept.items():
        found = objects[path]
        if found.damaged:
            yield _damaged(root, path, found.damaged)
        elif found.absent and output.exists and not output.workspace_status():
            yield Finding(
                f"DVC's cache lacks objects of {path}, which is in place: it can neither be pushed nor be restored.",
                Repair(f"puts {path} into the cache.", partial(output.commit, relink=False)),
            )
        elif found.absent and output.exists:
            yield Finding(
                f"{path} differs from dvc.lock, and DVC's cache lacks the version named there: move yours away, then "
                f"`kadanoff pull {path}`; or keep yours, with `dvc commit {path}`."
            )
        elif found.absent:
            lost[path] = found.absent
        elif not output.exists:
            away.append(path)
    if lost:
        yield _lost(root, pipeline, lost)
    if away:
        yield Finding(
            f"{listing(away)} {'is' if len(away) == 1 else 'are'} in DVC's cache and not in place, as in a new "
            "clone with an old cache, or after a stage that did not finish.",
            Repair(f"restores {listing(away)} by `dvc checkout`.", partial(_checkout, root, away)),
        )


def _objects(where: str, output: Any) -> Objects:
    """Look at every object of an output. The hashes come from files: what is no md5 must name no path."""
    names, found = [checked_md5(output.hash_info.value, where)], Objects([], [])
    for name in names:  # grows by the files of a folder
        path = Path(output.cache.oid_to_path(name))
        if not path.is_file():
            found.absent.append(name)
        elif not intact(output.cache, name):
            found.damaged.append(path)
        elif name.endswith(".dir"):
            names += sorted({md5 for _, md5 in files(path.read_bytes(), where)})
    return found


def _damaged(root: Path, path: str, objects: list[Path]) -> Finding:
    names = listing(
        [str(object.relative_to(root)) if object.is_relative_to(root) else str(object) for object in objects]
    )
    return Finding(
        f"{count(len(objects), 'object')} of {path} in DVC's cache {'does' if len(objects) == 1 else 'do'} not match "
        f"the md5: {names}. `dvc checkout` would put wrong data in place, and `dvc push` share it.",
        Repair("moves them aside, as FILE.broken-DATE.", partial(_set_aside, objects), removes=True),
    )


def _set_aside(objects: list[Path]) -> None:
    for path in objects:
        path.rename(beside(path, "broken"))


def _lost(root: Path, pipeline: Pipeline, lost: dict[str, list[str]]) -> Finding:
    what = f"{listing(sorted(lost))} {'is' if len(lost) == 1 else 'are'} neither in place nor in DVC's cache"
    remote = pipeline.repo.config["core"].get("remote")
    if remote is None:
        return Finding(f"{what}, and there is no remote: `dvc repro` makes them again.")
    if nowhere := _not_in_local_remote(pipeline, remote, lost):
        return Finding(
            f"{what}, and the remote {remote!r} lacks objects of {listing(nowhere)}: ask whoever has them to push, "
            "or make them again with `dvc repro`."
        )
    return Finding(
        f"{what}: as in a fresh clone.",
        Repair(f"pulls them from the remote {remote!r}.", partial(pull, root, [str(root / path) for path in lost])),
    )


def _not_in_local_remote(pipeline: Pipeline, name: str, lost: dict[str, list[str]]) -> list[str]:
    """Outputs that a remote which is a folder cannot give; a server is not asked, the pull does that."""
    odb = pipeline.repo.cloud.get_remote_odb(name)
    if odb.fs.protocol != "local":
        return []
    return [path for path, names in sorted(lost.items()) if not all(map(odb.exists, names))]


def _checkout(root: Path, paths: list[str]) -> None:
    absent = [path for path in paths if not (root / path).exists()]  # what lies there may be somebody's work
    if absent and not dvc("checkout", *absent, folder=root):
        raise KadanoffError("`dvc checkout` failed, as it says above; correct it and repeat the command.")
