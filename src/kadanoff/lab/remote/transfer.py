"""`dvc push` and `dvc pull`, with the content checked and every failure explained."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from kadanoff.errors import KadanoffError
from kadanoff.lab.remote.address import default_remote, open_project
from kadanoff.lab.remote.content import Item, damaged, discard, intact, items, whole
from kadanoff.lab.remote.listing import files
from kadanoff.lab.remote.probe import explain, probe
from kadanoff.lab.remote.targets import changed, resolve
from kadanoff.lab.remote.url import in_project, is_folder

if TYPE_CHECKING:
    from dvc.repo import Repo

AGAIN = "What is here is intact; the same command goes on where it stopped."
ELSEWHERE = (
    "Or ask for the address of the group's storage and give it to `kadanoff remote ADDRESS`, or make the data "
    "here with `dvc repro`."
)


def dvc(*arguments: str, folder: Path | None = None) -> bool:
    """Run a DVC command with its progress on this terminal; whether it succeeded."""
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, check=False).returncode == 0


def _outputs(objects: list[Item]) -> str:
    return " ".join(sorted({item.output for item in objects}))


def _named(objects: list[Item]) -> str:
    count = len({item.output for item in objects})
    return "1 output" if count == 1 else f"{count} outputs"


def _check_remote(repo: "Repo", write: bool) -> None:
    """Look for what is wrong with the remote itself; a folder is made only inside the project."""
    name, options = default_remote(repo)
    make = not is_folder(options["url"]) or in_project(Path(repo.root_dir), options["url"])
    try:
        probe(repo.config, options, name, write=write, make=make)
    except KadanoffError as error:
        raise KadanoffError(f"{error} {AGAIN if write else f'{ELSEWHERE} {AGAIN}'}") from error


def _make_way(repo: "Repo", objects: list[Item], repair: bool) -> list[Item]:
    """Make `dvc push` see what the remote lacks; returns what was damaged there, if `repair` asks for a look.

    DVC remembers what it has pushed, and takes a folder for complete if the list of its files is there. So the memory
    is cleared, damaged objects are removed, and the lists of folders that lack a file; then all that is here goes back.
    """
    from dvc_data.hashfile.db import get_index

    here, remote = [item for item in objects if repo.cache.local.exists(item.oid)], repo.cloud.get_remote_odb()
    with closing(get_index(remote)) as index:
        index.clear()
    if not here:
        return []
    bad = damaged(remote, here) if repair else []
    there = set(remote.oids_exist({item.oid for item in here})) - {item.oid for item in bad}
    broken = {item.output for item in here if item.oid not in there}
    lists = {item.oid for item in here if item.output in broken and item.oid.endswith(".dir")}
    for oid in {item.oid for item in bad} | (lists & there):
        remote.fs.remove(remote.oid_to_path(oid))
    return bad


def push(root: Path, targets: list[str], repair: bool = False) -> str:
    """Push outputs to the default remote; returns what was done.

    Objects that the remote has lost are pushed again, which `dvc push` alone does not see.

    Parameters
    ----------
    root
        Folder of the project.
    targets
        Studies, stages or outputs; all if there is none. Paths are from the current folder.
    repair
        Read every object on the remote and replace those that are damaged.

    Raises
    ------
    KadanoffError
        If an object of the local cache is damaged, or the push does not succeed: why, and the remedy.
    """
    with open_project(root) as repo:
        name, options = default_remote(repo)
        paths = resolve(repo, targets)
        objects = items(repo, paths)
        _check_remote(repo, write=True)  # before DVC, which makes a folder that is gone
        if not any(repo.cache.local.exists(item.oid) for item in objects):
            raise KadanoffError(
                f"nothing of {' '.join(targets) or 'the data'} is here to push; `kadanoff pull` or `dvc repro` first."
            )
        if bad := damaged(repo.cache.local, objects):
            raise KadanoffError(
                f"nothing was pushed: the local cache has {_outputs(bad)} damaged. `kadanoff pull {_outputs(bad)}` "
                "removes it and fetches it again; if the remote has it not, `dvc repro` makes it again."
            )
        try:
            replaced = _make_way(repo, objects, repair)
        except Exception as error:  # each storage library has its own
            raise KadanoffError(f"{explain(error, options['url'], name)} {AGAIN}") from error
        if not dvc("push", *paths):
            _check_remote(repo, write=True)
            raise KadanoffError(f"`dvc push` failed, as it says above; the remote answers now. {AGAIN}")
        absent = [item for item in objects if not repo.cache.local.exists(item.oid)]
    here = [item for item in objects if item.output not in {lacking.output for lacking in absent}]
    done = f"The remote {name!r} has {_named(here)} of this clone, {len({item.oid for item in here})} objects."
    done += f" Not here, so not pushed: {_outputs(absent)}." if absent else ""
    return done + (f" Damaged there, and replaced: {_outputs(replaced)}." if replaced else "")


def pull(root: Path, targets: list[str]) -> str:
    """Fetch outputs from the default remote, read them, and put them into place only if every md5 is right.

    Returns what was done.

    Parameters
    ----------
    root
        Folder of the project.
    targets
        Studies, stages or outputs; all if there is none. Paths are from the current folder.

    Raises
    ------
    KadanoffError
        If something is missing, damaged or forged, or the remote cannot be used: which outputs, and the remedy.
    """
    with open_project(root) as repo:
        paths = resolve(repo, targets)
        before, cache = items(repo, paths), repo.cache.local
        discard(cache, damaged(cache, before))  # of a disk error, or of a `dvc pull` that did not check
        had = {item.oid for item in before if cache.exists(item.oid)}
        fetched = _fetch_lists(repo, before) and dvc("fetch", *paths)
        objects = items(repo, paths)
        bad = damaged(cache, [item for item in objects if item.oid not in had])
        discard(cache, bad)
        if not fetched or any(not cache.exists(item.oid) for item in objects):
            _explain_pull(repo, paths, fetched, bad)
        if not dvc("checkout", *paths):
            _explain_checkout(changed(repo, paths))
    return f"{_named(objects)} in place, {len({item.oid for item in objects})} objects: every md5 is right."


def _explain_checkout(outputs: list[str]) -> None:
    """Say which outputs have changes that DVC would not overwrite."""
    if not outputs:
        raise KadanoffError("`dvc checkout` failed, as it says above; correct it and repeat the command.")
    raise KadanoffError(
        f"{', '.join(outputs)}: there are changes of yours in it, and none was overwritten. Remedy: move it away and "
        f"repeat the command, or throw the changes away with `dvc checkout --force {' '.join(outputs)}`."
    )


def _fetch_lists(repo: "Repo", objects: list[Item]) -> bool:
    """Bring the lists of folders into the cache, where DVC looks first, each checked before; whether all came.

    What was imported from another project is not on the remote; DVC hashes those files itself.
    """
    cache = repo.cache.local
    imported = {out.def_path for stage in repo.index.stages if stage.is_repo_import for out in stage.outs}
    lists = {item.oid: item.output for item in objects if item.oid.endswith(".dir") and item.output not in imported}
    lacking = {oid: output for oid, output in lists.items() if not cache.exists(oid)}
    if not lacking:
        return True
    name, options = default_remote(repo)
    try:
        remote = repo.cloud.get_remote_odb()
        found = {oid: whole(remote, oid) for oid in lacking}
    except Exception as error:  # each storage library has its own
        raise KadanoffError(f"{explain(error, options['url'], name)} {AGAIN}") from error
    for oid, content in found.items():
        if content is not None:
            files(content, lacking[oid])
            cache.add_bytes(oid, content)
    return None not in found.values()


def _explain_pull(repo: "Repo", paths: list[str], fetched: bool, bad: list[Item]) -> None:
    """Say why objects did not arrive: the remote fails, lacks them, or has other bytes under their names."""
    _check_remote(repo, write=False)
    remote, discarded = repo.cloud.get_remote_odb(), {item.oid for item in bad}
    absent = [item for item in items(repo, paths, remote) if not repo.cache.local.exists(item.oid)]
    # not oids_exist, which deletes what is damaged in a remote that is a folder
    there = set(remote.list_oids_exists([item.oid for item in absent])) if absent else set()
    missing = [item for item in absent if item.oid not in there]
    wrong = [  # without a failure, DVC has dropped it in silence, as the remote says `verify = true`
        item
        for item in absent
        if item.oid in there
        and (item.oid in discarded or fetched or (item.oid.endswith(".dir") and not intact(remote, item.oid)))
    ]
    if wrong:
        raise KadanoffError(
            f"the remote has other bytes than the md5 says for {_outputs(wrong)}; what came was removed and nothing "
            f"of it was used. Remedy: `kadanoff push --repair {_outputs(wrong)}` in a clone that has it. {AGAIN}"
        )
    if missing:
        raise KadanoffError(
            f"the remote lacks {_outputs(missing)}. Remedy: `kadanoff push {_outputs(missing)}` in a clone that has "
            f"it, or `dvc repro` here to make it. {AGAIN}"
        )
    raise KadanoffError(f"the fetch failed, as DVC says above; the remote answers now. {AGAIN}")
