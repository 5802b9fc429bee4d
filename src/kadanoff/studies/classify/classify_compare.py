"""Stage `classify_compare`: image models beside the Bayes limit, classical baselines, and Kara et al. (2021)."""

from pathlib import Path

import pandas as pd
from pydantic import Field

from kadanoff.errors import KadanoffError
from kadanoff.phases.baselines import BASELINES
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.studies.classify.classify import SCORES
from kadanoff.studies.classify.compare_figures import draw_curves, draw_limits, draw_scores
from kadanoff.studies.classify.comparison import compare, metrics
from kadanoff.studies.classify.params import read_model, read_params
from kadanoff.studies.classify.references import BAYES, PROTOCOLS, datasets, references
from kadanoff.studies.classify.scores import read_scores
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
        If scores or datasets are missing.
    """
    compare_params, given = entry(root, Compare, "classify_compare"), read_params(root)
    models = {name: read_model(root, name)[0] for name in compare_params.models}
    paths = [root / "models" / "classify" / name / SCORES for name in models]
    table = pd.concat([read_scores(path) for path in paths])
    if set(table.test) != set(range(given.tests)) or set(table.system) != set(given.systems):
        raise KadanoffError(
            f"the scores in {paths[0].parent.parent} are of other systems or numbers of test sets than `classify` in "
            "params.yaml; run `dvc repro classify` first."
        )
    protocols = sorted(table.protocol.unique(), key=lambda each: ((*PROTOCOLS, each).index(each), each))
    parameters = compare_params.model_dump() | {"classify": given.model_dump()}
    inputs = [*paths, *datasets(root, given, protocols)]
    with recorded("classify_compare", parameters=parameters, inputs=inputs) as record:
        limits, sizes, others = references(root, given, protocols, compare_params.scatter)
        # by protocol, then system, then networks in front of baselines and the Bayes classifier
        order = [*protocols, *limits, *sizes, *models, *BASELINES, BAYES]
        table = pd.concat([table, pd.DataFrame(others)]).sort_values(
            ["protocol", "system", "model"],
            key=lambda column: column.map(order.index),
            kind="stable",
            ignore_index=True,
        )
        curve = given.curve.protocol, given.curve.system
        found = compare(models, table, limits, sizes, curve)
        goals = targets(found)
        record.metrics(metrics(found, goals.met))
        system = next(iter(given.systems))
        places = {f"{model}_macro_f1": f"{protocols[0]}/{system}/{model}/macro_f1" for model in models}
        places |= {"bayes_limit": f"limits/{system}/macro_f1"}
        each = ", ".join(f"{model} {{{place}}}" for model, place in zip(models, places, strict=False))
        record.summary(
            f"Macro-F1 of the four temperature regions, {system}, {protocols[0]}: {each}; no classifier can do better "
            "than {bayes_limit} (Bayes).",
            "scores",
            [f"{model}_macro_f1" for model in models],
            **places,
        )
        record.comparison(found.contenders, ["model", "system", "protocol"], ["macro_f1", "percent", "less_bayes"])
        record.text("tables.md", tables_text(found, goals))
        draw_limits(record, found)
        draw_scores(record, found)
        draw_curves(record, found, curve)
