"""Where the result of a run is kept: the commits that pin it, and the commands that bring it back."""

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow.entities import Run, ViewType

from kadanoff.errors import KadanoffError
from kadanoff.project.published import find_records, git, history, lockfile, read_record
from kadanoff.project.records.dvclock import outputs, read_lock
from kadanoff.project.tracking.store import RECORDED_ID, Store, open_store
from kadanoff.project.tracking.versions import summary, table, title_of

MOST_COMMITS = 20  # in a list; a result may live for hundreds
LONGEST_SUBJECT = 60
FOREIGN = "no stage of this project logged this run, so no version holds it."
INPUTS = ("dvc.lock", ":(glob)*.yaml")  # what a pull reads: the pipeline and its parameters
PATH = re.compile(r"[A-Za-z0-9][\w.=/-]*", re.ASCII)  # safe inside a command to be copied
RUN_ID = re.compile(r"(?:^|/)([0-9a-f]{4,32})(?:$|[/?#])")


@dataclass
class Whereabouts:
    """Where the result of a run is kept: `own` in the dvc.lock of commits, `published` in reports/published of others.

    Newest first. `note` says why there is none, `restore` holds the commands that bring it back. A `shallow` clone
    lacks older commits.
    """

    title: str
    run: Run
    own: list[history.Holding] = field(default_factory=list)
    published: list[history.Holding] = field(default_factory=list)
    note: str = ""
    restore: list[str] = field(default_factory=list)
    shallow: bool = False

    def __str__(self) -> str:
        lines = ["  ".join([self.title, *summary(self.run)])]
        if self.own:
            lines += ["in dvc.lock of:", _list(self.own)]
        if self.published:
            lines += ["published in:", _list(self.published)]
        if self.shallow:
            lines.append("this clone lacks older commits: `git fetch --unshallow` brings them.")
        return "\n".join([*lines, *([self.note] if self.note else []), *self.restore])


def where(root: Path, text: str) -> Whereabouts:
    """The commits, of all branches, tags and experiments, that hold the result of a run, and how to restore it.

    `text` is the id of a run, its unique beginning, or the address of its page.

    Raises
    ------
    KadanoffError
        If it names no run of this store, or several.
    """
    run = named_run(open_store(root), text)
    title = title_of(run)
    if not lockfile.RECORD.fullmatch(f"reports/{title}"):  # a tag may hold anything
        return Whereabouts("(no stage)", run, note=FOREIGN)
    found = Whereabouts(title, run, shallow=git.is_shallow(root))
    md5 = _record_md5(root, run, title)
    if md5 is None:
        found.note = _why_none(run)
        return found
    for holding in history.holders(root, md5):
        (found.own if holding.publication is None else found.published).append(holding)
    if not found.own and not found.published:
        found.note = _why_nowhere(root, run, title, md5)
    else:
        found.restore = _restore(root, [*found.own, *found.published], md5)
    return found


def named_run(store: Store, text: str) -> Run:
    """The run that `text` names: its id here or where it was made, its unique beginning, or the address of its page.

    Raises
    ------
    KadanoffError
        If it names no run of this store, or several.
    """
    match = RUN_ID.search(text.rpartition("/runs/")[2])
    if match is None:
        raise KadanoffError(
            f"{text[:200]!r} is no id of a run: give its 32 hexadecimal digits, the first of them (4 or more), or the "
            "address of its page; `kadanoff runs of HEAD` lists ids."
        )
    experiments = [e.experiment_id for e in store.client.search_experiments(view_type=ViewType.ALL)]
    runs: list[Run] = []
    for name in ("attributes.run_id", f"tags.`{RECORDED_ID}`"):
        query = f"{name} LIKE '{match[1]}%'"
        runs = runs or (
            list(store.client.search_runs(experiments, query, ViewType.ALL, max_results=6)) if experiments else []
        )
    if not runs:
        raise KadanoffError(f"this store has no run {match[1]}; `kadanoff runs sync` imports those of the records.")
    if len(runs) > 1:
        ids = ", ".join(run.info.run_id for run in runs)
        raise KadanoffError(f"several runs begin with {match[1]}: {ids}; give more digits.")
    return runs[0]


def _record_md5(root: Path, run: Run, title: str) -> str | None:
    """md5 of the run's record: from its tag, or (not yet synchronised) by its id, here and then in all versions."""
    md5 = run.data.tags.get("kadanoff.record", "")
    if lockfile.MD5.fullmatch(md5):
        return md5
    for folder in find_records(root):
        if history.run_id_of((folder / "run.json").read_bytes()) == run.info.run_id:
            return read_record(root, folder).md5
    return history.record_of_run(root, title, run.info.run_id)


def _why_none(run: Run) -> str:
    if "kadanoff.origin" not in run.data.tags:
        return FOREIGN
    if run.info.status == "RUNNING":
        return "it is still running; it leaves its record when it ends."
    if run.info.status != "FINISHED":
        return f"it ended as {run.info.status}: only a run that ends well leaves a record, so no version holds it."
    return "no version holds its record: a later run replaced it before it was committed. MLflow alone has its numbers."


def _why_nowhere(root: Path, run: Run, title: str, md5: str) -> str:
    if md5 in (found for entry in read_lock(root).values() for found in outputs(entry).values()):
        return f"it is in dvc.lock here, and in no commit yet: git add dvc.lock reports/{title}, then git commit."
    if run.data.tags.get("kadanoff.locked") == "edited":
        return "its record was edited by hand: no dvc.lock pins it, and no data belongs to it."
    return _why_none(run)


def _list(holdings: list[history.Holding]) -> str:
    rows = [
        [f"  {version.short}", version.date, version.subject[:LONGEST_SUBJECT], names and f"({names})"]
        for version, names in ((item.version, _names(item)) for item in holdings[:MOST_COMMITS])
    ]
    older = len(holdings) - MOST_COMMITS
    return table(rows) + (f"\n  and {older} older commits" if older > 0 else "")


def _names(holding: history.Holding) -> str:
    return ", ".join(filter(None, (holding.version.names, holding.publication and f"as {holding.publication}")))


def _restore(root: Path, holders: list[history.Holding], md5: str) -> list[str]:
    """Commands that bring back exactly this result, from the version that is checked out if it holds it."""
    head = git.resolve(root, "HEAD")
    for holding in sorted(
        holders, key=lambda holding: (holding.publication is not None, holding.version.commit != head)
    ):
        if found := history.pinned_by(root, holding, md5):
            stages, address = found
            break
    else:
        return []
    short, foreign = holding.version.short, holding.publication is not None
    if foreign and (root / "dvc.lock").exists() and not git.follows(root, "dvc.lock"):
        return ["restore: git add dvc.lock and commit it first, since that of the publication takes its place."]
    stash = ["git stash"] if git.in_the_way(root, head if foreign else holding.version.commit, INPUTS) else []
    kept = _kept(stages, address)
    pull = [f"kadanoff pull {' '.join(kept)}"] if kept else []
    if foreign:
        lock = f"git show {short}:./{history.lock_path(holding.publication)} > dvc.lock"
        there_and_back = f"({' && '.join([lock, *pull])}; git checkout dvc.lock)"  # back also if the pull fails
        return [f"restore: {' && '.join([*stash, there_and_back])}"] if pull else []
    go = [] if holding.version.commit == head else [f"git checkout {short}"]
    copies = [
        f"copy:    dvc get . {path} --rev {short} -o {name.stem}-{short}{name.suffix}"
        for path, name in ((path, PurePosixPath(path)) for path in _data(stages[address]))
    ]
    steps = [*stash, *go, *pull]
    return [*([f"restore: {' && '.join(steps)}"] if steps else []), *copies]


def _data(entry: dict[str, Any]) -> list[str]:
    """Outputs of one entry that are no record: Git has those."""
    return [path for path in outputs(entry) if PATH.fullmatch(path) and not lockfile.RECORD.fullmatch(path)]


def _kept(stages: dict[str, dict[str, Any]], address: str) -> list[str]:
    """Data and weights of a stage, and of all stages before it."""
    addresses = [address]
    for one in addresses:  # grows
        addresses += [maker for maker in lockfile.with_inputs(stages, one) if maker not in addresses]
    return sorted({path for one in addresses for path in _data(stages[one])})
