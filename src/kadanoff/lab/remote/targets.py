"""What a user names on the command line: outputs and stages as DVC knows them, or all the data of a study."""

import difflib
from typing import TYPE_CHECKING

from kadanoff.errors import KadanoffError

if TYPE_CHECKING:
    from dvc.repo import Repo


def studies(repo: "Repo") -> dict[str, list[str]]:
    """Datasets that each study reads, as paths from the project's root.

    A study is a stage of dvc.yaml with all stages whose names begin with its name: `coarsen` has `coarsen_curve` too.
    """
    reads: dict[str, set[str]] = {}
    for stage in repo.index.stages:
        base = getattr(stage, "name", "").partition("@")[0]
        data = {dep.def_path for dep in stage.deps if dep.def_path.startswith("data/")}
        if base and data:
            reads.setdefault(base, set()).update(data)
    return {
        study: sorted(set().union(*(data for name, data in reads.items() if f"{name}_".startswith(f"{study}_"))))
        for study in reads
    }


def _nearest(target: str, names: list[str]) -> str:
    near = [name for name in names if target in name] or difflib.get_close_matches(target, names, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def changed(repo: "Repo", targets: list[str]) -> list[str]:
    """Outputs that are in place with content that the cache has not, so that DVC would lose it."""
    outs = [out for stage, _ in repo.index.collect_targets(targets) for out in stage.outs]
    return [out.def_path for out in outs if out.use_cache and out.exists and not out.cache.exists(out.get_hash().value)]


def resolve(repo: "Repo", targets: list[str]) -> list[str]:
    """The targets with every study replaced by its datasets.

    Raises
    ------
    KadanoffError
        If DVC does not know a target; with the choices.
    """
    from dvc.exceptions import DvcException
    from dvc.utils import relpath

    known, found = studies(repo), []
    for target in targets:
        paths = [relpath(repo.fs.join(repo.root_dir, path)) for path in known.get(target, [])] or [target]
        try:
            repo.index.collect_targets(paths)
        except DvcException as error:
            names = sorted([*known, *(out.def_path for out in repo.index.outs if out.use_cache)])
            raise KadanoffError(
                f"{target!r} is no study, stage or output of the project.{_nearest(target, names)} The studies are "
                f"{', '.join(sorted(known)) or 'none'}; "
                "`dvc list . --dvc-only -R` shows all files of the outputs."
            ) from error
        found += paths
    return list(dict.fromkeys(found))
