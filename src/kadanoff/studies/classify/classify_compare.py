"""Stage `classify_compare`: image models beside the Bayes limit, classical baselines, and Kara et al. (2021)."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from pydantic import Field

from kadanoff.errors import KadanoffError
from kadanoff.phases.baselines import BASELINES
from kadanoff.phases.models import Model
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.studies.classify.classify import SCORES, Params, read_params
from kadanoff.studies.classify.compare_figures import draw_curves, draw_limits, draw_scores, draw_transfer
from kadanoff.studies.classify.comparison import compare, metrics
from kadanoff.studies.classify.models import read_model, read_systems
from kadanoff.studies.classify.reference import BAYES, PROTOCOLS, Known, Plan, references
from kadanoff.studies.classify.scores import main, on_own_system, read_scores
from kadanoff.studies.classify.tables import tables_text, targets
from kadanoff.validation import Name, Section


class Compare(Section):
    """The section `classify_compare`; `scatter` is how many test sets are drawn from the exact distributions."""

    models: list[Name] = Field(min_length=1)
    scatter: int = Field(ge=2, le=1_000_000)


def classify_compare(root: Path) -> None:
    """Compare image models with the Bayes limit, with physicists' baselines and with Kara et al. (2021).

    Raises
    ------
    KadanoffError
        If scores or datasets are missing, or were made with other parameters than the present ones.
    """
    compare_params, given = entry(root, Compare, "classify_compare"), read_params(root)
    models = {name: read_model(root, name)[0] for name in compare_params.models}
    paths = {name: root / "models" / "classify" / name / SCORES for name in models}
    scores = {name: read_scores(path) for name, path in paths.items()}
    plan = _plan(root, compare_params, given, pd.concat(scores.values()))
    for name, path in paths.items():
        _check(path, name, models[name], scores[name], plan)
    systems = {name: system.model_dump() for name, system in plan.systems.items()}
    parameters = compare_params.model_dump() | {"classify": given.model_dump(), "systems": systems}
    inputs = [*paths.values(), *plan.inputs()]
    with recorded("classify_compare", parameters=parameters, inputs=inputs) as record:
        known = references(plan)
        limits = {name: each.reference for name, each in known.items()}
        sizes = {name: limits.pop(name) for name in plan.sizes}
        found = compare(models, _scores(plan, scores, known), limits, sizes, plan.curve[:2])
        goals = targets(found)
        record.metrics(metrics(found, goals.met))
        record.text("tables.md", tables_text(found, goals))
        draw_limits(record, found)
        draw_scores(record, found)
        draw_curves(record, found, plan.curve[:2])
        draw_transfer(record, found)


def _scores(plan: Plan, scores: Mapping[str, pd.DataFrame], known: Mapping[str, Known]) -> pd.DataFrame:
    """All scores by protocol, then system, then networks in front of baselines and the Bayes classifier."""
    others = pd.DataFrame([row for each in known.values() for row in each.scores])
    table = pd.concat([*scores.values(), others])
    names = [*plan.protocols, *known, *scores, *BASELINES, BAYES]
    order = {name: number for number, name in enumerate(names)}
    keys = ["protocol", "system", "model"]
    return table.sort_values(keys, key=lambda each: each.map(order), kind="stable", ignore_index=True)


def _plan(root: Path, compare_params: Compare, given: Params, scores: pd.DataFrame) -> Plan:
    return Plan(
        root=root,
        systems=read_systems(root),
        sizes={name: system for system, names in given.sizes.items() for name in names},
        protocols=tuple(sorted(scores.protocol.unique(), key=lambda each: ((*PROTOCOLS, each).index(each), each))),
        curve=(given.curve.protocol, given.curve.system, tuple(given.curve.images)),
        tests=given.tests,
        seed=given.seed,
        scatter=compare_params.scatter,
    )


def _check(path: Path, name: str, model: Model, scores: pd.DataFrame, plan: Plan) -> None:
    """Whether scores belong to the present systems, weights and test sets."""
    own = on_own_system(scores)
    if (tests := own.test.nunique()) != plan.tests:
        fault = f"has {tests} test sets, not {plan.tests}"
    elif others := sorted(set(own.system) ^ plan.systems.keys()):
        fault = f"has not the systems of classify.systems: {', '.join(others)}"
    elif main(own, {name: model.weights}).empty:
        fault = f"has no trial with all images and the initial weights {model.weights!r}"
    else:
        return
    raise KadanoffError(f"{path} {fault}; it was made with other parameters. Run `dvc repro classify@{name}` first.")
