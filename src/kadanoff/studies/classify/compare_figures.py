"""The figures of `classify_compare`."""

from typing import Any

import numpy as np

from kadanoff.estimate import Estimate
from kadanoff.phases.regions import EQUILIBRIUM, REGIONS
from kadanoff.project.figures import MARKERS, figure, points, series
from kadanoff.project.records import Recorder
from kadanoff.studies.classify.comparison import KARA, Comparison
from kadanoff.studies.classify.references import BAYES, Reference

COLOURS = ("C0", "C2", "C4", "C1")
"""Of the regions, from cold to hot."""
GREYS = {
    "energy thresholds": "X",
    "pseudo-likelihood thresholds": "p",
    "logistic regression": "P",
    "gradient boosting": "*",
}
TICKS = (1e-4, 1e-3, 0.01, 0.1, 1)
LEAST = 1e-7  # probability of a level that is drawn
STYLES = {"none": ":", "physics": "-", "": "-."}


def draw_limits(record: Recorder, found: Comparison) -> None:
    """Figure `limits`: P(E|region) of each system, on the region that the Bayes classifier decides for."""
    count = len(found.references)
    rows = -(-count // 2)
    columns = min(count, 2)
    with figure(rows, columns, figsize=(5 * columns, 3.1 * rows), sharey=True, squeeze=False) as (drawn, axes):
        for axis, (system, reference) in zip(axes.flat, found.references.items(), strict=False):
            _draw_limit(axis, reference)
            axis.set_title(f"{system}: Bayes limit of macro-F1 {reference.limit.macro_f1:.4f}")
        for axis in axes.flat[count:]:
            axis.set_axis_off()
        for axis in axes[:, 0]:
            axis.set_ylabel("probability of a level")
        drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(REGIONS))
        record.figure(
            "limits", drawn, "Exact P(E) of each region, over the region that the Bayes classifier decides for"
        )


def _draw_limit(axis: Any, reference: Reference) -> None:
    limit = reference.limit
    above = (limit.levels - limit.levels[0]) / reference.side**2
    edges = np.concatenate([[0], (above[1:] + above[:-1]) / 2, above[-1:]])
    starts = np.flatnonzero(np.diff(limit.decision, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(above)], strict=True):
        axis.axvspan(edges[start], edges[stop], color=COLOURS[limit.decision[start]], alpha=0.15, lw=0)
    for number, (name, chances) in enumerate(zip(REGIONS, reference.probabilities, strict=True)):
        shown = np.where(chances > LEAST, chances, np.nan)
        axis.plot(above, shown, color=COLOURS[number], marker=".", ms=1.5, lw=0.8, label=name)
    hottest = above[reference.probabilities.max(0) > LEAST].max()
    excited = 8 / reference.side**2  # one spin reversed; 0 is the lowest state
    axis.set_xscale("symlog", linthresh=excited)
    axis.set(yscale="log", xlim=(-0.3 * excited, 1.1 * hottest), xlabel="energy per site above the lowest ($|J|$)")
    axis.set_xticks([0, *(tick for tick in TICKS if excited < tick < hottest)])
    axis.xaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()


def draw_scores(record: Recorder, found: Comparison) -> None:
    """Figure `scores`: macro-F1 by system, a panel a protocol; bars are errors, those of Kara et al. deviations."""
    panels, systems = list(found.contenders.groupby("protocol", sort=False)), list(found.references)
    looks = {name: _look(name, found) for name in found.contenders.model.unique()}
    known = {f"Kara et al.: {name}": {s: Estimate(*row[s]) for s in systems if s in row} for name, row in KARA.items()}
    for marker, name in zip(MARKERS, known, strict=False):
        looks[name] = {"color": "0.55", "mfc": "white", "marker": marker}
    size = (9, 0.4 + 3.4 * len(panels))
    with figure(len(panels), 1, figsize=size, sharex=True, squeeze=False) as (drawn, axes):
        for axis, (protocol, here) in zip(axes[:, 0], panels, strict=True):
            groups = here.groupby("model", sort=False)
            rows = {name: dict(zip(group.system, group.macro_f1, strict=True)) for name, group in groups} | known
            for number, (name, values) in enumerate(rows.items()):
                shift = 0.8 * ((number + 0.5) / len(rows) - 0.5)
                places = [systems.index(system) + shift for system in values]
                points(axis, places, list(values.values()), label=name, **looks[name])
            if protocol == EQUILIBRIUM:
                _draw_bands(axis, found)
            axis.set(title=protocol, ylabel="macro-F1", xlim=(-0.5, len(systems) - 0.5))
            axis.set_xticks(range(len(systems)), systems)
            axis.tick_params(axis="x", length=0)
            for border in range(1, len(systems)):
                axis.axvline(border - 0.5, color="0.85", lw=0.8)
        drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper")  # the first has all
        record.figure("scores", drawn, "Macro-F1 of networks, baselines and Kara et al. (2021), with the Bayes limits")


def _look(name: str, found: Comparison) -> dict[str, Any]:
    if name in found.models:
        return series(list(found.models).index(name))
    return {"color": "black", "marker": "d"} if name == BAYES else {"color": "0.4", "marker": GREYS[name]}


def _draw_bands(axis: Any, found: Comparison) -> None:
    """The limit of each system, and how far a single test set scatters around it."""
    for place, reference in enumerate(found.references.values()):
        mean, spread = reference.limit.macro_f1, reference.scatter.deviation
        low, high = place - 0.48, place + 0.48
        labels = ("Bayes limit", "scatter of a test set") if place == 0 else (None, None)
        axis.hlines(mean, low, high, color="k", lw=1, label=labels[0])
        axis.fill_between([low, high], mean - spread, mean + spread, color="0.9", lw=0, zorder=0, label=labels[1])


def draw_curves(record: Recorder, found: Comparison, curve: tuple[str, str]) -> None:
    """Figure `learning_curves`: of all networks and initial weights, and of the baselines; `curve` is where."""
    if found.curves.empty:
        return
    protocol, system = curve
    ticks = sorted(found.curves.images.unique())
    with figure(figsize=(8, 4.2)) as (drawn, axis):
        groups = found.curves.groupby(["name", "model", "start"], sort=False)
        for number, ((name, model, start), rows) in enumerate(groups):
            places = rows.images * 1.015 ** (number - len(groups) / 2)  # beside each other
            style: dict[str, Any] = {"ls": STYLES.get(start, "--"), "lw": 1.2 if start else 0.8}
            points(axis, places, list(rows.macro_f1), label=name, **style | _look(model, found))
        if protocol == EQUILIBRIUM:
            axis.axhline(found.references[system].limit.macro_f1, color="k", lw=0.8, label="Bayes limit")
        axis.set(xscale="log", xlabel="labelled images", ylabel="macro-F1", title=f"{system}, {protocol}")
        axis.set_xticks(ticks, map(str, ticks))
        axis.minorticks_off()
        axis.margins(x=0.1)
        drawn.legend(loc="outside right upper")
        record.figure("learning_curves", drawn, "Macro-F1 over labelled images, from each kind of initial weights")
