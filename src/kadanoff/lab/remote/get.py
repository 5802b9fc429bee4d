"""One output of another project, as `dvc get` brings it, put into place only if its md5 is right."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from kadanoff.errors import KadanoffError
from kadanoff.lab.files import disk_errors
from kadanoff.lab.records.dvclock import file_md5, folder_md5
from kadanoff.lab.remote.address import default_remote
from kadanoff.lab.remote.content import items
from kadanoff.lab.remote.probe import explain
from kadanoff.lab.remote.transfer import dvc

if TYPE_CHECKING:
    from dvc.repo import Repo


def _expected(source: str, path: str, revision: str | None) -> str:
    """The md5 that the other project has on record for one of its outputs; a folder's list of files is looked at."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError

    try:
        with DVCFileSystem(source, rev=revision).repo as repo:
            md5 = next((out.hash_info.value for out in repo.index.outs if out.def_path == path), None)
            names = sorted(out.def_path for out in repo.index.outs if out.use_cache)
            if md5:
                _check_list(repo, path)
    except (DvcException, SCMError, OSError) as error:
        raise KadanoffError(
            f"cannot open {source}{f' at {revision}' if revision else ''}: {error}. Give the address or folder of a "
            "Git repository, and a --rev that it has."
        ) from error
    if not names:
        raise KadanoffError(f"{source} is no Git repository with DVC data; give the address or folder of a project.")
    if not md5:
        raise KadanoffError(f"{source} has no output {path!r}; it has: {', '.join(names)}.")
    return str(md5)


def _check_list(repo: "Repo", path: str) -> None:
    """Refuse a forged list of a folder's files before `dvc get` writes where it leads."""
    remote = repo.cloud.get_remote_odb() if repo.config["core"].get("remote") else None
    try:
        found = items(repo, [repo.fs.join(repo.root_dir, path)], remote)  # a bare path is one of this folder
    except (KadanoffError, OSError):
        raise
    except Exception as error:  # each storage library has its own
        name, options = default_remote(repo)
        raise KadanoffError(explain(error, options["url"], name)) from error
    if len(found) == 1 and found[0].oid.endswith(".dir"):
        raise KadanoffError(
            f"the storage of that project lacks {path}, or has it damaged; nothing was kept. Remedy: `kadanoff push "
            f"--repair {path}` in a clone that has it; then repeat the command."
        )


def get(source: str, path: str, target: Path | None = None, revision: str | None = None) -> Path:
    """Download one dataset or network of a project, without its history; returns where it lies.

    Raises
    ------
    KadanoffError
        If the target exists or its folder does not, the project does not exist or lacks the output, or what arrives
        does not match its md5.
    """
    target = target or Path(Path(path).name)
    if target.exists():
        raise KadanoffError(f"{target} exists; nothing is overwritten: move it away, or give another --out.")
    if not target.absolute().parent.is_dir():
        raise KadanoffError(f"there is no folder {target.parent}; create it first.")
    if ":" not in source and not Path(source).is_dir():
        raise KadanoffError(f"there is no such folder: {source}; give the Git address or folder of a project.")
    expected = _expected(source, path, revision)
    with disk_errors(target), tempfile.TemporaryDirectory(prefix=".get-", dir=target.absolute().parent) as folder:
        arrived = Path(folder, target.name)
        extra = ["--rev", revision] if revision else []
        if not dvc("get", source, path, "-o", str(arrived), *extra):
            raise KadanoffError(
                f"`dvc get` failed, as it says above; nothing was kept. `kadanoff pull {path}` in a clone of "
                f"{source} says what is wrong with its remote; then repeat the command."
            )
        if arrived.is_dir():
            found = folder_md5(arrived, (file for file in arrived.rglob("*") if file.is_file()))
        else:
            found = file_md5(arrived)
        if found != expected:
            raise KadanoffError(
                f"what arrived of {path} has not the md5 that {source} has on record, and was thrown away. Remedy: "
                f"`kadanoff push --repair {path}` in a clone that has it; then repeat the command."
            )
        arrived.rename(target)
    return target
