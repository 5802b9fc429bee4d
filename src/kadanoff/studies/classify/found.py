"""What `classify_compare` finds: macro-F1 of models, baselines and the Bayes classifier on the same test sets."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.phases.baselines import BASELINES
from kadanoff.phases.bayes import verdict
from kadanoff.phases.models import Model
from kadanoff.phases.regions import REGIONS
from kadanoff.phases.scores import mean_over, scores_of
from kadanoff.phases.trials import LABELLED
from kadanoff.studies.classify.literature import kara_row
from kadanoff.studies.classify.reference import BAYES, EQUILIBRIUM, UNSURE, Reference, Size
from kadanoff.studies.classify.said import Trials, curves, main, protocols_of, resized, stacked, transfers


@dataclass(frozen=True)
class Row:
    """A contender on one system: scores (trials, tests), their mean, and the deviation of the trials' means.

    In equilibrium also the `percent` of the Bayes limit, the score `less_bayes` on the same test sets, and `leak`.
    """

    scores: NDArray[np.float64]
    mean: Estimate
    spread: float
    percent: Estimate | None = None
    less_bayes: Estimate | None = None
    leak: str = ""


class Difference(NamedTuple):
    """What `one` scores more than `other` on the same test sets; a baseline that the validation set has `chosen`.

    Of two networks it is trial by trial; a baseline has one fit, which stands beside every trial.
    """

    one: str
    other: str
    chosen: bool
    protocol: str
    system: str
    images: int
    trials: int
    less: Estimate


@dataclass(frozen=True)
class Found:
    """Everything that tables and figures show.

    `models` are the library's names of the networks by their own, `weights` their first weights. `rows` go by protocol,
    system and contender, `curves` by contender and labelled images, `transfer` by protocol, model, the system trained
    on, and the one tested on, and `resized` by model, or the Bayes classifier, and dataset.
    """

    models: dict[str, str]
    weights: dict[str, str]
    references: dict[str, Reference]
    sizes: dict[str, Size]
    rows: dict[str, dict[str, dict[str, Row]]]
    curves: dict[str, dict[int, Estimate]]
    transfer: dict[str, dict[str, dict[str, dict[str, Estimate]]]]
    resized: dict[str, dict[str, Estimate]]
    differences: list[Difference]

    def state(self, protocol: str, system: str) -> str:
        """What the lattices of a system are called: in equilibrium only where their dataset says so."""
        unsure = protocol == EQUILIBRIUM and not self.references[system].equilibrated
        return UNSURE if unsure else protocol

    def title(self, protocol: str) -> str:
        """The same of all systems, for a heading."""
        unsure = [system for system in self.references if self.state(protocol, system) != protocol]
        return f"{protocol}, but {' and '.join(unsure)} {UNSURE}" if unsure else protocol

    def leaks(self) -> int:
        """How many contenders score above a limit."""
        rows = (row for systems in self.rows.values() for contenders in systems.values() for row in contenders.values())
        return sum(bool(row.leak) for row in rows)


def collect(
    models: Mapping[str, Model],
    said: Mapping[str, Trials],
    references: dict[str, Reference],
    sizes: dict[str, Size],
    curve: tuple[str, str],
) -> Found:
    """Score what all models said; `curve` is the protocol and the system of the learning curve."""
    rows: dict[str, dict[str, dict[str, Row]]] = {}
    for protocol in protocols_of(said):
        for system, reference in references.items():
            networks = {name: stacked(main(models[name], said[name], protocol, system)) for name in models}
            contenders = {name: found for name, found in networks.items() if len(found)}
            contenders |= {name: found for name, found in reference.said[protocol].items() if name != BAYES}
            if protocol == EQUILIBRIUM:
                contenders[BAYES] = reference.said[protocol][BAYES]
            judged = {name: _row(reference, protocol, found) for name, found in contenders.items()}
            rows.setdefault(protocol, {})[system] = judged
    transfer = {protocol: transfers(models, said, references, protocol) for protocol in rows}
    learning = curves(said, references, curve)
    return Found(
        models={name: model.model for name, model in models.items()},
        weights={name: model.weights for name, model in models.items()},
        references=references,
        sizes=sizes,
        rows=rows,
        curves={name: {n: mean_over(table) for n, table in points.items()} for name, points in learning.items()},
        transfer=transfer,
        resized=resized(models, said, sizes),
        differences=[*_differences(models, references, rows), *_with_few(references, learning, curve)],
    )


def _differences(
    models: Mapping[str, Model], references: Mapping[str, Reference], rows: dict[str, dict[str, dict[str, Row]]]
) -> Iterator[Difference]:
    """Every vision transformer less every ResNet, and every network less the chosen baseline."""
    kinds = {name: kara_row(model.model) or "" for name, model in models.items()}
    for protocol, systems in rows.items():
        for system, contenders in systems.items():
            own, where = [name for name in models if name in contenders], (protocol, system, LABELLED)
            for one, other in product(own, own):
                if kinds[one] == "ViT" and kinds[other].startswith("ResNet"):
                    count = min(len(contenders[name].scores) for name in (one, other))
                    less = mean_over(contenders[one].scores[:count] - contenders[other].scores[:count])
                    yield Difference(one, other, False, *where, count, less)
            chosen = references[system].chosen[protocol, LABELLED]
            for one in own:
                scores = contenders[one].scores
                less = mean_over(scores - contenders[chosen].scores)
                yield Difference(one, chosen, True, *where, len(scores), less)


def _with_few(
    references: Mapping[str, Reference], learning: dict[str, dict[int, NDArray[np.float64]]], curve: tuple[str, str]
) -> Iterator[Difference]:
    """Networks less the chosen baseline of as many images, along the learning curve."""
    for name, points in learning.items():
        for images, scores in points.items():
            chosen = references[curve[1]].chosen.get((curve[0], images))
            if chosen and images < LABELLED and name not in BASELINES:
                less = mean_over(scores - learning[chosen][images])
                yield Difference(name, chosen, True, *curve, images, len(scores), less)


def _row(reference: Reference, protocol: str, said: NDArray) -> Row:
    labels, limit = reference.labels[protocol], reference.limit.macro_f1
    table = scores_of(labels, said)
    mean = mean_over(table)
    spread = float(table.mean(1).std(ddof=1)) if len(table) > 1 else float("nan")
    if protocol != EQUILIBRIUM:
        return Row(table, mean, spread)
    less = mean_over(table - scores_of(labels, reference.said[protocol][BAYES]))
    least = reference.scatter.deviation / np.sqrt(len(labels))
    percent = Estimate(100 * mean.mean / limit, 100 * mean.error / limit, n=mean.n)
    return Row(table, mean, spread, percent, less, verdict(mean, limit, least))


def metrics(found: Found, verdicts: Sequence[str]) -> dict[str, Any]:
    """As a record holds them; `verdicts` are those of all targets."""
    numbers: dict[str, Any] = {
        protocol: {system: {key(name): _numbers(row) for name, row in rows.items()} for system, rows in systems.items()}
        for protocol, systems in found.rows.items()
    }
    counts = Counter("open" if "open" in text else text for text in verdicts)
    return numbers | {
        "limits": {system: _limit(reference) for system, reference in found.references.items()},
        "leaks": found.leaks(),
        "targets": {text: counts[text] for text in ("yes", "no", "open", "leak")},
        "walls": {system: reference.walls for system, reference in found.references.items()},
        "curves": {key(name): {f"images={n}": v for n, v in points.items()} for name, points in found.curves.items()},
        "differences": _compared(found),
        "transfer": found.transfer,
        "sizes": {key(name): points for name, points in found.resized.items()},
        "size_limits": {dataset: size.limit.macro_f1 for dataset, size in found.sizes.items()},
    }


def _compared(found: Found) -> dict[str, Any]:
    """By protocol, system and labelled images."""
    numbers: dict[str, Any] = {}
    for one, other, chosen, protocol, system, images, _, less in found.differences:
        here = numbers.setdefault(protocol, {}).setdefault(system, {}).setdefault(f"images={images}", {})
        here[f"{key(one)}_less_{'best_baseline' if chosen else key(other)}"] = less
    return numbers


def key(name: str) -> str:
    """A contender's name in metrics.json."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name)


def _numbers(row: Row) -> dict[str, Any]:
    found = {"macro_f1": row.mean, "percent_of_limit": row.percent, "less_bayes": row.less_bayes}
    return {"scatter_of_trials": row.spread} | {name: value for name, value in found.items() if value is not None}


def _limit(reference: Reference) -> dict[str, Any]:
    limit = reference.limit
    return {
        "macro_f1": limit.macro_f1,
        "f1": {key(name): score for name, score in zip(REGIONS, limit.f1.tolist(), strict=True)},
        "posterior_macro_f1": limit.posterior_macro_f1,
        "scatter_of_a_test_set": reference.scatter.deviation,
        "mean_of_test_sets": reference.scatter.mean,
    }
