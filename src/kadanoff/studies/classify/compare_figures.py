"""The figures of `classify_compare`."""

from typing import Any

import numpy as np

from kadanoff.estimate import Estimate
from kadanoff.phases.regions import REGIONS
from kadanoff.project.figures import figure
from kadanoff.project.records import Recorder
from kadanoff.project.tables import cell
from kadanoff.studies.classify.figures import MARKERS, draw_matrix, draw_points, finish_curve
from kadanoff.studies.classify.found import Found, Row
from kadanoff.studies.classify.literature import KARA
from kadanoff.studies.classify.reference import BAYES, EQUILIBRIUM, Reference

COLOURS = ("C0", "C2", "C1", "C3")
"""Of the regions, from cold to hot."""
GREYS = {
    "energy thresholds": "X",
    "pseudo-likelihood thresholds": "p",
    "logistic regression": "P",
    "gradient boosting": "*",
}
TICKS = (1e-4, 1e-3, 0.01, 0.1, 1)
LEAST = 1e-7  # probability of a level that is drawn
STYLES = {"none": ":", "physics": "-"}


def draw_limits(record: Recorder, found: Found) -> None:
    """Figure `limits`: P(E|region) of each system, on the region that the Bayes classifier says there."""
    count = len(found.references)
    rows = -(-count // 2)
    columns = min(count, 2)
    with figure(rows, columns, figsize=(5.2 * columns, 3.1 * rows), sharey=True, squeeze=False) as (drawn, axes):
        for axis, (system, reference) in zip(axes.flat, found.references.items(), strict=False):
            _draw_limit(axis, reference)
            axis.set_title(f"{system}: Bayes limit of macro-F1 {reference.limit.macro_f1:.4f}")
        for axis in axes.flat[count:]:
            axis.set_axis_off()
        for axis in axes[:, 0]:
            axis.set_ylabel("probability of a level")
        drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(REGIONS))
        record.figure("limits", drawn)


def _draw_limit(axis: Any, reference: Reference) -> None:
    limit = reference.limit
    above = (limit.levels - limit.levels[0]) / reference.sites
    edges = np.concatenate([[0], (above[1:] + above[:-1]) / 2, above[-1:]])
    starts = np.flatnonzero(np.diff(limit.decision, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(above)], strict=True):
        axis.axvspan(edges[start], edges[stop], color=COLOURS[limit.decision[start]], alpha=0.15, lw=0)
    for number, (name, chances) in enumerate(zip(REGIONS, reference.probabilities, strict=True)):
        shown = np.where(chances > LEAST, chances, np.nan)
        axis.plot(above, shown, color=COLOURS[number], marker=".", ms=1.5, lw=0.8, label=name)
    hottest = above[reference.probabilities.max(0) > LEAST].max()
    excited = 8 / reference.sites  # one spin reversed; 0 is the lowest state
    axis.set_xscale("symlog", linthresh=excited)
    axis.set(yscale="log", xlim=(-0.3 * excited, 1.1 * hottest), xlabel="energy per site above the lowest ($|J|$)")
    axis.set_xticks([0, *(tick for tick in TICKS if excited < tick < hottest)])
    axis.xaxis.set_major_formatter("{x:g}")


def draw_scores(record: Recorder, found: Found) -> None:
    """Figure `scores`: macro-F1 of all by system, a panel a protocol; bars are errors, the paper's its deviations."""
    count = len(found.rows)
    with figure(count, 1, figsize=(9, 0.4 + 3.4 * count), sharex=True, squeeze=False) as (drawn, axes):
        for axis, (protocol, systems) in zip(axes[:, 0], found.rows.items(), strict=True):
            names = list(dict.fromkeys(name for contenders in systems.values() for name in contenders))
            entries = [*names, *(f"paper: {paper}" for paper in KARA)]
            for number, name in enumerate(entries):
                shift = 0.8 * ((number + 0.5) / len(entries) - 0.5)
                _draw_entry(axis, name, systems, shift, found)
            if protocol == EQUILIBRIUM:
                _draw_bands(axis, found)
            axis.set(title=found.title(protocol), ylabel="macro-F1", xlim=(-0.5, len(systems) - 0.5))
            axis.set_xticks(range(len(systems)), list(systems))
            axis.tick_params(axis="x", length=0)
            for border in range(1, len(systems)):
                axis.axvline(border - 0.5, color="0.85", lw=0.8)
        labelled = [zip(*axis.get_legend_handles_labels()[::-1], strict=True) for axis in axes[:, 0]]
        handles = {name: handle for pairs in labelled for name, handle in pairs}
        drawn.legend(handles.values(), handles.keys(), loc="outside right upper")
        record.figure("scores", drawn)


def _draw_entry(axis: Any, name: str, systems: dict[str, dict[str, Row]], shift: float, found: Found) -> None:
    """One contender in all systems, all a little beside their middle."""
    if paper := name.removeprefix("paper: ") if name.startswith("paper: ") else "":
        known = KARA[paper]
        points = {place: Estimate(*known[system]) for place, system in enumerate(systems) if system in known}
        look = {"color": "0.55", "mfc": "white", "marker": MARKERS[list(KARA).index(paper)]}
    else:
        points = {place: rows[name].mean for place, rows in enumerate(systems.values()) if name in rows}
        look = _look(name, found)
    values, bars = ([getattr(point, key) for point in points.values()] for key in ("mean", "error"))
    axis.errorbar([place + shift for place in points], values, bars, ls="", ms=5, capsize=2, label=name, **look)


def _look(name: str, found: Found) -> dict[str, Any]:
    if name in found.models:
        number = list(found.models).index(name)
        return {"color": f"C{number % 10}", "marker": MARKERS[number % len(MARKERS)]}
    return {"color": "k", "marker": "d"} if name == BAYES else {"color": "0.4", "marker": GREYS.get(name, "1")}


def _draw_bands(axis: Any, found: Found) -> None:
    """The limit of each system, and how far a single test set scatters around it."""
    for place, reference in enumerate(found.references.values()):
        mean, spread = reference.limit.macro_f1, reference.scatter.deviation
        low, high = place - 0.48, place + 0.48
        labels = ("Bayes limit", "scatter of a test set") if place == 0 else (None, None)
        axis.hlines(mean, low, high, color="k", lw=1, label=labels[0])
        axis.fill_between([low, high], mean - spread, mean + spread, color="0.9", lw=0, zorder=0, label=labels[1])


def draw_curves(record: Recorder, found: Found, curve: tuple[str, str]) -> None:
    """Figure `learning_curves`: of all networks and first weights, and of the baselines; `curve` is where."""
    if not found.curves:
        return
    protocol, system = curve
    with figure(figsize=(7.4, 4)) as (drawn, axis):
        for number, (name, points) in enumerate(found.curves.items()):
            model, _, weights = name.partition(", ")
            look = _look(model, found)
            style = STYLES.get(weights, "--") if weights else "-."
            beside = 1.015 ** (number - len(found.curves) / 2)
            draw_points(axis, points, name, beside, ls=style, lw=1.2 if weights else 0.8, **look)
        if protocol == EQUILIBRIUM:
            axis.axhline(found.references[system].limit.macro_f1, color="k", lw=0.8, label="Bayes limit")
        finish_curve(axis, {images for points in found.curves.values() for images in points})
        axis.set_title(f"{system}, {found.state(protocol, system)}")
        drawn.legend(loc="outside right upper")
        record.figure("learning_curves", drawn)


def draw_transfer(record: Recorder, found: Found) -> None:
    """Figure `transfer`: macro-F1 [trained on, tested on], a row of panels a protocol, a column a model."""
    systems, transfer = list(found.references), {p: models for p, models in found.transfer.items() if models}
    if not transfer:
        return
    names = [name for name in found.models if any(name in models for models in transfer.values())]
    size = (1.3 + 3 * len(names), 0.6 + 3.1 * len(transfer))
    with figure(len(transfer), len(names), figsize=size, sharex=True, sharey=True, squeeze=False) as (drawn, axes):
        for line, (protocol, models) in zip(axes, transfer.items(), strict=True):
            for axis, name in zip(line, names, strict=True):
                table = [[models.get(name, {}).get(one, {}).get(other) for other in systems] for one in systems]
                values = np.array([[np.nan if item is None else item.mean for item in row] for row in table])
                draw_matrix(axis, values, [[cell(item) for item in row] for row in table], (0, 1), "Blues")
                axis.set_title(f"{name}, {found.title(protocol)}", wrap=True)
                axis.set_xticks(range(len(systems)), systems, fontsize=8, rotation=30, ha="right")
                axis.set_yticks(range(len(systems)), systems, fontsize=8)
            line[0].set_ylabel("trained on")
        for axis in axes[-1]:
            axis.set_xlabel("tested on")
        record.figure("transfer", drawn)
