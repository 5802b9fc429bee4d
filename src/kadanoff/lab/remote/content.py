"""The objects of DVC's cache and remote, held against their md5s by reading them.

DVC remembers a hash by a file's name, time and size, and takes a pulled object's name for its content unless the
remote says `verify = true`; even then a changed list of a folder's files passes. Here every byte is read.
"""

from collections.abc import Iterable
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kadanoff.lab.remote.listing import checked_md5, files

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB

CHUNK = 1 << 20


class Item(NamedTuple):
    """One object: its md5 (`.dir` for the list of a folder's files), the output and the file it belongs to."""

    oid: str
    output: str
    file: Path


def digest(fs: Any, path: str) -> str:
    """The md5 of a file's content on any of DVC's file systems."""
    total = md5(usedforsecurity=False)
    with fs.open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            total.update(chunk)
    return total.hexdigest()


def intact(store: "HashFileDB", oid: str) -> bool:
    """Whether an object is there and is what its name says."""
    try:
        return digest(store.fs, store.oid_to_path(oid)) == oid.removesuffix(".dir")
    except FileNotFoundError:
        return False


def whole(store: "HashFileDB", oid: str) -> bytes | None:
    """Content of a small object, if it is there and is what its name says."""
    try:
        content: bytes = store.fs.cat_file(store.oid_to_path(oid))
    except FileNotFoundError:
        return None
    return content if md5(content, usedforsecurity=False).hexdigest() == oid.removesuffix(".dir") else None


def _within(path: Path, limit: Path | None) -> bool:
    return limit is None or path == limit or limit in path.parents or path in limit.parents


def items(repo: "Repo", targets: list[str], remote: "HashFileDB | None" = None) -> list[Item]:
    """Objects of the outputs that `targets` name, all of them if none is named.

    The files of a folder are among them only if its list is intact in the cache, or on the `remote` if that is given.

    Raises
    ------
    KadanoffError
        If a hash or a list of files is forged.
    """
    stores, found = [repo.cache.local, *([remote] if remote else [])], []
    for stage, filter_info in repo.index.collect_targets(targets):
        limit = Path(filter_info) if filter_info else None
        for out in stage.outs:
            path = Path(out.fs_path)
            if not (out.use_cache and out.hash_info and _within(path, limit)):
                continue
            oid, name = checked_md5(out.hash_info.value, out.def_path), out.def_path
            found.append(Item(oid, name, path))
            if not out.hash_info.isdir:
                continue
            lists = (whole(store, oid) for store in stores)
            content = next((content for content in lists if content is not None), b"[]")
            below = [(path.joinpath(*parts), md5) for parts, md5 in files(content, name)]
            found += [Item(md5, name, file) for file, md5 in below if _within(file, limit)]
    return found


def damaged(store: "HashFileDB", objects: Iterable[Item]) -> list[Item]:
    """Those of the objects that the store has with another content than their name says."""
    verdicts: dict[str, bool] = {}
    for item in objects:
        if item.oid not in verdicts:
            verdicts[item.oid] = store.exists(item.oid) and not intact(store, item.oid)
    return [item for item in objects if verdicts[item.oid]]


def discard(cache: "HashFileDB", bad: Iterable[Item]) -> None:
    """Remove damaged objects from the cache, with the copies that were made of them; a user's own files stay."""
    for item in bad:
        path = cache.oid_to_path(item.oid)
        if item.file.is_file() and digest(cache.fs, str(item.file)) == _digest_or_none(cache, path):
            item.file.unlink()
    for item in bad:
        if cache.exists(item.oid):
            cache.fs.remove(cache.oid_to_path(item.oid))


def _digest_or_none(cache: "HashFileDB", path: str) -> str | None:
    try:
        return digest(cache.fs, path)
    except FileNotFoundError:
        return None
