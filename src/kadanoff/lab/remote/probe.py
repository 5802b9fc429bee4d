"""Does a remote work? Write a small file, read it back, delete it; every failure is a sentence with its remedy."""

import errno
import secrets
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from kadanoff.errors import KadanoffError

KEYS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE) in the environment; or, once .dvc/config has the "
    "remote, `dvc remote modify --local {name} access_key_id KEY` and `... secret_access_key SECRET`"
)
SERVER = "check the address and --endpoint, and that the server runs and can be reached from here"
LOGIN = (
    "check that `ssh {host}` logs in without a question: a key in an agent or ~/.ssh; or, once .dvc/config has "
    "the remote, `dvc remote modify --local {name} keyfile PATH`"
)
MISSING = "mount or create the folder (`mkdir -p {folder}`), then repeat the command"
FOLDER = "mount or create the folder, and check that it may be written"

# by S3 error code, or by the name of the exception where there is none: what is wrong, and the remedy
REASONS: dict[str, tuple[str, str]] = {
    "NoCredentialsError": ("there are no credentials for it", KEYS),
    "PartialCredentialsError": ("the key or its secret is missing", KEYS),
    "ProfileNotFound": ("AWS_PROFILE names a profile that ~/.aws does not have", KEYS),
    "InvalidAccessKeyId": ("the server does not know this access key", KEYS),
    "SignatureDoesNotMatch": ("the secret does not belong to the access key", KEYS),
    "ExpiredToken": ("the credentials have expired", KEYS),
    "403": ("the server refuses these keys", KEYS + "; or ask for read and write permission there"),
    "AccessDenied": ("these keys have no permission there", "ask the owner of the bucket for permission, or " + KEYS),
    "NoSuchBucket": ("there is no such bucket on the server", "create it, or correct the address and --endpoint"),
    "EndpointConnectionError": ("no server answers", SERVER),
    "SSLError": (
        "there is no trusted https",
        "write http:// in --endpoint if the server has no TLS; if its certificate is your own, AWS_CA_BUNDLE=FILE",
    ),
    "ConnectTimeoutError": ("no server answers", SERVER),
    "ConnectionClosedError": ("the server broke off the connection", SERVER),
    "HTTPClientError": ("what answers is no S3 server", SERVER),
    "gaierror": ("the name of the server is unknown", SERVER),
    "ConnectionRefusedError": ("no server answers", SERVER),
    "ConnectionLost": ("the server broke off the connection", SERVER),
    "TimeoutError": ("no server answers", SERVER),
    "PermissionDenied": ("the SSH server refuses the login", LOGIN),
    "EOFError": ("the SSH server wants a password and there is no terminal to ask for it", LOGIN),
    "HostKeyNotVerifiable": (
        "the key of the SSH server is not the known one",
        "ask its owner for the fingerprint, then `ssh {host}` once to accept it",
    ),
    "FileExistsError": ("a part of the path is a file", "give a folder"),
    "NotADirectoryError": ("a part of the path is a file", "give a folder"),
    "PermissionError": ("there is no permission to write or read", FOLDER),
    "FileNotFoundError": ("there is no such folder", MISSING),
}
SYSTEM = {
    errno.EROFS: ("it is read-only", FOLDER),
    errno.ENOSPC: ("its disk is full", "free some space"),
    errno.ENOENT: REASONS["FileNotFoundError"],
}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def explain(error: BaseException, url: str, name: str) -> str:
    """One sentence on what is wrong with a remote, and the remedy; no secret is in it."""
    causes = list(_chain(error))
    codes = [cause.response.get("Error", {}).get("Code") for cause in causes if hasattr(cause, "response")]
    parents = [parent.__name__ for cause in causes for parent in type(cause).__mro__]
    numbers = [SYSTEM.get(cause.errno) for cause in causes if isinstance(cause, OSError) and cause.errno]
    found = [REASONS[key] for key in codes if key in REASONS] + [entry for entry in numbers if entry]
    found += [REASONS[key] for key in parents if key in REASONS]
    what, remedy = found[0] if found else (f"{type(error).__name__}: {error}", "correct it and repeat the command")
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username and parts.scheme == "ssh" else ""
    place = parts._replace(netloc=user + parts.netloc.rpartition("@")[2]).geturl() if parts.netloc else url
    remedy = remedy.format(name=name, host=f"{user}{parts.hostname or ''}", folder=parts.path if parts.netloc else url)
    return f"the remote {place} cannot be used: {what}. Remedy: {remedy}."


def file_system(config: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[Any, str]:
    """DVC's file system of a remote, and the path in it.

    Raises
    ------
    KadanoffError
        If DVC has no such kind of remote, or lacks the package for it.
    """
    from dvc.config import ConfigError
    from dvc.fs import get_cloud_fs

    scheme = urlsplit(options["url"]).scheme
    try:
        kind, arguments, path = get_cloud_fs(config, **options)
        return kind(**arguments), path
    except (ConfigError, ValueError) as error:
        raise KadanoffError(
            f"{options['url']} is not an address for a remote ({error}); use s3://BUCKET/PATH, ssh://USER@HOST/PATH "
            "or a folder."
        ) from error
    except ImportError as error:
        raise KadanoffError(
            f"a package is missing for {scheme}:// ({error}); install it: `pip install 'dvc[{scheme}]'`."
        ) from error


def probe(
    config: Mapping[str, Any], options: Mapping[str, Any], name: str, *, write: bool = True, make: bool = True
) -> None:
    """Write a small file to a remote, read it back and delete it; or only read, if not `write`.

    Its folder is made before only if `make` says so: one that is gone may be a share that is not mounted.

    Raises
    ------
    KadanoffError
        What is wrong with the remote, and the remedy.
    """
    fs, folder = file_system(config, options)
    path, content = fs.join(folder, f".kadanoff-{secrets.token_hex(8)}"), secrets.token_bytes(64)
    try:
        if write:
            if make:
                fs.makedirs(folder, exist_ok=True)
            fs.pipe_file(path, content)
            try:
                found = fs.cat_file(path)
            finally:
                fs.remove(path)
            if found != content:
                raise KadanoffError(f"{options['url']} gives back other bytes than were written; use another storage.")
        else:
            _read(fs, folder, path)
    except (KadanoffError, KeyboardInterrupt):
        raise
    except Exception as error:  # each library has its own; all become one sentence
        raise KadanoffError(explain(error, options["url"], name)) from error


def _read(fs: Any, folder: str, path: str) -> None:
    """Ask for a file that is not there: a working remote says just that."""
    try:
        fs.cat_file(path)
    except FileNotFoundError as error:
        codes = [cause.response["Error"]["Code"] for cause in _chain(error) if hasattr(cause, "response")]
        if "NoSuchBucket" in codes or (fs.protocol != "s3" and not fs.exists(folder)):
            raise
