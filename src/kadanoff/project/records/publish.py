"""Publish records: copies of them in reports/published/NAME, beside the entries of dvc.lock that pin them."""

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from kadanoff.errors import KadanoffError, shown
from kadanoff.project.params import read_yaml
from kadanoff.project.records.dvclock import outputs, read_lock
from kadanoff.project.records.read import PUBLISHED, Published, find_records, read_record, record_files
from kadanoff.runtime.files import NAME, alone, recover_folder, replace_folder

MEGABYTES = 20  # at most, of a publication: it stays in Git for good


def publish(root: Path, name: str, only: Collection[str] = (), replace: bool = False) -> str:
    """Copy the records of the present results to reports/published/NAME, or `only` those of these STAGE[/VARIANT].

    All are published, or none. Records published as NAME before stay beside them. Returns what was done, as a sentence.

    Raises
    ------
    KadanoffError
        If a record differs from dvc.lock, so that no data belongs to it; if NAME holds another result of it and
        `replace` is not given; if the publication would be too large for Git; if NAME cannot be a folder.
    """
    if not NAME.fullmatch(name):
        raise KadanoffError(
            f"{shown(name)} cannot name published results: use letters, digits, '_', '-' and '.', the first a letter "
            "or digit."
        )
    target = root / "reports" / PUBLISHED / name
    if link := next((path for path in (*target.parents[:2], target, *target.rglob("*")) if path.is_symlink()), None):
        raise KadanoffError(f"{link} is a symbolic link; published results are files of the project.")
    with alone(target, "publishing") as work:
        recover_folder(target)
        pinned = _pinned(root, only)
        entries = read_lock(target)
        changed = [item for item in pinned if not _published(root, target, item, entries)]
        others = [item[0].info.title for item in changed if (target / item[0].info.title).exists()]
        if others and not replace:
            raise KadanoffError(
                f"{target} holds other results of {', '.join(others)}, and stays as it is; publish under another "
                "name, or overwrite them with --replace."
            )
        if changed:
            _write(root, target, changed, work / name)
    place = target.relative_to(root)
    return f"{place}: {len(changed)} records added, {len(pinned) - len(changed)} there already. Next: git add {place}"


Item = tuple[Published, str, dict[str, Any]]
"""A record, and the address and entry of dvc.lock that pin it."""


def _pinned(root: Path, only: Collection[str]) -> list[Item]:
    """The records to publish; every one of them must be what dvc.lock says."""
    own = [folder for folder in find_records(root) if folder.relative_to(root).parts[1] != PUBLISHED]
    titles = {folder.relative_to(root / "reports").as_posix(): folder for folder in own}
    if unknown := [title for title in only if title not in titles]:
        raise KadanoffError(f"there is no record of {', '.join(unknown)}; there are: {', '.join(titles) or 'none'}.")
    records = [read_record(root, folder) for title, folder in titles.items() if not only or title in only]
    if not records:
        raise KadanoffError(f"there is no record in {root / 'reports'} to publish; run `dvc repro` first.")
    pins = {pin: (address, entry) for address, entry in read_lock(root).items() for pin in outputs(entry).items()}
    if loose := [record.info.title for record in records if (record.path, record.md5) not in pins]:
        raise KadanoffError(
            f"these records are not those of dvc.lock, so no data belongs to them: {', '.join(loose)}. Bring them back "
            "with `git checkout reports dvc.lock`, make them with `dvc repro`, or name the records to publish."
        )
    return [(record, *pins[record.path, record.md5]) for record in records]


def _published(root: Path, target: Path, item: Item, entries: dict[str, dict[str, Any]]) -> bool:
    """Whether just this result is published already."""
    record, address, entry = item
    try:
        return entries.get(address) == entry and read_record(root, target / record.info.title).md5 == record.md5
    except KadanoffError:
        return False  # it is broken


def _numbers(folder: Path) -> dict[str, Any]:
    """The entries that `read_lock` gives as text, with the types that DVC gives them."""
    path = folder / "dvc.lock"
    return read_yaml(path)["stages"] if path.exists() else {}


def _write(root: Path, target: Path, items: list[Item], scratch: Path) -> None:
    """Build the whole publication aside, then put it in place in one rename."""
    entries, own = _numbers(target), _numbers(root)
    if target.exists():
        shutil.copytree(target, scratch)
    for record, address, _ in items:
        shutil.rmtree(scratch / record.info.title, ignore_errors=True)
        for name, file in record_files(root / record.path).items():
            copy = scratch / record.info.title / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        entries[address] = own[address]
    lock = yaml.safe_dump({"schema": "2.0", "stages": entries}, sort_keys=False)
    (scratch / "dvc.lock").write_text(lock, encoding="utf-8")
    size = sum(file.stat().st_size for file in record_files(scratch).values()) / 2**20
    if size > MEGABYTES:
        raise KadanoffError(
            f"{target} would have {size:.0f} MB, and Git keeps them for good; published results have at most "
            f"{MEGABYTES} MB. Publish fewer records, or make their figures smaller."
        )
    replace_folder(scratch, target)
