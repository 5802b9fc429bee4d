"""The default remote: whether DVC checks what it downloads."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from kadanoff.lab.doctor.finding import Finding, Repair
from kadanoff.lab.doctor.pipeline import Pipeline


def check(root: Path, pipeline: Pipeline) -> Iterator[Finding]:
    """A remote whose objects are taken as they come."""
    config = pipeline.repo.config
    name = config["core"].get("remote")
    if name is None or name not in config["remote"] or config["remote"][name].get("verify"):
        return
    yield Finding(
        f"the DVC remote {name!r} lacks `verify = true`: an object that was damaged there or on the way is pulled as "
        "it is.",
        Repair(f"sets `verify = true` for {name!r} in the DVC configuration.", partial(_verify, pipeline, name)),
    )


def _verify(pipeline: Pipeline, name: str) -> None:
    config = pipeline.repo.config
    # beside its address: a remote of .dvc/config.local must not appear half in the file that Git keeps
    level = next(level for level in ("repo", "local", "global", "system") if name in config.read(level)["remote"])
    with config.edit(level) as content:
        content["remote"][name]["verify"] = True
