"""The address of the shared storage, in .dvc/config: checked first, then written; never a credential."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kadanoff.errors import KadanoffError
from kadanoff.lab.files import NAME
from kadanoff.lab.records.dvclock import read_lock
from kadanoff.lab.remote.probe import probe
from kadanoff.lab.remote.url import WHERE, as_written, in_project, is_folder, plain, settings

if TYPE_CHECKING:
    from dvc.repo import Repo

SECRETS = {"access_key_id", "secret_access_key", "session_token", "password", "passphrase"}


@contextmanager
def open_project(root: Path) -> Iterator["Repo"]:
    """DVC's view of the project at `root`.

    Raises
    ------
    KadanoffError
        If DVC does not know the folder, cannot read its files, or refuses what is done in the block.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    read_lock(root)  # DVC would delete what a forged hash points to
    try:
        with Repo(str(root)) as repo:
            yield repo
    except DvcException as error:
        reasons = " ".join(filter(None, [str(error), str(error.__cause__ or "")])).rstrip(".")
        raise KadanoffError(f"DVC refuses in {root}: {reasons}. Nothing was changed; correct it and repeat.") from error


def _refuse_hiding(local: dict[str, Any], name: str, url: str) -> None:
    """The local file comes before the shared one: refuse to write an address that it would hide."""
    hidden = local["remote"].get(name, {}).get("url", url) != url
    if hidden:
        raise KadanoffError(
            f".dvc/config.local gives the remote {name!r} another address, which would hide this one; remove it with "
            f"`dvc remote modify --local --unset {name} url`, or choose another --name."
        )
    if local["core"].get("remote", name) != name:
        raise KadanoffError(
            f".dvc/config.local has another default remote, {local['core']['remote']!r}, which would hide this one; "
            "remove it with `dvc remote default --local --unset`."
        )


def set_remote(root: Path, address: str, endpoint: str | None = None, name: str = "storage") -> str:
    """Make an address the default remote of everybody who clones the project; returns what was done.

    It is written to .dvc/config only after a small file was written there, read back and deleted. Other options
    of a remote of that name stay (a region, a port), as long as it is of the same kind.

    Raises
    ------
    KadanoffError
        If the address holds a password or cannot be used; nothing is changed then.
    """
    if not NAME.fullmatch(name):
        raise KadanoffError(f"--name {name!r}: a name has letters, digits, '_', '-' and '.' only.")
    name, new = name.lower(), settings(root, address, endpoint)  # DVC's names are lower case
    with open_project(root) as repo:
        shared, local = repo.config.load_one("repo"), repo.config.load_one("local")
        old = shared["remote"].get(name, {})
        if found := sorted(SECRETS & old.keys()):
            raise KadanoffError(
                f".dvc/config has {', '.join(found)} of the remote {name!r}, and is shared through Git: {WHERE}. "
                f"Remove them (`dvc remote modify --unset {name} {found[0]}`), and give out new ones if they were "
                "pushed."
            )
        _refuse_hiding(local, name, new["url"])
        same_kind = urlsplit(str(old.get("url", ""))).scheme == urlsplit(new["url"]).scheme
        kept = {key: value for key, value in old.items() if same_kind and key != "endpointurl"}
        probe(repo.config, {**kept, **new, **local["remote"].get(name, {})}, name, make=not is_folder(new["url"]))
        with repo.config.edit("repo") as config:
            config["remote"][name] = {**kept, **new, "url": as_written(address)}
            config["core"]["remote"] = name
    return (
        f"{address}: a small file was written, read back and deleted. It is now the default remote {name!r} in "
        ".dvc/config, and what is pulled from it is checked against its md5. Next: `git commit -m 'Shared storage' "
        ".dvc/config`, then `kadanoff push`; everybody else then has `git pull` and `kadanoff pull`."
    )


def default_remote(repo: "Repo") -> tuple[str, dict[str, Any]]:
    """Name and options of the default remote.

    Raises
    ------
    KadanoffError
        If there is none.
    """
    name = str(repo.config["core"].get("remote") or "")
    if name not in repo.config["remote"]:
        raise KadanoffError(
            "the project has no default remote; `kadanoff remote ADDRESS` sets one up: s3://BUCKET/PATH, "
            "ssh://USER@HOST/PATH or a shared folder."
        )
    return name, dict(repo.config["remote"][name])


def show_remote(root: Path) -> str:
    """Check the default remote and say what it is; no folder is made for it.

    Raises
    ------
    KadanoffError
        If there is none, or it cannot be written and read.
    """
    with open_project(root) as repo:
        name, options = default_remote(repo)
        if in_project(root, options["url"]) and not Path(options["url"]).exists():
            return f"{options['url']}, the default remote {name!r}: not there yet, the first `kadanoff push` makes it."
        probe(repo.config, options, name, make=False)
    endpoint = f" at {plain(options['endpointurl'])}" if "endpointurl" in options else ""
    checks = "What `dvc pull` brings is checked against its md5."
    if not options.get("verify"):
        checks = f"`dvc pull` does not check what it brings: `dvc remote modify {name} verify true` makes it do so."
    return (
        f"{plain(options['url'])}{endpoint}, the default remote {name!r}: a small file was written, read back and "
        f"deleted. {checks}"
    )
