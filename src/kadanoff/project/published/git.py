"""Other versions of the project, read out of Git without checking them out."""

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kadanoff.errors import KadanoffError

# what Git and DVC keep for themselves: stashed and queued work, the experiment that runs now
HIDDEN = ("refs/stash", "refs/exps/exec/*", "refs/exps/celery/*", "refs/exps/stash*", "refs/exps/queue*")
NAMED = ("refs/heads", "refs/tags", "refs/remotes", "refs/exps/[0-9a-f][0-9a-f]/*")
FIELDS = ("%H", "%h", "%cs", "%D", "%s")
BLOBS_AT_ONCE = 100  # a lock file has some hundred kB
LARGEST_BLOB = 16 * 2**20  # bytes; larger ones are none of ours


@dataclass(frozen=True)
class Version:
    """A commit: its hash, short hash, date, the names that point to it, its subject."""

    commit: str
    short: str
    date: str
    names: str
    subject: str


def resolve(root: Path, rev: str) -> str:
    """Commit that a hash, tag, branch or name of a DVC experiment stands for.

    Raises
    ------
    KadanoffError
        If nothing has that name, or several experiments have it.
    """
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}").decode().strip()
    except KadanoffError:
        refs = _lines(_git(root, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps"))
        known = [line.split(" ", 1) for line in refs]
        # refs/exps/BASELINE/NAME, the baseline's hash cut after two digits
        found = {commit for commit, ref in known if ref.count("/") == 4 and ref.rpartition("/")[2] == rev}
    if len(found) == 1:
        return found.pop()
    if found:
        commits = ", ".join(sorted(commit[:10] for commit in found))
        raise KadanoffError(f"several experiments are called {rev!r}: {commits}; give one of these hashes.")
    raise KadanoffError(
        f"{rev!r} is no commit, tag, branch or experiment here; `git log` and `dvc exp list --all-commits` list them, "
        "`git fetch` and `dvc exp pull` bring those of others."
    )


def versions(root: Path) -> list[Version]:
    """All commits of all branches, tags and experiments, newest first."""
    hidden = [f"--exclude={ref}" for ref in HIDDEN]
    named = [f"--decorate-refs={ref}/*" for ref in NAMED]  # Git's own choice leaves experiments out
    form = "--format=" + "%x00".join(FIELDS)
    log = _git(root, "log", "--date-order", form, *named, *hidden, "--all", "HEAD")
    rows = [line.split("\0") for line in _lines(log)]
    return [Version(row[0], row[1], row[2], _names(row[3]), printable(row[4])) for row in rows]


def object_ids(root: Path, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Git's hash of each (commit, path) that exists, be it a file or a folder; one process answers for all."""
    asked = list(places)
    lines = "".join(f"{commit}:./{path}\n" for commit, path in asked)
    answers = _git(root, "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", given=lines.encode())
    rows = (line.split() for line in _lines(answers))
    return {
        place: row[0]
        for place, row in zip(asked, rows, strict=True)
        if row[1] in ("blob", "tree") and int(row[2]) <= LARGEST_BLOB
    }


def contents(root: Path, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Each different one of these hashes with its content."""
    unique = list(dict.fromkeys(ids))
    for first in range(0, len(unique), BLOBS_AT_ONCE):
        blobs = unique[first : first + BLOBS_AT_ONCE]
        answer = _git(root, "cat-file", "--batch=%(objectsize)", given="".join(f"{blob}\n" for blob in blobs).encode())
        stream = io.BytesIO(answer)
        for blob in blobs:
            yield blob, stream.read(int(stream.readline()))
            stream.read(1)  # the end of its line


def read_files(root: Path, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
    """Content of each (commit, path) that exists."""
    ids = object_ids(root, places)
    found = dict(contents(root, ids.values()))
    return {place: found[blob] for place, blob in ids.items()}


def folders(root: Path, commit: str, path: str) -> list[str]:
    """Names of the folders in the folder `path` of a commit; none if there is no such folder."""
    listing = _git(root, "ls-tree", "-d", "-z", "--name-only", commit, f"{path}/")
    return [name.rpartition("/")[2] for name in listing.decode(errors="replace").split("\0") if name]


def in_the_way(root: Path, commit: str, paths: Iterable[str]) -> bool:
    """Whether a file that Git follows was changed here and is one of `paths`, or another one in `commit`."""

    def differing(*arguments: str) -> set[str]:
        return set(_git(root, "diff", "--name-only", "-z", *arguments).decode(errors="replace").split("\0")) - {""}

    return bool(differing("HEAD", "--", *paths) or differing("HEAD", "--") & differing("HEAD", commit, "--"))


def follows(root: Path, path: str) -> bool:
    """Whether Git follows a file."""
    return bool(_git(root, "ls-files", "-z", "--", path))


def is_shallow(root: Path) -> bool:
    """Whether the clone was made without its older commits."""
    return _git(root, "rev-parse", "--is-shallow-repository").strip() == b"true"


@contextmanager
def snapshot(root: Path, commit: str) -> Iterator[Path]:
    """The dvc.lock and the records of a commit, in a temporary folder."""
    kept = _git(root, "ls-tree", "--name-only", commit, "dvc.lock", "reports").decode().splitlines()
    with tempfile.TemporaryDirectory(prefix="kadanoff-") as scratch:
        if kept:
            archive = _git(root, "archive", "--format=tar", commit, "--", *kept)
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                # only what a record may hold, and nothing outside of the folder
                tar.extractall(scratch, [member for member in tar if member.isfile()], filter="data")
        yield Path(scratch)


def printable(text: str) -> str:
    """`text` without what would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _lines(output: bytes) -> list[str]:
    """Lines of Git's output; a subject or a name in it may have what else Python takes for the end of a line."""
    return output.decode(errors="replace").split("\n")[:-1]


def _names(decoration: str) -> str:
    names = [name.removeprefix("HEAD -> ") for name in decoration.split(", ") if name not in ("", "HEAD")]
    short = [f"experiment {name.rpartition('/')[2]}" if name.startswith("refs/exps/") else name for name in names]
    return printable(", ".join(short))


def _git(root: Path, *arguments: str, given: bytes | None = None) -> bytes:
    try:
        return subprocess.run(["git", "-C", str(root), *arguments], input=given, capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise KadanoffError("there is no `git` on this machine; install it to look into other versions.") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip() or f"exit code {error.returncode}"
        raise KadanoffError(f"`git {arguments[0]}` failed in {root}: {printable(reason)[:300]}") from error
