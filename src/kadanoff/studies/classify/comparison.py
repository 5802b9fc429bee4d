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
from kadanoff.phases.regions import REGIONS
from kadanoff.phases.trials import LABELLED
from kadanoff.studies.classify import scores as of
from kadanoff.studies.classify.literature import kara_row
from kadanoff.studies.classify.reference import BAYES, EQUILIBRIUM, UNSURE, Reference


@dataclass(frozen=True)
class Comparison:
    """Everything that tables and figures show.

    `contenders` has a row a protocol, system and model: the mean `macro_f1`, the `scatter` of the trials' means, how
    many `trials`, and in equilibrium the `percent` of the Bayes limit, `less_bayes` on the same test sets, and whether
    it is a `leak`. `differences` is what `one` scores more than `other`. The other tables are as `scores` makes them.
    """

    models: Mapping[str, Model]
    references: dict[str, Reference]
    sizes: dict[str, Reference]
    contenders: pd.DataFrame
    differences: pd.DataFrame
    curves: pd.DataFrame
    transfer: pd.DataFrame
    resized: pd.DataFrame

    def state(self, protocol: str, system: str) -> str:
        """What the lattices of a system are called: in equilibrium only where their dataset says so."""
        unsure = protocol == EQUILIBRIUM and not self.references[system].equilibrated
        return UNSURE if unsure else protocol

    def title(self, protocol: str) -> str:
        """The same of all systems, for a heading."""
        unsure = [system for system in self.references if self.state(protocol, system) != protocol]
        return f"{protocol}, but {' and '.join(unsure)} {UNSURE}" if unsure else protocol

    def protocols(self) -> list[str]:
        """Those that networks were trained on."""
        return list(self.contenders.protocol.unique())


def compare(
    models: Mapping[str, Model],
    scores: pd.DataFrame,
    references: dict[str, Reference],
    sizes: dict[str, Reference],
    curve: tuple[str, str],
) -> Comparison:
    """Summarize all scores; `curve` is the protocol and the system of the learning curve."""
    starts = {name: model.weights for name, model in models.items()}
    own = of.on_own_system(scores)
    own, at_sizes = own[~own.system.isin(sizes)], scores[scores.tested_on.isin(sizes)]
    main = of.main(own, starts)
    learning = own[(own.protocol == curve[0]) & (own.system == curve[1])]
    few = learning[learning.images < LABELLED]
    curves = of.curves(own[own.model != BAYES], *curve)
    moved = of.transfer(scores, starts)
    resized = pd.concat([of.transfer(at_sizes, starts), at_sizes[at_sizes.model == BAYES].assign(
        macro_f1=lambda each: [of.first_score(each.loc[[index]]) for index in each.index]
    )])[["model", "tested_on", "macro_f1"]]  # fmt: skip
    return Comparison(
        models=models,
        references=references,
        sizes=sizes,
        contenders=_contenders(main, references),
        differences=pd.concat([_differences(main, models), _with_few(few, models)], ignore_index=True),
        curves=curves if curves.start.any() else curves[:0],  # no network has one
        transfer=moved[~moved.tested_on.isin(sizes)],
        resized=resized,
    )  # fmt: skip


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


def _differences(main: pd.DataFrame, models: Mapping[str, Model]) -> pd.DataFrame:
    """Every vision transformer less every ResNet, and every network less the baseline of the validation set."""
    kinds, found = {name: kara_row(model.model) or "" for name, model in models.items()}, []
    for where, group in main.groupby(["protocol", "system", "images"], sort=False):
        own = [name for name in models if name in set(group.model)]
        pairs = [
            (one, other)
            for one, other in product(own, own)
            if kinds[one] == "ViT" and kinds[other].startswith("ResNet")
        ]
        found += [_difference(group, one, other, where) for one, other in pairs]
        found += [_difference(group, one, best, where) for one in own for best in group[group.chosen].model.unique()]
    return pd.DataFrame(found)


def _with_few(few: pd.DataFrame, models: Mapping[str, Model]) -> pd.DataFrame:
    """Networks from every start less the baseline that as many images choose, along the learning curve."""
    found = []
    for (protocol, system, images, model, start), _ in few[few.start != ""].groupby(
        ["protocol", "system", "images", "model", "start"], sort=False
    ):
        group = few[(few.images == images) & few.start.isin(["", start])]
        for best in group[group.chosen].model.unique():
            row = _difference(group, model, best, (protocol, system, images))
            found.append(row | {"one": f"{model}, {start}"})
    return pd.DataFrame(found)


def _difference(group: pd.DataFrame, one: str, other: str, where: tuple[Any, ...]) -> dict[str, Any]:
    first, second = group[group.model == one], group[group.model == other]
    names = {"one": one, "other": other, "best_baseline": bool(second.chosen.any())}
    trials = min(each.trial.nunique() for each in (first, second) if each.start.any())
    return (
        names
        | dict(zip(("protocol", "system", "images"), where, strict=True))
        | {"trials": trials, "less": of.difference(first, second)}
    )


def metrics(found: Comparison, verdicts: Sequence[str]) -> dict[str, Any]:
    """As a record holds them; `verdicts` are those of all targets."""
    numbers: dict[str, Any] = {}
    for row in found.contenders.itertuples():
        known = {"macro_f1": row.macro_f1, "percent_of_limit": row.percent, "less_bayes": row.less_bayes}
        known = {"scatter_of_trials": row.scatter} | {name: value for name, value in known.items() if value is not None}
        numbers.setdefault(row.protocol, {}).setdefault(row.system, {})[key(row.model)] = known
    counts = Counter("open" if "open" in text else text for text in verdicts)
    differences = found.differences.assign(
        images=[f"images={count}" for count in found.differences.images],
        name=[
            f"{key(row.one)}_less_{'best_baseline' if row.best_baseline else key(row.other)}"
            for row in found.differences.itertuples()
        ],
    )
    curves = found.curves.assign(
        model=[key(f"{row.model}, {row.start}" if row.start else row.model) for row in found.curves.itertuples()],
        images=[f"images={count}" for count in found.curves.images],
    )
    return numbers | {
        "limits": {system: _limit(reference) for system, reference in found.references.items()},
        "leaks": int((found.contenders.leak != "").sum()),
        "targets": {text: counts[text] for text in ("yes", "no", "open", "leak")},
        "walls": {system: reference.walls for system, reference in found.references.items()},
        "curves": of.nested(curves, ["model", "images"]),
        "differences": of.nested(differences, ["protocol", "system", "images", "name"], "less"),
        "transfer": of.nested(found.transfer, ["protocol", "model", "system", "tested_on"]),
        "sizes": of.nested(found.resized.assign(model=found.resized.model.map(key)), ["model", "tested_on"]),
        "size_limits": {dataset: size.limit.macro_f1 for dataset, size in found.sizes.items()},
    }


def key(name: str) -> str:
    """A contender's name in metrics.json."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name)


def _limit(reference: Reference) -> dict[str, Any]:
    limit = reference.limit
    return {
        "macro_f1": limit.macro_f1,
        "f1": {key(name): score for name, score in zip(REGIONS, limit.f1.tolist(), strict=True)},
        "posterior_macro_f1": limit.posterior_macro_f1,
        "scatter_of_a_test_set": reference.scatter.deviation,
        "mean_of_test_sets": reference.scatter.mean,
    }
