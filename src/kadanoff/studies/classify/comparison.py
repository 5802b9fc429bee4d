"""What `classify_compare` finds, as tidy tables: networks, baselines and the Bayes classifier on the same test sets."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from kadanoff.phases.bayes import verdict
from kadanoff.phases.models import Model
from kadanoff.phases.regions import EQUILIBRIUM, LABELLED, REGIONS
from kadanoff.studies.classify import scores as of
from kadanoff.studies.classify.references import BAYES, Reference

# Kara, Sehanobish and Corzo, NeurIPS workshop 2021, Table 2: macro-F1 by system, mean and standard deviation (not the
# standard error) of 5 trials. One protocol: how its lattices were started is not said.
KARA: dict[str, dict[str, tuple[float, float]]] = {
    "ViT": {
        "periodic": (0.934, 0.008),
        "antiferromagnet": (0.935, 0.012),
        "skewed": (0.931, 0.021),
        "antiperiodic": (0.921, 0.013),
    },
    "ResNet-18": {
        "periodic": (0.865, 0.034),
        "antiferromagnet": (0.906, 0.016),
        "skewed": (0.886, 0.019),
        "antiperiodic": (0.910, 0.021),
    },
    "ResNet-50": {
        "periodic": (0.907, 0.021),
        "antiferromagnet": (0.899, 0.026),
        "skewed": (0.917, 0.009),
        "antiperiodic": (0.917, 0.008),
    },
}


@dataclass(frozen=True)
class Comparison:
    """Everything that tables and figures show.

    `contenders` has a row a protocol, system and model: the mean `macro_f1`, the `scatter` of the trials' means, how
    many `trials`, and in equilibrium the `percent` of the Bayes limit, `less_bayes` on the same test sets, and whether
    it is a `leak`. `differences` is what `one` scores more than `other`. The other tables are as `scores` makes them,
    `curves` with a `name`: the model and its initial weights.
    """

    models: Mapping[str, Model]
    references: dict[str, Reference]
    sizes: dict[str, Reference]
    contenders: pd.DataFrame
    differences: pd.DataFrame
    curves: pd.DataFrame
    transfer: pd.DataFrame
    resized: pd.DataFrame


def compare(
    models: Mapping[str, Model],
    scores: pd.DataFrame,
    references: dict[str, Reference],
    sizes: dict[str, Reference],
    curve: tuple[str, str],
) -> Comparison:
    """Summarize all scores; `curve` is the protocol and the system of the learning curve."""
    starts = {name: model.weights for name, model in models.items()}
    own = of.on_own_system(scores[~scores.system.isin(sizes)])
    main, few = of.main(own, starts), own[own.images < LABELLED]
    curves = of.curves(own[own.model != BAYES], *curve)
    curves = curves if curves.start.any() else curves[:0]  # no network has one
    first = of.transfer(scores, starts)
    return Comparison(
        models=models,
        references=references,
        sizes=sizes,
        contenders=_contenders(main, references),
        differences=_differences(pd.concat([main.assign(name=main.model), few.assign(name=_names(few))]), models),
        curves=curves.assign(name=_names(curves)),
        transfer=first[first.model.isin(models) & ~first.tested_on.isin(sizes)],
        resized=first[first.tested_on.isin(sizes)],
    )


def _names(scores: pd.DataFrame) -> list[str]:
    pairs = zip(scores.model, scores.start, strict=True)
    return [f"{model}, {start}" if start else model for model, start in pairs]


def _contenders(main: pd.DataFrame, references: Mapping[str, Reference]) -> pd.DataFrame:
    found = []
    for (protocol, system, model), group in main.groupby(["protocol", "system", "model"], sort=False):
        row = {"protocol": protocol, "system": system, "model": model, "macro_f1": of.mean_score(group)}
        row |= {"scatter": of.scatter_of_trials(group), "trials": group.trial.nunique()}
        row |= {"percent": None, "less_bayes": None, "leak": ""}
        if protocol == EQUILIBRIUM:
            reference = references[system]
            bayes = main[(main.protocol == protocol) & (main.system == system) & (main.model == BAYES)]
            least = reference.scatter.deviation / np.sqrt(group.test.nunique())
            row["percent"] = row["macro_f1"] * (100 / reference.limit.macro_f1)
            row["less_bayes"] = of.difference(group, bayes)
            row["leak"] = verdict(row["macro_f1"], reference.limit.macro_f1, least)
        found.append(row)
    return pd.DataFrame(found)


def kara_row(model: str) -> str | None:
    """The row of `KARA` that a model, by its name in a library, stands beside: ``ViT`` for any vision transformer.

    >>> kara_row("google/vit-base-patch16-224"), kara_row("resnet50.a1_in1k"), kara_row("convnext_tiny")
    ('ViT', 'ResNet-50', None)
    """
    for row in KARA:
        if re.search(rf"(?<![a-z0-9]){row.lower().replace('-', '-?')}(?![0-9])", model.lower()):
            return row
    return None


def _differences(scores: pd.DataFrame, models: Mapping[str, Model]) -> pd.DataFrame:
    """Every vision transformer less every ResNet, and every network less the baseline of the validation set."""
    kinds, found = {name: kara_row(model.model) or "" for name, model in models.items()}, []
    where = ["protocol", "system", "images"]
    for values, group in scores.groupby(where, sort=False):
        rows = dict(tuple(group.groupby("name", sort=False)))
        own = [name for name in rows if rows[name].start.any()]
        pairs = [(a, b) for a in own for b in own if kinds.get(a) == "ViT" and kinds.get(b, "").startswith("ResNet")]
        for one, other in [*pairs, *product(own, group[group.chosen].name.unique())]:
            first, second = rows[one], rows[other]
            trials = min(each.trial.nunique() for each in (first, second) if each.start.any())
            row = {"one": one, "other": other, "best_baseline": bool(second.chosen.any()), "trials": trials}
            found.append(row | dict(zip(where, values, strict=True)) | {"less": of.difference(first, second)})
    return pd.DataFrame(found)


def metrics(found: Comparison, verdicts: Sequence[str]) -> dict[str, Any]:
    """As a record holds them; `verdicts` are those of all targets."""
    numbers: dict[str, Any] = {}
    for row in found.contenders.itertuples():
        known = {"macro_f1": row.macro_f1, "percent_of_limit": row.percent, "less_bayes": row.less_bayes}
        known = {"scatter_of_trials": row.scatter} | {name: value for name, value in known.items() if value is not None}
        numbers.setdefault(row.protocol, {}).setdefault(row.system, {})[key(row.model)] = known
    counts = Counter("open" if "open" in text else text for text in verdicts)
    less, curves = found.differences, found.curves
    others = less.other.map(key).mask(less.best_baseline, "best_baseline")
    less = less.assign(images=_images(less), name=less.one.map(key) + "_less_" + others)
    curves = curves.assign(name=curves.name.map(key), images=_images(curves))
    return numbers | {
        "limits": {system: _limit(reference) for system, reference in found.references.items()},
        "leaks": int((found.contenders.leak != "").sum()),
        "targets": {text: counts[text] for text in ("yes", "no", "open", "leak")},
        "walls": {system: reference.walls for system, reference in found.references.items()},
        "curves": of.nested(curves, ["name", "images"]),
        "differences": of.nested(less, ["protocol", "system", "images", "name"], "less"),
        "transfer": of.nested(found.transfer, ["protocol", "model", "system", "tested_on"]),
        "sizes": of.nested(found.resized.assign(model=found.resized.model.map(key)), ["model", "tested_on"]),
        "size_limits": {dataset: size.limit.macro_f1 for dataset, size in found.sizes.items()},
    }


def key(name: str) -> str:
    """A contender's name in metrics.json."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name)


def _images(table: pd.DataFrame) -> list[str]:
    return [f"images={count}" for count in table.images]


def _limit(reference: Reference) -> dict[str, Any]:
    limit = reference.limit
    return {
        "macro_f1": limit.macro_f1,
        "f1": {key(name): score for name, score in zip(REGIONS, limit.f1.tolist(), strict=True)},
        "posterior_macro_f1": limit.posterior_macro_f1,
        "scatter_of_a_test_set": reference.scatter.deviation,
        "mean_of_test_sets": reference.scatter.mean,
    }
