"""A person's choice of a champion."""

import re
from pathlib import Path

from kadanoff.errors import KadanoffError
from kadanoff.project.published import find_records, read_record
from kadanoff.project.tracking.champions import candidate, promote, recorded_runs
from kadanoff.project.tracking.models import logged_models
from kadanoff.project.tracking.store import Store, open_store
from kadanoff.project.tracking.sync import sync
from kadanoff.project.tracking.where import named_run

RUN_ID = re.compile(r"[0-9a-f]{4,32}")


def promote_run(root: Path, name: str, force: bool = False) -> str:
    """Make the network of a run the champion of its study: what was done, as a sentence.

    `name` is STAGE/VARIANT for the present result, or the id of any run of the store.

    Raises
    ------
    KadanoffError
        If there is no such run, it left no network, or the present champion is not worse and `force` is not given.
    """
    store = open_store(root)
    run_id = _present_run(root, store, name) or named_run(store, name).info.run_id
    experiment = store.client.get_run(run_id).info.experiment_id
    logged = logged_models(store, experiment).get(run_id)
    if logged is None:
        raise KadanoffError(f"the run {name} left no network; only one that trained a network can be the champion.")
    return promote(store, candidate(logged), force)


def _present_run(root: Path, store: Store, title: str) -> str | None:
    """Run of the record reports/TITLE; None if there is no such record."""
    titles = {folder.relative_to(root / "reports").as_posix(): folder for folder in find_records(root)}
    folder = titles.get(title)
    if folder is None and "://" not in title and not RUN_ID.fullmatch(title):
        known = ", ".join(titles)
        raise KadanoffError(f"{title!r} is neither the id of a run nor one of the present results: {known}.")
    if folder is None:
        return None
    record = read_record(root, folder)
    sync(root).show()
    if (run_id := recorded_runs(store, store.experiment(record.info.stage)).get(record.md5)) is None:
        raise KadanoffError(f"{title} differs from dvc.lock, so no data belongs to it; run `dvc repro` or restore it.")
    return run_id
