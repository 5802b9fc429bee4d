"""Stage `classify_compare`: image models beside the Bayes limit, classical baselines, and the paper."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from kadanoff.errors import KadanoffError
from kadanoff.phases.models import Model
from kadanoff.phases.regions import TEST
from kadanoff.phases.trials import read_predictions
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.studies.classify.classify import PREDICTIONS, Params, read_params
from kadanoff.studies.classify.compare_figures import draw_curves, draw_limits, draw_scores, draw_transfer
from kadanoff.studies.classify.found import collect, metrics
from kadanoff.studies.classify.models import read_model, read_systems
from kadanoff.studies.classify.reference import Plan, references
from kadanoff.studies.classify.said import Trials, main, protocols_of
from kadanoff.studies.classify.tables import tables_text, targets
from kadanoff.validation import Name, Section


class Compare(Section):
    """The section `classify_compare`; `scatter` is how many test sets are drawn from the exact distributions."""

    models: list[Name] = Field(min_length=1)
    scatter: int = Field(ge=2, le=1_000_000)


def classify_compare(root: Path) -> None:
    """Compare image models with the Bayes limit, with physicists' baselines and with the published work.

    Raises
    ------
    KadanoffError
        If predictions or datasets are missing, or were made with other parameters than the present ones.
    """
    compare, given = entry(root, Compare, "classify_compare"), read_params(root)
    models = {name: read_model(root, name)[0] for name in compare.models}
    paths = {name: root / "models" / "classify" / name / PREDICTIONS for name in models}
    said = {name: read_predictions(path) for name, path in paths.items()}
    plan = _plan(root, compare, given, said)
    for name, path in paths.items():
        _check(path, name, models[name], said[name], plan)
    sizes = {name: system for system, names in given.sizes.items() for name in names}
    parameters = compare.model_dump() | {"classify": given.model_dump(), "systems": _plain(plan)}
    inputs = [*paths.values(), *plan.inputs(), *map(plan.size, sizes)]
    with recorded("classify_compare", parameters=parameters, inputs=inputs) as record:
        found = collect(models, said, *references(plan, sizes), plan.curve[:2])
        record.metrics(metrics(found, [goal.verdict for goal in targets(found)]))
        record.text("tables.md", tables_text(found))
        draw_limits(record, found)
        draw_scores(record, found)
        draw_curves(record, found, plan.curve[:2])
        draw_transfer(record, found)


def _plan(root: Path, compare: Compare, given: Params, said: Mapping[str, Trials]) -> Plan:
    systems = read_systems(root)
    if unknown := sorted(given.sizes.keys() - systems.keys()):
        raise KadanoffError(f"classify.sizes has {unknown[0]!r}, which classify.systems has not; name one of these.")
    curve = (given.curve.protocol, given.curve.system, tuple(given.curve.images))
    return Plan(root, systems, tuple(protocols_of(said)), curve, given.tests, given.seed, compare.scatter)


def _plain(plan: Plan) -> dict[str, Any]:
    return {name: system.model_dump() for name, system in plan.systems.items()}


def _check(path: Path, name: str, model: Model, trials: Trials, plan: Plan) -> None:
    """Whether predictions belong to the present systems, weights and test sets."""
    expected = (plan.tests, sum(TEST))
    shapes = {found.tests.shape for found in trials.values()} - {expected}
    if shapes:
        fault = f"has {' x '.join(map(str, shapes.pop()))} predictions a trial, not {expected[0]} x {expected[1]}"
    elif others := sorted({task.system for task in trials} ^ plan.systems.keys()):
        fault = f"has not the systems of classify.systems: {', '.join(others)}"
    elif not main(model, trials):
        fault = f"has no trial with all images and the weights {model.weights!r}"
    else:
        return
    raise KadanoffError(f"{path} {fault}; it was made with other parameters. Run `dvc repro classify@{name}` first.")
