"""All checks in their order: what a later one relies on comes first."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kadanoff.errors import KadanoffError
from kadanoff.lab.doctor import cache, checkpoints, leftovers, locks, params, pipeline, records, remote, store
from kadanoff.lab.doctor.finding import Finding

Resumable = Callable[[Path], Mapping[str, str | None]]
"""The checkpoint folders that the stages would go on from now, by STAGE-VARIANT (`checkpoints.check`)."""


def examine(root: Path, resumable: Resumable) -> Iterator[Finding]:
    """Everything that is wrong in the project `root`, found without changing it."""
    yield from locks.check(root)
    stages: set[str] = set()
    try:
        with pipeline.open_pipeline(root) as found:
            busy = locks.busy(root)
            stages = {address.partition("@")[0] for address in found.addresses}
            yield from params.check(root, found)
            yield from records.check(root, found, busy)
            yield from cache.check(root, found, busy)
            yield from remote.check(root, found)
            yield from checkpoints.check(root, found, resumable)
    except KadanoffError as error:
        yield Finding(str(error))  # one remedy at a time: what follows would only repeat it
    yield from leftovers.check(root)
    yield from store.check(root, stages)
