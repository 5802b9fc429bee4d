"""Records that are gone: DVC removes the outputs of a stage before it runs it, and the stage may then fail."""

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from kadanoff.errors import KadanoffError
from kadanoff.lab.doctor.finding import Finding, Repair, count, listing
from kadanoff.lab.doctor.pipeline import Pipeline


def check(root: Path, pipeline: Pipeline, busy: set[Path]) -> Iterator[Finding]:
    """Outputs kept in Git that dvc.lock knows and the working folder lacks."""
    gone = [
        path
        for path, output in pipeline.outputs.items()
        if output.hash_info and not output.use_cache and not output.exists and Path(output.fs_path) not in busy
    ]
    kept = [path for path in gone if _in_git(root, path)]
    if kept:
        yield Finding(
            f"{count(len(kept), 'record')} missing, {listing(kept)}: DVC removes a stage's outputs before it runs it, "
            "and the stage did not finish.",
            Repair(f"restores from Git: {listing(kept)}.", partial(_restore, root, kept)),
        )
    for path in sorted(set(gone) - set(kept)):
        yield Finding(f"{path} is missing, and Git has no copy: make it again with `dvc repro`.")


def _in_git(root: Path, path: str) -> bool:
    try:
        return bool(_git(root, "ls-files", "--", path))
    except KadanoffError:
        return False  # no Git repository


def _restore(root: Path, paths: list[str]) -> None:
    _git(root, "checkout", "--", *(path for path in paths if not (root / path).exists()))


def _git(root: Path, *arguments: str) -> str:
    finished = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True)
    if finished.returncode:
        raise KadanoffError(f"`git {' '.join(arguments)}` failed: {finished.stderr.strip()}")
    return finished.stdout
