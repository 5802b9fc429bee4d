"""The tables of `classify_compare`, with the paper's numbers in rows of their own."""

from typing import NamedTuple

import numpy as np

from kadanoff.estimate import Estimate
from kadanoff.learning.pretrained import PHYSICS
from kadanoff.phases.regions import REGIONS
from kadanoff.phases.trials import LABELLED
from kadanoff.project.tables import Cell, cell, table
from kadanoff.studies.classify.found import Found, Row
from kadanoff.studies.classify.literature import KARA, kara_row
from kadanoff.studies.classify.reference import BAYES, EQUILIBRIUM, PROTOCOLS, UNSURE
from kadanoff.studies.targets import at_least

NOTES = """Macro-F1 of the four temperature regions, mean over trials and test sets of 400 images; errors are standard
errors for both. Models, baselines and the Bayes classifier see the same test sets. `limit` is what no classifier of
equilibrium configurations beats on average: the best decision over the energy, by exact P(E). `less Bayes` is the
difference to this decision on the same test sets, whose luck it does not share. A mean above the limit by more than 3
errors is called a leak; the error counts as at least the scatter of a test set over the root of their number. Out of
equilibrium (metropolis) the energy is not all that tells the temperature, so there is no limit. The paper's ± is the
standard deviation over its 5 trials; it does not say how its lattices were started. `open by its error`: the target
lies within one standard error.

600 labelled images train everything here, and 300 more choose among epochs, probes and baselines. Weights `physics`
have been pre-trained before, on unlimited simulated lattices without labels, of which baselines see none. All baselines
but `pseudo-likelihood thresholds` are told the energy with the bonds of their system. These read the coupling K of
maximum pseudo-likelihood off the spins alone, which is what pre-training teaches, and place thresholds by the labels.
Leaves of gradient boosting have at least a thirtieth of the training images. The best baseline is the one with the
highest macro-F1 on the validation set. All trials share the training set, so errors tell nothing of another one.
Lattices are called in equilibrium where the provenance of their dataset says `equilibrated`.
"""
NEAR = 0.01  # of the Bayes limit
GOALS = {"equilibrium": 0.970, "metropolis": 0.955}
Rows = list[list[Cell]]


class Target(NamedTuple):
    """One number that is to reach a value set beforehand, of a model on a system."""

    protocol: str
    system: str
    model: str
    number: str
    least: float
    found: Estimate
    verdict: str


def targets(found: Found) -> list[Target]:
    """Targets of all models: the issue's numbers, and the paper's row; a leak meets none."""
    rows = []
    for protocol, systems in found.rows.items():
        for system, contenders in systems.items():
            for model in (name for name in found.models if name in contenders):
                row, what = contenders[model], (found.state(protocol, system), system, model)
                goals = [_goal(protocol, system, row)]
                if (paper := kara_row(found.models[model])) and system in KARA[paper]:
                    goals.append((f"macro-F1, paper's {paper}", row.mean, KARA[paper][system][0]))
                rows += [Target(*what, name, least, at, row.leak or at_least(at, least)) for name, at, least in goals]
    return rows


def _goal(protocol: str, system: str, row: Row) -> tuple[str, Estimate, float]:
    if protocol == EQUILIBRIUM and system != "periodic" and row.less_bayes is not None:
        return "less Bayes", row.less_bayes, -NEAR
    return "macro-F1", row.mean, GOALS[EQUILIBRIUM if protocol == EQUILIBRIUM else "metropolis"]


def tables_text(found: Found) -> str:
    """All tables as Markdown."""
    parts = ["# Temperature regions: networks, baselines, the Bayes limit, and the paper\n", NOTES, _limits(found)]
    for protocol in found.rows:
        parts += [_main(found, protocol), _detail(found, protocol)]
    parts += [_targets(found), _differences(found), _walls(found), _curves(found)]
    parts += [_transfer(found, protocol) for protocol in found.transfer]
    return "\n".join(part for part in [*parts, _sizes(found)] if part)


def _limits(found: Found) -> str:
    rows: Rows = []
    for system, reference in found.references.items():
        bayes = found.rows[EQUILIBRIUM][system][BAYES].mean if EQUILIBRIUM in found.rows else None
        limit = reference.limit
        scores = [round(score, 4) for score in limit.f1.tolist()]
        spread = f"±{reference.scatter.deviation:.4f}"
        rows.append([system, f"{limit.macro_f1:.4f}", *scores, f"{limit.posterior_macro_f1:.4f}", spread, bayes])
    regions = [f"F1, {name}" for name in REGIONS]
    columns = ["", "macro-F1", *regions, "most probable region", "a test set scatters by", "on our test sets"]
    return table("The Bayes limit in equilibrium", columns, rows)


def _main(found: Found, protocol: str) -> str:
    """One column a system."""
    systems = found.rows[protocol]
    names = list(dict.fromkeys(name for contenders in systems.values() for name in contenders))
    rows: Rows = [[name, *(_marked(contenders.get(name)) for contenders in systems.values())] for name in names]
    if protocol == EQUILIBRIUM:
        rows.append(["limit", *(f"{found.references[system].limit.macro_f1:.4f}" for system in systems)])
    for paper, known in KARA.items():
        said = [f"{known[system][0]:.3f} ± {known[system][1]:.3f}" if system in known else None for system in systems]
        rows.append([f"paper: {paper}", *said])
    learned = [name for name in found.models if found.weights[name] == PHYSICS]
    before = f"; {' and '.join(learned)} after pre-training on unlimited lattices without labels" if learned else ""
    return table(f"Macro-F1, {found.title(protocol)}, from {LABELLED} labelled images{before}", ["", *systems], rows)


def _marked(row: Row | None) -> Cell:
    return None if row is None else f"{cell(row.mean)} {row.leak}".strip()


def _detail(found: Found, protocol: str) -> str:
    rows: Rows = [
        [
            f"{system}: {name}", row.mean, _spread(row), len(row.scores), row.percent, row.less_bayes, row.leak or None,
        ]
        for system, contenders in found.rows[protocol].items()
        for name, row in contenders.items()
    ]  # fmt: skip
    columns = ["", "macro-F1", "scatter of trials", "trials", "% of the limit", "less Bayes", "verdict"]
    return table(f"Against the limit, {found.title(protocol)}", columns, rows)


def _spread(row: Row) -> Cell:
    return f"±{row.spread:.4f}" if np.isfinite(row.spread) else None


def _targets(found: Found) -> str:
    rows: Rows = [
        [f"{goal.model}, {goal.system}, {goal.protocol}", goal.number, goal.least, goal.found, goal.verdict]
        for goal in targets(found)
    ]
    return table("Targets that were set beforehand", ["", "number", "at least", "found", "met"], rows)


def _differences(found: Found) -> str:
    """Networks less others, whose test sets they share: errors of these differences, not those of two rows."""
    rows: Rows = [
        [
            f"{one} less {other}{' (best baseline)' if chosen else ''}, {system}, {found.state(protocol, system)}",
            images, trials, less, at_least(less, 0.0),
        ]
        for one, other, chosen, protocol, system, images, trials, less in found.differences
    ]  # fmt: skip
    title = "Differences on the same test sets; the best baseline is that of the validation set"
    return table(title, ["", "labelled images", "trials", "macro-F1", "met"], rows) if rows else ""


def _walls(found: Found) -> str:
    seen = [p for p in PROTOCOLS if any(p in reference.walls for reference in found.references.values())]
    rows: Rows = [
        [system, *(_percent(reference.walls.get(protocol)) for protocol in seen)]
        for system, reference in found.references.items()
    ]
    title = "Lattices below T = 1.055 that keep domain walls, %: 5 sigma above the exact P(E), tail below 2.9e-7"
    return table(title, ["", *map(found.title, seen)], rows)


def _percent(found: Estimate | None) -> Cell:
    return None if found is None else Estimate(100 * found.mean, 100 * found.error, n=found.n)


def _curves(found: Found) -> str:
    images = sorted({count for points in found.curves.values() for count in points})
    rows: Rows = [[name, *(points.get(count) for count in images)] for name, points in found.curves.items()]
    title = f"Macro-F1 by labelled images, and first weights of networks: {PHYSICS} have seen unlimited others before"
    return table(title, ["", *map(str, images)], rows) if rows else ""


def _transfer(found: Found, protocol: str) -> str:
    systems = list(found.references)
    rows: Rows = [
        [f"{name}, trained on {one}", *(tested.get(system) for system in systems)]
        for name, trained in found.transfer[protocol].items()
        for one, tested in trained.items()
    ]
    title = f"Macro-F1 of first trials on the first test set of every system, {found.title(protocol)}"
    return table(title, ["", *systems], rows) if rows else ""


def _sizes(found: Found) -> str:
    if not found.sizes:
        return ""
    rows: Rows = [[name, *(points.get(size) for size in found.sizes)] for name, points in found.resized.items()]
    rows.append(["limit", *(f"{size.limit.macro_f1:.4f}" for size in found.sizes.values())])
    columns = [
        f"{name}, L = {size.side}{'' if size.equilibrated else f', {UNSURE}'}" for name, size in found.sizes.items()
    ]
    return table("Trained at the size of its own system, tested at others", ["", *columns], rows)
