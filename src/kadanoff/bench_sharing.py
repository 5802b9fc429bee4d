"""The `sharing` section of `kadanoff bench`: the default datasets through a local S3 server, beside `rclone copy`.

Bytes on the wire are counted by a TCP relay between client and server, so that headers, listings and retries are in
them; spins are those that the datasets hold. Nothing is shared between the two clones but the server.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kadanoff.errors import KadanoffError

BUFFER = 1 << 16
STAGE = "simulate"  # what makes the datasets: for every target that DVC is given it takes most of a second
START_S = 30


class Relay:
    """Passes TCP connections on to a port of this machine and counts the bytes of both directions."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.bytes = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):  # it wakes the thread that waits for one
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # either side has hung up
            while data := source.recv(BUFFER):
                sink.sendall(data)
                with self._lock:
                    self.bytes += len(data)
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def _s3_server(folder: Path, keys: dict[str, str]) -> Iterator[int]:
    """Port of an S3 server over `folder`, until the block ends."""
    log, pair = folder.with_name("server.log"), ",".join(keys.values())
    command = ["rclone", "serve", "s3", "--config", "", "--auth-key", pair, "--addr", "127.0.0.1:0", str(folder)]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            deadline = time.monotonic() + START_S
            while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8"))):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise KadanoffError(f"`rclone serve s3` does not start: {log.read_text(encoding='utf-8')}")
                time.sleep(0.02)
            yield int(found[1])
        finally:
            process.kill()


class _Trip:
    """Runs commands and measures each: seconds, and bytes through the relay."""

    def __init__(self, relay: Relay, environment: dict[str, str]) -> None:
        self.relay, self.environment = relay, environment

    def run(self, folder: Path, *command: str) -> dict[str, Any]:
        start, before = time.perf_counter(), self.relay.bytes
        done = subprocess.run(
            command, cwd=folder, env=self.environment, capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode:
            raise KadanoffError(f"`{' '.join(command[:4])}` failed: {done.stderr}{done.stdout}")
        return {"seconds": time.perf_counter() - start, "bytes": self.relay.bytes - before}


def _clone(root: Path, target: Path, trip: _Trip, address: tuple[str, str]) -> Path:
    """A clone of the project with its own cache, whose default remote is `address`."""
    trip.run(root, "git", "clone", "-q", str(root), str(target))
    dvc = (sys.executable, "-m", "dvc")
    trip.run(target, *dvc, "remote", "add", "--local", "--default", "bench", address[0])
    trip.run(target, *dvc, "remote", "modify", "--local", "bench", "endpointurl", address[1])
    trip.run(target, *dvc, "remote", "modify", "--local", "bench", "verify", "true")
    return target


def _cache(root: Path) -> Path:
    """Where DVC keeps data and weights: a clone may share the cache of another."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        return Path(repo.cache.local.path).parents[1]  # of files/md5


def _spins(paths: list[Path]) -> int:
    import xarray

    return sum(int(xarray.open_zarr(path)["spins"].size) for path in paths)


def _round_trips(root: Path, paths: list[str], folder: Path, trip: _Trip, endpoint: str) -> list[dict[str, Any]]:
    """Rows for DVC, then for rclone, over the same files; the caches of the clones are their own."""
    dvc, address = (sys.executable, "-m", "dvc"), ("s3://bench/dvc", endpoint)
    first, second = (_clone(root, folder / name, trip, address) for name in ("first", "second"))
    shutil.copytree(_cache(root), first / ".dvc/cache")
    rows = [
        {"program": "dvc", "action": action} | trip.run(clone, *dvc, action, STAGE)
        for action, clone in (("push", first), ("pull", second))
    ]
    rows.append({"program": "dvc", "action": "push again"} | trip.run(first, *dvc, "push", STAGE))
    store = f":s3,provider=Rclone,env_auth=true,endpoint='{endpoint}',force_path_style=true:bench/rclone"
    for action, ends in (("push", (str(second / "data"), store)), ("pull", (store, str(folder / "third")))):
        rows.append({"program": "rclone", "action": action} | trip.run(folder, "rclone", "copy", "--config", "", *ends))
    for path in paths:
        if not _same(second / path, folder / "third" / Path(path).name):
            raise KadanoffError(f"{path} came back with other files; the bench is not to be trusted.")
    return rows


def _same(first: Path, second: Path) -> bool:
    content = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (first, second)
    ]
    return content[0] == content[1]


def sharing(root: Path) -> dict[str, Any] | None:
    """Seconds and bytes to push and pull all datasets of the project; None without rclone or without the datasets.

    Raises
    ------
    KadanoffError
        If a command fails.
    """
    from kadanoff.lab.records.dvclock import outputs, read_lock

    paths = sorted(path for entry in read_lock(root).values() for path in outputs(entry) if path.startswith("data/"))
    folders = [root / path for path in paths]
    if not shutil.which("rclone") or not paths or not all(folder.is_dir() for folder in folders):
        return None
    keys = {"AWS_ACCESS_KEY_ID": secrets.token_hex(12), "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20)}
    with tempfile.TemporaryDirectory(prefix="kadanoff-bench-") as temporary:
        folder = Path(temporary)
        (folder / "store/bench").mkdir(parents=True)
        environment = {**os.environ, **keys, "DVC_SITE_CACHE_DIR": str(folder / "site")}
        with _s3_server(folder / "store", keys) as port:
            relay = Relay(port)
            try:
                rows = _round_trips(root, paths, folder, _Trip(relay, environment), f"http://127.0.0.1:{relay.port}")
            finally:
                relay.close()
    files = [path for dataset in folders for path in dataset.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    return {"datasets": len(paths), "files": len(files), "bytes": size, "spins": _spins(folders), "rows": rows}


def show(result: dict[str, Any]) -> None:
    """Print the rows, with the bytes on the wire over those of the spins: int8, and one bit a spin."""
    from rich.console import Console
    from rich.table import Table

    print(f"{result['datasets']} datasets, {result['files']} files, {result['bytes']} bytes, {result['spins']} spins")
    grid = Table("program", "action", "seconds", "bytes on the wire", "bits / spin")
    for row in result["rows"]:
        bits = f"{8 * row['bytes'] / result['spins']:.2f}"
        grid.add_row(row["program"], row["action"], f"{row['seconds']:.2f}", f"{row['bytes']}", bits)
    Console().print(grid)
