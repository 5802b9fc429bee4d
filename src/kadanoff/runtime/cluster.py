"""Tasks on a Dask cluster that is there already: `KADANOFF_CLUSTER` is its scheduler's address, or scheduler file."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from kadanoff.errors import KadanoffError, without_secret
from kadanoff.runtime.files import fingerprint
from kadanoff.runtime.progress import progress

if TYPE_CHECKING:
    from distributed import Client, Future

SECONDS = 15  # for an answer of the scheduler


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

    with _connected(place) as client, progress(what, len(tasks)) as advance:
        futures = client.map(partial(_checked, code(), function), tasks, pure=False)
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

    where = {"address": place} if "://" in place else {"scheduler_file": place}
    try:
        client = Client(**where, timeout=SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:  # Dask's own for a scheduler of another version, too
        raise KadanoffError(
            f"KADANOFF_CLUSTER is {without_secret(place)}, where no Dask scheduler answers ({error}). Start one with "
            "`dask scheduler --scheduler-file FILE`, or unset it to compute here."
        ) from error
    with client:
        several = [name for name, worker in client.scheduler_info(-1)["workers"].items() if worker["nthreads"] > 1]
        if several:  # PyTorch's generator and number of threads are one for a process
            raise KadanoffError(
                f"the worker {several[0]} would compute several tasks at once; start it with `--nthreads 1`, and as "
                "many of them as it has cores with `--nworkers`."
            )
        yield client


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
    """Hash of the source that decides results, and version of the package."""
    from kadanoff import __version__

    return f"{__version__}-{fingerprint()}"


def _checked(expected: str, function: Callable[..., Any], task: tuple) -> Any:
    """One task on a worker."""
    if code() != expected:
        raise KadanoffError(
            f"a worker has other code ({code()}) than this command ({expected}); install the same commit there, or "
            "start the workers in this folder's environment."
        )
    return function(*task)
