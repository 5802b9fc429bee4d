"""The best network of each study: a registered model named after the study, and its alias `champion`.

The sync moves the alias to a better network by itself. `promote` is a person's choice, which the sync then respects.
"""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mlflow.entities import LoggedModel
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.project.published import Published
from kadanoff.project.tables import cell
from kadanoff.project.tracking.models import bring_model, logged_models
from kadanoff.project.tracking.store import Store

ALIAS = "champion"
MODEL = "model_id"  # tag of a version: MLflow's SQL store forgets this field
BY_HAND = "chosen_by_hand"
_VERSIONS = "mlflow.modelVersions"  # MLflow's own tag, by which a logged model's page shows its versions


@dataclass(frozen=True)
class Candidate:
    """A logged model and the number by which it competes."""

    model_id: str
    run_id: str
    study: str
    name: str
    metric: str
    score: Estimate
    greater_is_better: bool
    contender: bool
    task: str
    data: str

    def comparable(self, other: "Candidate") -> bool:
        """Whether both scores are of the same metric, task and data."""
        return (self.metric, self.task, self.data) == (other.metric, other.task, other.data)

    def beats(self, other: "Candidate") -> bool:
        """Whether this score is the better one."""
        gain = self.score.mean - other.score.mean
        return gain > 0 if self.greater_is_better else gain < 0

    @property
    def shown(self) -> str:
        """The score as it should be read."""
        return cell(self.score if math.isfinite(self.score.error) else self.score.mean)

    def __str__(self) -> str:
        return f"{self.study}/{self.name} ({self.metric} {self.shown})"


def candidate(logged: LoggedModel) -> Candidate:
    """A logged model as a candidate.

    Raises
    ------
    KadanoffError
        If it was not logged by a study, or its run has no such metric.
    """
    tags, metrics = logged.tags, {point.key: point.value for point in logged.metrics or []}
    try:
        metric = tags["metric"]
        return Candidate(
            model_id=logged.model_id,
            run_id=str(logged.source_run_id),
            study=tags["stage"],
            name=tags["variant"] or tags["stage"],
            metric=metric,
            score=Estimate(metrics[metric], metrics.get(f"{metric}_error", float("nan"))),
            greater_is_better=tags["greater_is_better"] == "true",
            contender=tags["contender"] == "true",
            task=tags["task"],
            data=tags["data"],
        )
    except KeyError as error:
        raise KadanoffError(
            f"the MLflow model {logged.name} ({logged.model_id}) has no {error}; only a network of a study, with its "
            "held-out metric, can be compared."
        ) from error


def update(store: Store, records: Sequence[Published]) -> list[str]:
    """Log the networks of these records as far as MLflow lacks them, and crown the best; what is to be told of it.

    Published results are logged and do not compete: a champion's weights should be at hand.
    """
    told = []
    studies: dict[str, list[Published]] = defaultdict(list)
    for record in records:
        if record.info.model is not None:
            studies[record.info.stage].append(record)
    for study, group in studies.items():
        logged = _bring_models(store, store.experiment(study), group)
        competing = [
            candidate(logged[record.md5]) for record in group if record.publication is None and record.md5 in logged
        ]
        if note := crown_best(store, study, competing):
            told.append(note)
    return told


def _bring_models(store: Store, experiment: str, group: Sequence[Published]) -> dict[str, LoggedModel]:
    """The logged networks of records, by the md5 of the record."""
    runs, known = recorded_runs(store, experiment), logged_models(store, experiment)
    return {
        record.md5: bring_model(store, run_id, record.info, known.get(run_id))
        for record in group
        if (run_id := runs.get(record.md5))
    }


def recorded_runs(store: Store, experiment: str) -> dict[str, str]:
    """Ids of the runs that show a record of dvc.lock, by the md5 of the record."""
    locked = store.client.search_runs([experiment], "tags.`kadanoff.locked` = 'yes'", max_results=50_000)
    return {run.data.tags["kadanoff.record"]: run.info.run_id for run in locked}


def crown_best(store: Store, study: str, candidates: Sequence[Candidate]) -> str | None:
    """Make the best contender the champion, if there is none or a worse one; what is to be told of it."""
    contenders = [item for item in candidates if item.contender]
    if not contenders:
        return None
    if (reigning := champion(store, study)) is None:
        groups: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
        for item in contenders:
            groups[item.task, item.data].append(item)
        return _crown(store, _best(max(groups.values(), key=len)))
    rivals = [item for item in contenders if item.comparable(reigning)]
    if not rivals:
        return (
            f"the champion of {study} is {reigning}, measured on {reigning.task} with {reigning.data}: no present "
            f"network can be compared with it; `kadanoff runs promote {study}/NAME --force` replaces it."
        )
    best = _best([reigning, *rivals])
    if best is reigning:
        return None
    if _chosen_by_hand(store, study):
        return (
            f"{best} is better than {reigning}, which was made champion by hand; `kadanoff runs promote` replaces it."
        )
    return _crown(store, best)


def promote(store: Store, new: Candidate, force: bool) -> str:
    """Make `new` the champion of its study. If it is not the better one, the sync keeps it all the same.

    Raises
    ------
    KadanoffError
        If the present champion is better or cannot be compared with it, and `force` is not given.
    """
    reigning = champion(store, new.study)
    if reigning is None or reigning.model_id == new.model_id:
        return _crown(store, new)
    told = "Say `--force` if it shall be the champion all the same."
    if not new.comparable(reigning):
        reason = (
            f"{new} and the champion {reigning} cannot be compared: {new.task} with {new.data} is not {reigning.task} "
            f"with {reigning.data}. {told}"
        )
    elif not new.beats(reigning):
        reason = f"{new} is not better than the champion {reigning}. {told}"
    else:
        return _crown(store, new)
    if not force:
        raise KadanoffError(reason)
    told = _crown(store, new)
    store.client.set_registered_model_tag(new.study, BY_HAND, "true")
    return told


def champion(store: Store, study: str) -> Candidate | None:
    """The present champion of a study; None too if its model was deleted, or somebody else gave out the alias."""
    try:
        version = store.client.get_model_version_by_alias(study, ALIAS)
        return candidate(store.client.get_logged_model(version.tags.get(MODEL, "")))
    except (MlflowException, KadanoffError):
        return None  # MLflow has no gentler way to say that there is none


def _chosen_by_hand(store: Store, study: str) -> bool:
    return BY_HAND in store.client.get_registered_model(study).tags


def _best(candidates: Sequence[Candidate]) -> Candidate:
    best = candidates[0]
    for item in candidates[1:]:
        best = item if item.beats(best) else best
    return best


def _crown(store: Store, new: Candidate) -> str:
    version = _version(store, new)
    store.client.set_registered_model_alias(new.study, ALIAS, version.version)
    if _chosen_by_hand(store, new.study):
        store.client.delete_registered_model_tag(new.study, BY_HAND)
    return f"champion of {new.study}: {new}, version {version.version}"


def _version(store: Store, new: Candidate) -> ModelVersion:
    """The version of a logged model, registered if it is not."""
    client = store.client
    if not client.search_registered_models(f"name = '{new.study}'"):
        about = f"Networks of the study {new.study}; the alias `{ALIAS}` is the best of them by {new.metric}."
        client.create_registered_model(new.study, description=about)
    for version in client.search_model_versions(f"name = '{new.study}'"):
        if version.tags.get(MODEL) == new.model_id:
            return version
    version = client.create_model_version(
        new.study,
        client.get_logged_model(new.model_id).artifact_location,  # `models:/ID` is looked up in MLflow's global store
        run_id=new.run_id,
        model_id=new.model_id,
        description=str(new),
        tags={
            new.metric: new.shown,
            "variant": new.name,
            "task": new.task,
            "data": new.data,
            MODEL: new.model_id,
        },
    )
    client.set_logged_model_tags(
        new.model_id, {_VERSIONS: json.dumps([{"name": new.study, "version": version.version}])}
    )
    return version
