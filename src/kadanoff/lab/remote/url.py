"""What may stand in .dvc/config for everybody: a well-formed address, without a credential, that all can reach."""

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kadanoff.errors import KadanoffError

WHERE = (
    "credentials belong in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; for SSH a "
    "key or an agent) or, once the remote is set up, in .dvc/config.local (`dvc remote modify --local NAME OPTION "
    "VALUE`), which Git ignores"
)
FORMS = "s3://BUCKET/PATH, ssh://USER@HOST/PATH or a folder"


def plain(url: str) -> str:
    """A URL without the user and password that somebody may have put in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.netloc else url


def refuse_credentials(url: str) -> None:
    """Refuse a password in a URL, and anything before an @ but the user of an SSH server.

    Raises
    ------
    KadanoffError
        Naming the places where credentials belong; the message does not repeat them.
    """
    try:
        parts = urlsplit(url)
        secret = parts.password is not None or ("@" in parts.netloc and parts.scheme != "ssh")
    except ValueError as error:
        raise KadanoffError(f"{url!r} is not an address: {error}.") from error
    if secret:
        raise KadanoffError(
            f"the address {plain(url)} was given with a key or password in it, and .dvc/config is shared through "
            f"Git: {WHERE}. Give the address without them."
        )


def is_folder(url: str) -> bool:
    """Whether an address is a folder of this machine, mounted or its own."""
    return "://" not in url


def in_project(root: Path, url: str) -> bool:
    """Whether an address is a folder inside the project, so that every clone has its own."""
    return is_folder(url) and Path(url).resolve().is_relative_to(root.resolve())


def as_written(address: str) -> str:
    """An address for .dvc/config: `~` is nothing to DVC; a relative folder stays one, to hold in every clone.

    Raises
    ------
    KadanoffError
        If there is no such home.
    """
    if not is_folder(address):
        return address
    try:
        return str(Path(address).expanduser())
    except RuntimeError as error:
        raise KadanoffError(f"{address}: there is no such user on this machine; write the path itself.") from error


def _folder(root: Path, address: str) -> str:
    """The absolute path of a folder that everybody can share."""
    word, colon, rest = address.partition(":")
    if colon and "/" not in word:
        right = f"{word}://{rest.lstrip('/')}" if word in ("s3", "ssh") and "@" not in rest else FORMS
        raise KadanoffError(f"an address has two slashes behind the colon of {word!r}; write {right}.")
    url = os.path.abspath(as_written(address))  # as DVC writes it: `..` goes
    if in_project(root, url):
        raise KadanoffError(
            f"{address} is inside this clone, and everybody would have his own; give a folder outside of {root} that "
            "all can reach, s3://BUCKET/PATH or ssh://USER@HOST/PATH."
        )
    return url


def _check_endpoint(address: str, endpoint: str) -> None:
    if not re.match("https?://", endpoint):
        refuse_credentials(f"http://{endpoint}")
        raise KadanoffError(f"--endpoint {endpoint} is no URL; write http://{endpoint}, or https:// if it has TLS.")
    refuse_credentials(endpoint)
    if not address.startswith("s3://"):
        raise KadanoffError(f"--endpoint is for S3-compatible servers, and {address} is none; leave it away.")


def settings(root: Path, address: str, endpoint: str | None) -> dict[str, Any]:
    """The shared options of an address, a folder being absolute.

    Raises
    ------
    KadanoffError
        If it is malformed, holds a credential, or is a folder inside the project at `root`.
    """
    refuse_credentials(address)
    if endpoint:
        _check_endpoint(address, endpoint)
    if address.startswith("s3://"):
        bucket = urlsplit(address).netloc
        if not bucket:
            raise KadanoffError(f"{address} names no bucket; write s3://BUCKET/PATH.")
        if bucket != bucket.lower() or "_" in bucket:
            raise KadanoffError(
                f"{bucket!r} is no name of an S3 bucket: they have lower-case letters, digits, '-' and '.' only; "
                "correct it as the server lists it."
            )
    url = _folder(root, address) if is_folder(address) else address
    return {"url": url, "verify": "true"} | ({"endpointurl": endpoint} if endpoint else {})
