"""Results in other versions: what the dvc.lock of a commit pins, and which commits pin a result."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kadanoff.errors import KadanoffError
from kadanoff.project.published.git import Version, contents, folders, object_ids, read_files, versions
from kadanoff.project.published.lockfile import Result, parse_lock, results
from kadanoff.project.published.read import PUBLISHED, publication_name


@dataclass(frozen=True)
class Holding:
    """A commit that pins a result, in its dvc.lock or in that of a publication."""

    version: Version
    publication: str | None


def publications(root: Path, commit: str) -> list[str]:
    """Names of the results that are published in a commit."""
    return [name for name in folders(root, commit, f"reports/{PUBLISHED}") if _usable(name)]


def lock_path(publication: str | None) -> str:
    """Where a dvc.lock lies in a commit: that of the project, or of a publication."""
    return "dvc.lock" if publication is None else f"reports/{PUBLISHED}/{publication}/dvc.lock"


def record_path(publication: str | None, title: str) -> str:
    """Where a record lies in a commit."""
    return f"reports/{title}" if publication is None else f"reports/{PUBLISHED}/{publication}/{title}"


def results_at(root: Path, commit: str) -> dict[str | None, list[Result]]:
    """Results that a commit pins: under None those of its dvc.lock, under NAME those of reports/published/NAME.

    Raises
    ------
    KadanoffError
        If one of these files is broken.
    """
    places: dict[str | None, str] = {name: lock_path(name) for name in (None, *publications(root, commit))}
    found = read_files(root, [(commit, path) for path in places.values()])
    return {
        name: results(parse_lock(found[commit, path], f"{commit[:10]}:{path}"))
        for name, path in places.items()
        if (commit, path) in found
    }


def holders(root: Path, md5: str) -> list[Holding]:
    """The commits in which some dvc.lock, their own or that of a publication, has the md5 of a record; newest first.

    The text is searched, since reading hundreds of versions as YAML takes a minute: `pinned_by` reads one of them.
    """
    places = {(holding.version.commit, lock_path(holding.publication)): holding for holding in _everywhere(root)}
    ids = object_ids(root, places)
    line = re.compile(rb"^[\s-]*md5: " + re.escape(md5.encode()) + rb"\s*$", re.MULTILINE)
    having = {blob for blob, content in contents(root, ids.values()) if line.search(content)}
    return [holding for place, holding in places.items() if ids.get(place) in having]


def pinned_by(root: Path, holding: Holding, md5: str) -> tuple[dict[str, dict[str, Any]], str] | None:
    """Entries of the dvc.lock of one holder, and the address among them that has the record `md5`."""
    place = holding.version.commit, lock_path(holding.publication)
    try:
        stages = parse_lock(read_files(root, [place])[place], f"{holding.version.short}:{place[1]}")
    except KadanoffError:
        return None  # broken in this version; another one may do
    address = next((result.address for result in results(stages) if result.md5 == md5), None)
    return None if address is None else (stages, address)


def record_of_run(root: Path, title: str, run_id: str) -> str | None:
    """md5 of the record that a live run left behind, found by the id in its run.json in any version."""
    places = {
        (holding.version.commit, f"{record_path(holding.publication, title)}/run.json"): holding
        for holding in _everywhere(root)
    }
    ids = object_ids(root, places)
    mine = {blob for blob, content in contents(root, ids.values()) if run_id_of(content) == run_id}
    for holding in (holding for place, holding in places.items() if ids.get(place) in mine):
        lock = read_files(root, [(holding.version.commit, lock_path(holding.publication))])
        for result in (result for content in lock.values() for result in _results(content)):
            if result.title == title:
                return result.md5
    return None


def _everywhere(root: Path) -> list[Holding]:
    """The dvc.lock and the publications of every version, newest first."""
    commits = versions(root)
    folder = f"reports/{PUBLISHED}"
    trees = object_ids(root, [(version.commit, folder) for version in commits])
    holder = {tree: commit for (commit, _), tree in trees.items()}  # the same folder in hundreds of commits
    names = {tree: publications(root, commit) for tree, commit in holder.items()}
    return [
        Holding(version, name)
        for version in commits
        for name in (None, *names.get(trees.get((version.commit, folder), ""), []))
    ]


def run_id_of(run_json: bytes) -> str | None:
    """MLflow's id that a run.json names."""
    try:
        content = json.loads(run_json)
    except (ValueError, RecursionError):
        return None
    found = content.get("mlflow_run_id") if isinstance(content, dict) else None
    return found if isinstance(found, str) else None


def _results(lock: bytes) -> list[Result]:
    try:
        return results(parse_lock(lock, "dvc.lock"))
    except KadanoffError:
        return []  # a version whose dvc.lock is broken pins nothing, and must not hide the others


def _usable(name: str) -> bool:
    try:
        return bool(publication_name(name))
    except KadanoffError:
        return False
