"""The tables of `classify_compare`, with the numbers of Kara et al. (2021) in rows of their own."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from kadanoff.learning.pretrained import PHYSICS
from kadanoff.phases.regions import EQUILIBRIUM, LABELLED, REGIONS
from kadanoff.project.tables import Cell, cell, table
from kadanoff.studies.classify.comparison import KARA, Comparison, kara_row
from kadanoff.studies.classify.references import BAYES, PROTOCOLS
from kadanoff.studies.targets import at_least

NOTES = """Macro-F1 of the four temperature regions, mean over trials and test sets of 400 images; errors are standard
errors for both. Models, baselines and the Bayes classifier see the same test sets. `limit` is what no classifier of
equilibrium configurations beats on average: the best decision over the energy, by exact P(E). `less Bayes` is the
difference to this decision on the same test sets, whose luck it does not share. A mean above the limit by more than 3
errors is called a leak; the error counts as at least the scatter of a test set over the root of their number. Out of
equilibrium (metropolis) the energy is not all that tells the temperature, so there is no limit. The ± of Kara et al.
(2021) is the standard deviation over 5 trials; they do not say how their lattices were started. `open by its error`:
the target lies within one standard error.

600 labelled images train everything here, and 300 more choose among epochs, probes and baselines. Networks with initial
weights `physics` have been pre-trained on unlimited simulated lattices without labels, of which baselines see none.
`none` is random initialization. All baselines but `pseudo-likelihood thresholds` are told the energy with the bonds of
their system. These read the coupling K of maximum pseudo-likelihood off the spins alone, which is what pre-training
teaches, and place thresholds by the labels. Leaves of gradient boosting have at least a thirtieth of the training
images. The best baseline is the one with the highest macro-F1 on the validation set. All trials share the training set,
so errors tell nothing of another one.
"""
NEAR = 0.01  # of the Bayes limit
GOALS = {"equilibrium": 0.970, "metropolis": 0.955}
KARA_ET_AL = "Kara et al. (2021)"
Rows = list[list[Cell]]


def targets(found: Comparison) -> pd.DataFrame:
    """Targets set beforehand, and the row of Kara et al.; a leak meets none.

    Columns protocol, system, model, `number` (what is to reach a value), `least`, `estimate`, and `met`.
    """
    rows = []
    for row in found.contenders[found.contenders.model.isin(found.models)].itertuples():
        if row.protocol == EQUILIBRIUM and row.system != "periodic":
            goals = [("less Bayes", row.less_bayes, -NEAR)]
        else:
            goals = [("macro-F1", row.macro_f1, GOALS["equilibrium" if row.protocol == EQUILIBRIUM else "metropolis"])]
        if (known := kara_row(found.models[row.model].model)) and row.system in KARA[known]:
            goals.append((f"macro-F1, {KARA_ET_AL}: {known}", row.macro_f1, KARA[known][row.system][0]))
        for number, estimate, least in goals:
            met = row.leak or at_least(estimate, least)
            rows.append((row.protocol, row.system, row.model, number, least, estimate, met))
    return pd.DataFrame(rows, columns=["protocol", "system", "model", "number", "least", "estimate", "met"])


def tables_text(found: Comparison, goals: pd.DataFrame) -> str:
    """All tables as Markdown."""
    parts = [f"# Temperature regions: networks, baselines, the Bayes limit, and {KARA_ET_AL}\n", NOTES, _limits(found)]
    for protocol, here in found.contenders.groupby("protocol", sort=False):
        parts += [_main(found, str(protocol), here), _detail(str(protocol), here)]
    parts += [_targets(goals), _differences(found.differences), _walls(found), _curves(found.curves)]
    for protocol, here in found.transfer.groupby("protocol", sort=False):
        rows = _pivoted(
            here.assign(name=here.model + ", trained on " + here.system), "name", "tested_on", found.references
        )
        title = f"Macro-F1 of first trials on the first test set of every system, {protocol}"
        parts.append(table(title, ["", *found.references], rows))
    return "\n".join(part for part in [*parts, _sizes(found)] if part)


def _columns(title: str, columns: dict[str, Iterable[Cell]]) -> str:
    """A table by its columns."""
    return table(title, list(columns), list(zip(*columns.values(), strict=True)))


def _limits(found: Comparison) -> str:
    bayes = found.contenders[found.contenders.model == BAYES].set_index("system").macro_f1
    references, limits = found.references, [reference.limit for reference in found.references.values()]
    columns: dict[str, Iterable[Cell]] = {"": references, "macro-F1": [f"{limit.macro_f1:.4f}" for limit in limits]}
    for number, name in enumerate(REGIONS):
        columns[f"F1, {name}"] = [round(float(limit.f1[number]), 4) for limit in limits]
    columns["most probable region"] = [f"{limit.posterior_macro_f1:.4f}" for limit in limits]
    columns["a test set scatters by"] = [f"±{reference.scatter.deviation:.4f}" for reference in references.values()]
    columns["on our test sets"] = [bayes.get(system) for system in references]
    return _columns("The Bayes limit in equilibrium", columns)


def _main(found: Comparison, protocol: str, here: pd.DataFrame) -> str:
    """One column a system."""
    marked = here.assign(shown=[f"{cell(row.macro_f1)} {row.leak}".strip() for row in here.itertuples()])
    systems = list(here.system.unique())
    rows = _pivoted(marked, "model", "system", systems, "shown")
    if protocol == EQUILIBRIUM:
        rows.append(["limit", *(f"{found.references[system].limit.macro_f1:.4f}" for system in systems)])
    for name, known in KARA.items():
        cells = [f"{known[system][0]:.3f} ± {known[system][1]:.3f}" if system in known else None for system in systems]
        rows.append([f"{KARA_ET_AL}: {name}", *cells])
    learned = [name for name, model in found.models.items() if model.weights == PHYSICS and name in set(here.model)]
    before = f"; {' and '.join(learned)} after pre-training on unlimited lattices without labels" if learned else ""
    return table(f"Macro-F1, {protocol}, from {LABELLED} labelled images{before}", ["", *systems], rows)


def _pivoted(long: pd.DataFrame, row: str, column: str, columns: Iterable, value: str = "macro_f1") -> Rows:
    """A row a name, a cell for each of the columns: a dash where there is none."""
    groups = long.groupby(row, sort=False)
    return [[name, *(group.set_index(column)[value].get(each) for each in columns)] for name, group in groups]


def _detail(protocol: str, here: pd.DataFrame) -> str:
    columns = {"": here.system + ": " + here.model, "macro-F1": here.macro_f1}
    columns["scatter of trials"] = [f"±{scatter:.4f}" if np.isfinite(scatter) else None for scatter in here.scatter]
    columns |= {"trials": here.trials, "% of the limit": here.percent, "less Bayes": here.less_bayes}
    return _columns(f"Against the limit, {protocol}", columns | {"verdict": [leak or None for leak in here.leak]})


def _targets(goals: pd.DataFrame) -> str:
    names = goals.model + ", " + goals.system + ", " + goals.protocol
    columns = {"": names, "number": goals.number, "at least": goals.least, "found": goals.estimate, "met": goals.met}
    return _columns("Targets that were set beforehand", columns)


def _differences(less: pd.DataFrame) -> str:
    """Networks less others, whose test sets they share: errors of these differences, not those of two rows."""
    mark = np.where(less.best_baseline, " (best baseline)", "")
    names = less.one + " less " + less.other + mark + ", " + less.system + ", " + less.protocol
    columns = {"": names, "labelled images": less.images, "trials": less.trials, "macro-F1": less.less}
    title = "Differences on the same test sets; the best baseline is that of the validation set"
    return _columns(title, columns | {"met": [at_least(each, 0.0) for each in less.less]})


def _walls(found: Comparison) -> str:
    walls = {system: reference.walls for system, reference in found.references.items()}
    seen = [protocol for protocol in PROTOCOLS if any(protocol in each for each in walls.values())]
    rows = [[s, *(100 * each[p] if p in each else None for p in seen)] for s, each in walls.items()]
    title = "Lattices below T = 1.055 that keep domain walls, %: 5 sigma above the exact P(E), tail below 2.9e-7"
    return table(title, ["", *seen], rows)


def _curves(curves: pd.DataFrame) -> str:
    images = sorted(curves.images.unique().tolist())
    rows = _pivoted(curves, "name", "images", images)
    title = f"Macro-F1 by labelled images, and initial weights of networks: {PHYSICS} have seen unlimited others before"
    return table(title, ["", *map(str, images)], rows) if rows else ""


def _sizes(found: Comparison) -> str:
    if not found.sizes:
        return ""
    rows = _pivoted(found.resized, "model", "tested_on", list(found.sizes))
    rows.append(["limit", *(f"{size.limit.macro_f1:.4f}" for size in found.sizes.values())])
    columns = [f"{name}, L = {size.side}" for name, size in found.sizes.items()]
    return table("Trained at the size of its own system, tested at others", ["", *columns], rows)
