"""Publish records: copies of them in reports/published/NAME, beside the entries of dvc.lock that pin them."""

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from kadanoff.errors import KadanoffError
from kadanoff.project.published.read import (
    MEGABYTE,
    PUBLISHED,
    Published,
    find_records,
    publication_name,
    read_record,
    record_files,
)
from kadanoff.project.records.dvclock import folder_md5, outputs, read_lock
from kadanoff.runtime.files import disk_errors, recover_folder, replace_folder

LARGEST_PUBLICATION = 20 * MEGABYTE  # it stays in Git for good


def publish(root: Path, name: str, only: Collection[str] = (), replace: bool = False) -> str:
    """Copy the records of the present results to reports/published/NAME, or `only` those of these STAGE[/VARIANT].

    All are published, or none. Records published as NAME before stay beside them. Returns what was done, as a sentence.

    Raises
    ------
    KadanoffError
        If a record differs from dvc.lock, so that no data belongs to it; if NAME holds another result of it and
        `replace` is not given; if the publication would be too large for Git; if NAME cannot be a folder.
    """
    target = root / "reports" / PUBLISHED / publication_name(name)
    for folder in (target, *target.parents[:2]):
        if folder.is_symlink():
            raise KadanoffError(f"{folder} is a symbolic link; published results are folders of the project.")
    base = root / ".checkpoints"
    with disk_errors(target):
        base.mkdir(exist_ok=True)
        with FileLock(base / "publish.lock"):
            recover_folder(target)
            pinned = _pinned(root, only)
            entries = read_lock(target)
            changed = [item for item in pinned if not _published(target, item, entries)]
            _refuse_others(target, [item[0].info.title for item in changed], replace)
            if changed:
                _write(root, target, changed, entries, base / f"publish-{name}")
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


def _published(target: Path, item: Item, entries: dict[str, dict[str, Any]]) -> bool:
    """Whether just this result is published already."""
    record, address, entry = item
    folder = target / record.info.title
    try:
        return entries.get(address) == entry and folder_md5(folder, record_files(folder).values()) == record.md5
    except KadanoffError:
        return False  # it is broken


def _refuse_others(target: Path, titles: list[str], replace: bool) -> None:
    others = [title for title in titles if (target / title).exists()]
    if others and not replace:
        raise KadanoffError(
            f"{target} holds other results of {', '.join(others)}, and stays as it is; publish under another name, or "
            "overwrite them with --replace."
        )


def _write(root: Path, target: Path, items: list[Item], entries: dict[str, dict[str, Any]], scratch: Path) -> None:
    """Build the whole publication aside, then put it in place in one rename."""
    shutil.rmtree(scratch, ignore_errors=True)  # left by a process that was killed
    try:
        if target.exists():
            shutil.copytree(target, scratch, ignore=_links)
        for record, _, _ in items:
            _copy(root / record.path, scratch / record.info.title, record.md5)
        stages = entries | {address: entry for _, address, entry in items}
        lock = yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False)
        (scratch / "dvc.lock").write_text(lock, encoding="utf-8")
        size = sum(file.lstat().st_size for file in scratch.rglob("*") if file.is_file())
        if size > LARGEST_PUBLICATION:
            raise KadanoffError(
                f"{target} would have {size / MEGABYTE:.0f} MB, and Git keeps them for good; published results have at "
                f"most {LARGEST_PUBLICATION // MEGABYTE} MB. Publish fewer records, or make their figures smaller."
            )
        replace_folder(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _copy(source: Path, folder: Path, md5: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, file in record_files(source).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / name)
    if folder_md5(folder, record_files(folder).values()) != md5:
        raise KadanoffError(f"{source} was changed while it was being published; repeat the command.")


def _links(folder: str, names: list[str]) -> list[str]:
    """Symbolic links in a publication: somebody else put them there, and nothing is written through them."""
    return [name for name in names if Path(folder, name).is_symlink()]
