"""DVC's list of a folder's files, a JSON object in cache and remote that somebody else may have written.

DVC joins the hashes in it to the path of its cache, and the names to that of the output, without a look: `dvc fetch`
deletes the file that a forged hash leads to, `dvc checkout` writes where a forged name leads.
"""

import json

from kadanoff.errors import KadanoffError
from kadanoff.lab.records.dvclock import MD5


def checked_md5(name: object, output: str) -> str:
    """The hash `name`, if it is an md5.

    Raises
    ------
    KadanoffError
        If it is none; `output` is what it belongs to.
    """
    if isinstance(name, str) and MD5.fullmatch(name):
        return name
    raise _refused(output, f"the hash {str(name)[:80]!r}, which is no md5")


def files(content: bytes, output: str) -> list[tuple[tuple[str, ...], str]]:
    """Parts of the path below the folder, and md5, of every file in a list.

    Raises
    ------
    KadanoffError
        If a hash is none, a path could lead out of the folder, or it is no list.
    """
    try:
        pairs = [(file["relpath"], file["md5"]) for file in json.loads(content)]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _refused(output, "a list of its files that DVC cannot have written") from error
    return [(_parts(path, output), checked_md5(md5, output)) for path, md5 in pairs]


def _parts(path: object, output: str) -> tuple[str, ...]:
    parts = tuple(path.split("/")) if isinstance(path, str) else ("",)
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise _refused(output, f"a file {str(path)[:80]!r}, which may lie outside of it")
    return parts


def _refused(output: str, what: str) -> KadanoffError:
    return KadanoffError(
        f"{output} has {what}. DVC would delete or overwrite what is there: run no dvc command before dvc.lock is "
        "that of a version you trust, and ask where this one came from."
    )
