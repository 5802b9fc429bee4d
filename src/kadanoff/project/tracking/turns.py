"""Syncs to one server take turns: MLflow has no lock, but it registers a name only once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException

from kadanoff.errors import KadanoffError
from kadanoff.project.tracking.owners import lives
from kadanoff.project.tracking.store import Store, milliseconds, owner

LOCK = "kadanoff-sync"  # a registered model that exists while somebody synchronises
POLL_SECONDS = 0.5
ABANDONED_SECONDS = 600  # after which a sync of another machine is taken for dead


@contextmanager
def turn(store: Store) -> Iterator[None]:
    """Wait until no other machine synchronises to this server, and keep others waiting meanwhile.

    A store in a file has a lock of its own.

    Raises
    ------
    KadanoffError
        If another sync holds the server for longer than any takes.
    """
    if not store.shared:
        yield
        return
    _take(store)
    try:
        yield
    finally:
        store.client.delete_registered_model(LOCK)


def _take(store: Store) -> None:
    deadline = time.monotonic() + ABANDONED_SECONDS
    while time.monotonic() < deadline:
        try:
            store.client.create_registered_model(LOCK, tags=owner(), description="There while a sync runs.")
            return
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        if _abandoned(store):
            store.client.delete_registered_model(LOCK)
        else:
            time.sleep(POLL_SECONDS)
    raise KadanoffError(
        f"another sync to this server has not ended for {ABANDONED_SECONDS // 60} minutes. If none runs, delete the "
        f"registered model {LOCK!r} in MLflow, and repeat the command."
    )


def _abandoned(store: Store) -> bool:
    try:
        found = store.client.get_registered_model(LOCK)
    except MlflowException:
        return False  # it was just given free
    age = milliseconds(time.time()) - found.creation_timestamp
    return not lives(found.tags) or age > 1000 * ABANDONED_SECONDS
