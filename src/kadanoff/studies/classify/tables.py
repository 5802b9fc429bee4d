"""The tables of `classify_compare`, with the numbers of Kara et al. (2021) in rows of their own."""

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
        rows += [
            (row.protocol, row.system, row.model, *goal[::2], goal[1], row.leak or at_least(*goal[1:]))
            for goal in goals
        ]
    return pd.DataFrame(rows, columns=["protocol", "system", "model", "number", "least", "estimate", "met"])


def tables_text(found: Comparison, goals: pd.DataFrame) -> str:
    """All tables as Markdown."""
    parts = [f"# Temperature regions: networks, baselines, the Bayes limit, and {KARA_ET_AL}\n", NOTES, _limits(found)]
    for protocol, here in found.contenders.groupby("protocol", sort=False):
        parts += [_main(found, str(protocol), here), _detail(str(protocol), here)]
    parts += [_targets(goals), _differences(found), _walls(found), _curves(found)]
    parts += [
        _transfer(found, str(protocol), here) for protocol, here in found.transfer.groupby("protocol", sort=False)
    ]
    return "\n".join(part for part in [*parts, _sizes(found)] if part)


def _limits(found: Comparison) -> str:
    rows: Rows = []
    bayes = found.contenders[found.contenders.model == BAYES].set_index("system").macro_f1
    for system, reference in found.references.items():
        limit = reference.limit
        scores = [round(score, 4) for score in limit.f1.tolist()]
        spread = f"±{reference.scatter.deviation:.4f}"
        known = [f"{limit.posterior_macro_f1:.4f}", spread, bayes.get(system)]
        rows.append([system, f"{limit.macro_f1:.4f}", *scores, *known])
    regions = [f"F1, {name}" for name in REGIONS]
    columns = ["", "macro-F1", *regions, "most probable region", "a test set scatters by", "on our test sets"]
    return table("The Bayes limit in equilibrium", columns, rows)


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


def _pivoted(long: pd.DataFrame, row: str, column: str, columns: list, value: str = "macro_f1") -> Rows:
    """A row a name, a cell for each of the columns: a dash where there is none."""
    groups = long.groupby(row, sort=False)
    return [[name, *(group.set_index(column)[value].get(each) for each in columns)] for name, group in groups]


def _detail(protocol: str, here: pd.DataFrame) -> str:
    rows: Rows = [
        [
            f"{row.system}: {row.model}",
            row.macro_f1,
            f"±{row.scatter:.4f}" if np.isfinite(row.scatter) else None,
            row.trials,
            row.percent,
            row.less_bayes,
            row.leak or None,
        ]
        for row in here.itertuples()
    ]
    columns = ["", "macro-F1", "scatter of trials", "trials", "% of the limit", "less Bayes", "verdict"]
    return table(f"Against the limit, {protocol}", columns, rows)


def _targets(goals: pd.DataFrame) -> str:
    names = goals.model + ", " + goals.system + ", " + goals.protocol
    rows = list(zip(names, goals.number, goals.least, goals.estimate, goals.met, strict=True))
    return table("Targets that were set beforehand", ["", "number", "at least", "found", "met"], rows)


def _differences(found: Comparison) -> str:
    """Networks less others, whose test sets they share: errors of these differences, not those of two rows."""
    rows: Rows = []
    for row in found.differences.itertuples():
        name = f"{row.one} less {row.other}{' (best baseline)' if row.best_baseline else ''}"
        met = at_least(row.less, 0.0)
        rows.append([f"{name}, {row.system}, {row.protocol}", row.images, row.trials, row.less, met])
    title = "Differences on the same test sets; the best baseline is that of the validation set"
    return table(title, ["", "labelled images", "trials", "macro-F1", "met"], rows)


def _walls(found: Comparison) -> str:
    seen = [p for p in PROTOCOLS if any(p in reference.walls for reference in found.references.values())]
    rows: Rows = [
        [system, *(100 * reference.walls[protocol] if protocol in reference.walls else None for protocol in seen)]
        for system, reference in found.references.items()
    ]
    title = "Lattices below T = 1.055 that keep domain walls, %: 5 sigma above the exact P(E), tail below 2.9e-7"
    return table(title, ["", *seen], rows)


def _curves(found: Comparison) -> str:
    images = sorted(found.curves.images.unique().tolist())
    rows = _pivoted(found.curves, "name", "images", images)
    title = f"Macro-F1 by labelled images, and initial weights of networks: {PHYSICS} have seen unlimited others before"
    return table(title, ["", *map(str, images)], rows) if rows else ""


def _transfer(found: Comparison, protocol: str, here: pd.DataFrame) -> str:
    systems, named = list(found.references), here.assign(name=here.model + ", trained on " + here.system)
    title = f"Macro-F1 of first trials on the first test set of every system, {protocol}"
    return table(title, ["", *systems], _pivoted(named, "name", "tested_on", systems))


def _sizes(found: Comparison) -> str:
    if not found.sizes:
        return ""
    rows = _pivoted(found.resized, "model", "tested_on", list(found.sizes))
    rows.append(["limit", *(f"{size.limit.macro_f1:.4f}" for size in found.sizes.values())])
    columns = [f"{name}, L = {size.side}" for name, size in found.sizes.items()]
    return table("Trained at the size of its own system, tested at others", ["", *columns], rows)
