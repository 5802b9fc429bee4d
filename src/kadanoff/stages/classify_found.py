"""What `classify_compare` finds: macro-F1 of models, baselines and the Bayes classifier on the same test sets."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.phases.bayes import verdict
from kadanoff.phases.models import Model
from kadanoff.phases.regions import REGIONS
from kadanoff.phases.scores import mean_over, scores_of
from kadanoff.spins.statistics import Estimate
from kadanoff.stages.classify_reference import BAYES, EQUILIBRIUM, Reference, Size
from kadanoff.stages.classify_said import Trials, curves, main, protocols_of, resized, stacked, transfers


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


@dataclass(frozen=True)
class Found:
    """Everything that tables and figures show.

    `models` are the library's names of the networks by their own. `rows` go by protocol, system and contender, `curves`
    by contender and labelled images, `transfer` by protocol, model, the system trained on, and the one tested on, and
    `resized` by model, or the Bayes classifier, and dataset.
    """

    models: dict[str, str]
    references: dict[str, Reference]
    sizes: dict[str, Size]
    rows: dict[str, dict[str, dict[str, Row]]]
    curves: dict[str, dict[int, Estimate]]
    transfer: dict[str, dict[str, dict[str, dict[str, Estimate]]]]
    resized: dict[str, dict[str, Estimate]]

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
    named = {name: model.model for name, model in models.items()}
    learning = curves(said, references, curve)
    return Found(named, references, sizes, rows, learning, transfer, resized(models, said, sizes))


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
        "transfer": found.transfer,
        "sizes": {key(name): points for name, points in found.resized.items()},
        "size_limits": {dataset: size.limit.macro_f1 for dataset, size in found.sizes.items()},
    }


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
