"""Tasks on a Dask cluster that is there already: `KADANOFF_CLUSTER` is its scheduler's address, or scheduler file."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kadanoff.errors import KadanoffError, without_secret
from kadanoff.runtime.files import fingerprint
from kadanoff.runtime.progress import progress

if TYPE_CHECKING:
    from distributed import Client, Future

SECONDS = 15  # for an answer of the scheduler
FILE_SECONDS = 60  # for its file: a job starts it just before
LIBRARIES = ("numba", "numpy", "scipy", "torch")  # those whose version can change a result
# read once, when PyTorch first multiplies: they change how it rounds
SETTINGS = ("MKL_CBWR", "CUBLAS_WORKSPACE_CONFIG")
Settings = dict[str, str | None]
_taken: list[Settings] = []  # by this worker


def cluster() -> str | None:
    """Address (``tcp://host:8786``) or scheduler file of the cluster that stages use, if there is one."""
    return os.environ.get("KADANOFF_CLUSTER") or None


def on_cluster(what: str, function: Callable[..., Any], tasks: Sequence[tuple], place: str) -> list[Any]:
    """[function(*task) for task in tasks], by the workers of the cluster at `place`; they see the same files.

    A task whose worker vanishes is computed by another one. The first error of a task ends all, and so does Ctrl-C.

    Raises
    ------
    KadanoffError
        If no scheduler answers, a worker runs other code or several tasks at once, or a task ends three workers.
    """
    from distributed import CancelledError, as_completed
    from distributed.scheduler import KilledWorker

    settings = {name: os.environ.get(name) for name in SETTINGS}
    with _connected(place) as client, progress(what, len(tasks)) as advance:
        others = [worker for worker, same in client.run(_settle, settings).items() if not same]
        if others:
            client.restart_workers(others)
        futures = client.map(partial(_checked, code(), settings, function), tasks, pure=False)
        try:
            for future in as_completed(futures, loop=client.loop):
                future.result()
                advance()
            return [future.result() for future in futures]
        except KilledWorker as error:
            raise KadanoffError(
                f"{what}: a task ended its worker again and again; has it too little memory?"
            ) from error
        except CancelledError as error:
            raise KadanoffError(f"{what}: the scheduler at {place} has ended; start it, and repeat this.") from error
        except RuntimeError as error:
            if "deserializ" not in str(error):
                raise
            raise KadanoffError(
                f"{what}: the scheduler or the workers at {place} cannot read the tasks ({error.__cause__ or error}); "
                "start them in the environment of this command."
            ) from error
        except BaseException:
            _end(client, futures)
            raise


@contextmanager
def _connected(place: str) -> Iterator["Client"]:
    from distributed import Client

    try:
        where = {"address": place} if "://" in place else {"scheduler_file": _awaited(place)}
        client = Client(**where, timeout=SECONDS, set_as_default=False)
    except Exception as error:  # of any kind, where versions differ much
        raise KadanoffError(
            f"KADANOFF_CLUSTER is {without_secret(place)}, where no Dask scheduler answers ({error}). Start one of "
            f"Dask {version('distributed')} with `dask scheduler --scheduler-file FILE`, or unset it to compute here."
        ) from error
    with client:
        _require_same_dask(client, place)
        workers = client.scheduler_info(-1)["workers"]
        if not workers:
            print(f"no worker has come to {without_secret(place)} yet; waiting for the first", file=sys.stderr)
        several = [name for name, worker in workers.items() if worker["nthreads"] > 1]
        if several:  # PyTorch's generator and number of threads are one for a process
            raise KadanoffError(
                f"the worker {several[0]} would compute several tasks at once; start it with `--nthreads 1`, and as "
                "many of them as it has cores with `--nworkers`."
            )
        yield client


def _awaited(file: str) -> str:
    """The scheduler's file, once it is there: for one that is not, Dask would wait for ever."""
    deadline = time.monotonic() + FILE_SECONDS
    while not Path(file).exists():
        if time.monotonic() > deadline:
            raise FileNotFoundError(f"no such file in {FILE_SECONDS} s")
        time.sleep(0.1)
    return file


def _require_same_dask(client: "Client", place: str) -> None:
    """Its protocol changes without notice."""
    versions: Any = client.get_versions()
    theirs = versions["scheduler"]["packages"]["distributed"]
    if theirs != version("distributed"):
        raise KadanoffError(
            f"the scheduler at {place} is of Dask {theirs}, and this command of {version('distributed')}; start it and "
            "its workers in the environment of this command."
        )


def _end(client: "Client", futures: Sequence["Future"]) -> None:
    """Nothing runs on: what waits is cancelled, and workers that compute one of these tasks begin anew."""
    ours = {future.key for future in futures}
    with suppress(Exception):  # the first error matters
        busy = [worker for worker, keys in client.processing().items() if ours.intersection(keys)]
        client.cancel(futures, force=True)
        if busy:
            client.restart_workers(busy)


@cache
def code() -> str:
    """Version of the package, hash of the source that decides results, and versions of the libraries that do."""
    from kadanoff import __version__

    return ", ".join((f"{__version__}-{fingerprint()}", *(f"{name} {_version(name)}" for name in LIBRARIES)))


def _version(library: str) -> str:
    try:
        return version(library).partition("+")[0]  # +cpu, +cu130: of one source
    except PackageNotFoundError:
        return "none"


def _settle(settings: Settings) -> bool:
    """Whether this worker computes with these settings: it takes those of its first command."""
    if not _taken:
        _taken.append(settings)
        for name, value in settings.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    return _taken == [settings]


def _checked(expected: str, settings: Settings, function: Callable[..., Any], task: tuple) -> Any:
    """One task on a worker."""
    if not _settle(settings):
        raise KadanoffError(f"a worker has computed with other settings than {settings}; start it again.")
    if code() != expected:
        raise KadanoffError(
            f"a worker has other code ({code()}) than this command ({expected}); install the same commit and libraries "
            "there, or start the workers in this folder's environment."
        )
    return function(*task)
