"""Publish records: copies of them in reports/published/NAME, beside the entries of dvc.lock that pin them."""

import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from kadanoff.errors import KadanoffError
from kadanoff.project.published.lockfile import LOCK, lock_entries, results
from kadanoff.project.published.read import (
    MEGABYTE,
    PUBLISHED,
    Published,
    find_records,
    publication_name,
    read_record,
    record_files,
)
from kadanoff.project.records.dvclock import folder_md5, outputs
from kadanoff.runtime.files import disk_errors, recover_folder, replace_folder

LARGEST_PUBLICATION = 20 * MEGABYTE  # it stays in Git for good
MOST_NAMED = 3  # differing numbers, in a message


@dataclass
class PublishReport:
    """What `publish` did, by record."""

    folder: str
    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.added and not self.replaced:
            return f"{self.folder} holds these {len(self.unchanged)} records already; nothing changed."
        lines = [f"{self.folder}: {len(self.added)} records added, {len(self.unchanged)} there already."]
        if self.replaced:
            lines.append(f"replaced: {', '.join(self.replaced)}")
        return "\n".join([*lines, f"Keep them in Git: git add {self.folder}"])


@dataclass(frozen=True)
class _Item:
    """A record to publish, and what pins it."""

    folder: Path
    record: Published
    address: str
    entry: dict[str, Any]


def publish(root: Path, name: str, only: Collection[str] = (), replace: bool = False) -> PublishReport:
    """Copy the records of the present results to reports/published/NAME, or `only` those of these STAGE[/VARIANT].

    All are published, or none. Records published as NAME before stay beside them.

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
            items = _pinned(root, only)
            entries = lock_entries(target)
            report = _compare(root, target, items, entries, replace)
            if report.added or report.replaced:
                changed = [item for item in items if item.record.info.title in report.added + report.replaced]
                _write(target, changed, entries, base / f"publish-{name}")
    return report


def _pinned(root: Path, only: Collection[str]) -> list[_Item]:
    """The records to publish; every one of them must be what dvc.lock says."""
    records = {folder.relative_to(root / "reports").as_posix(): folder for folder in find_records(root)}
    folders = {title: folder for title, folder in records.items() if not title.startswith(f"{PUBLISHED}/")}
    if unknown := [title for title in only if title not in folders]:
        raise KadanoffError(f"there is no record of {', '.join(unknown)}; there are: {', '.join(folders) or 'none'}.")
    stages = lock_entries(root)
    addresses = {result.path: result.address for result in results(stages)}
    items, loose = [], []
    for title, folder in folders.items():
        if only and title not in only:
            continue
        record = read_record(root, folder)
        address = addresses.get(record.locked_path)
        if address is None or outputs(stages[address])[record.locked_path] != record.md5:
            loose.append(title)
        else:
            items.append(_Item(folder, record, address, stages[address]))
    if loose:
        raise KadanoffError(
            f"these records are not those of dvc.lock, so no data belongs to them: {', '.join(loose)}. Bring them back "
            "with `git checkout reports dvc.lock`, make them with `dvc repro`, or name the records to publish."
        )
    if not items:
        raise KadanoffError(f"there is no record in {root / 'reports'} to publish; run `dvc repro` first.")
    return items


def _compare(
    root: Path, target: Path, items: Iterable[_Item], entries: dict[str, dict[str, Any]], replace: bool
) -> PublishReport:
    report = PublishReport(target.relative_to(root).as_posix())
    differences, present = [], set(find_records(root))
    for item in items:
        title = item.record.info.title
        old = target / title
        if old not in present:
            report.added.append(title)
        elif difference := _difference(root, old, item, entries.get(item.address)):
            report.replaced.append(title)
            differences.append(f"  {title}: {difference}")
        else:
            report.unchanged.append(title)
    if differences and not replace:
        raise KadanoffError(
            f"{report.folder} holds other results of these records, and stays as it is; publish under another name, or "
            "overwrite them with --replace:\n" + "\n".join(differences)
        )
    return report


def _difference(root: Path, old: Path, item: _Item, entry: dict[str, Any] | None) -> str:
    """How the published record in `old` differs from the one to publish; "" if it does not."""
    new = item.record
    try:
        published = read_record(root, old)
    except KadanoffError as error:
        return f"the published one is broken ({error})"
    if published.md5 == new.md5:
        return "" if entry == item.entry else "the same files, of another entry of dvc.lock"
    before, after = published.metrics, new.metrics
    names = [name for name in sorted(before | after) if before.get(name) != after.get(name)]
    if names:
        numbers = [f"{name} {_number(before, name)} -> {_number(after, name)}" for name in names[:MOST_NAMED]]
        more = len(names) - MOST_NAMED
        return ", ".join(numbers) + (f", and {more} more numbers" if more > 0 else "")
    return f"the same numbers; published by the run of {published.info.started:%Y-%m-%d %H:%M}, now of " + (
        f"{new.info.started:%Y-%m-%d %H:%M}"
    )


def _number(metrics: dict[str, float], name: str) -> str:
    return f"{metrics[name]:.6g}" if name in metrics else "(none)"


def _write(target: Path, items: list[_Item], entries: dict[str, dict[str, Any]], scratch: Path) -> None:
    """Build the whole publication aside, then put it in place in one rename."""
    shutil.rmtree(scratch, ignore_errors=True)  # left by a process that was killed
    try:
        if target.exists():
            shutil.copytree(target, scratch, ignore=_links)
        for item in items:
            _copy(item, scratch / item.record.info.title)
        entries = entries | {item.address: item.entry for item in items}
        lock = yaml.safe_dump({"schema": "2.0", "stages": entries}, sort_keys=False)
        scratch.mkdir(exist_ok=True)
        (scratch / LOCK).write_text(lock, encoding="utf-8")
        size = sum(file.lstat().st_size for file in scratch.rglob("*") if file.is_file())
        if size > LARGEST_PUBLICATION:
            raise KadanoffError(
                f"{target} would have {size / MEGABYTE:.0f} MB, and Git keeps them for good; published results have at "
                f"most {LARGEST_PUBLICATION // MEGABYTE} MB. Publish fewer records, or make their figures smaller."
            )
        replace_folder(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _copy(item: _Item, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, source in record_files(item.folder).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)
    if folder_md5(folder, record_files(folder).values()) != item.record.md5:
        raise KadanoffError(f"{item.folder} was changed while it was being published; repeat the command.")


def _links(folder: str, names: list[str]) -> list[str]:
    """Symbolic links in a publication: somebody else put them there, and nothing is written through them."""
    return [name for name in names if Path(folder, name).is_symlink()]
