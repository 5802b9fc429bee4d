"""How soon chains at T_c are in equilibrium, for the stages that measure it: runs, metrics, tables and figures."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator
from pydantic import Field

from kadanoff.inverse.thermalization import (
    OBSERVABLES,
    Prepare,
    Relaxation,
    Thermalization,
    deviations,
    measured_counts,
    relax,
    start_and_sampler,
    tolerance,
    uniform,
)
from kadanoff.montecarlo.samplers import GROUP
from kadanoff.project.figures import figure
from kadanoff.project.records import Recorder
from kadanoff.project.records.runinfo import RunInfo
from kadanoff.project.tables import Cell, table
from kadanoff.validation import Section, Seed, WeightsName

SYMBOLS = ("e", "<m^2>", "G(L/4)")
STARTS = {"superres": "super-resolved", "grown": "grown", "hot": "random spins", "cold": "all spins up"}
SAMPLER_NAMES = {"metropolis": "Metropolis", "swendsen_wang": "Swendsen-Wang"}
LABELS = (r"energy $e$", r"$\langle m^2 \rangle$", r"$G(L/4)$")
COLOURS = {"superres": "C0", "grown": "C0", "hot": "C1", "cold": "0.3"}
MARKERS = {"superres": ("o", 7.0), "grown": ("o", 7.0), "hot": ("s", 5.0), "cold": ("^", 3.5)}
"""And their sizes in points: what has equal values is seen inside of the other."""
CRITERION = """`sweeps` is the first measured count at which equilibrium is not rejected: energy, <m^2> and G(L/4) lie
within 3 standard errors of it, those of the chains and of the equilibrium values combined, and so do their averages
over this and all later counts. What that tells is `within`, 3 errors in percent: 0 sweeps to 10% of <m^2> says nothing
of deviations below 10%, and more chains ask for more. Counts are 0, 2, 4, 6, ... with Swendsen-Wang sweeps and 0, 1, 2,
3, 4, 6, 8, 12, ... with Metropolis sweeps. `>`: not reached; the time is then a lower limit too. `at the start` is how
far the chains were before the first sweep. Milliseconds are CPU time a lattice on one core, after compilation and
without measurements, each of which ends a call of the sampler (Swendsen-Wang takes some 7% longer so); `start` is the
part before the first sweep.
"""


class Chains(Section):
    """What both sections have: `sweeps` are of Metropolis, at most, as `cluster_sweeps` of Swendsen-Wang."""

    model: WeightsName
    sizes: list[int] = Field(min_length=1)
    sweeps: int = Field(gt=0)
    cluster_sweeps: int = Field(gt=0)
    refinement: int = Field(ge=0)
    seed: Seed


def relaxations(
    names: Iterable[str],
    params: Chains,
    size: int,
    chains: int,
    studied: Callable[[str], Prepare],
    spent: float,
    key: Callable[[str], np.uint64],
    group: int = GROUP,
) -> dict[str, Relaxation]:
    """Runs by their names, START_SAMPLER, of lattices of one size.

    `studied` prepares the start of a run unless that is `hot` or `cold`, after `spent` CPU seconds a lattice; `key` is
    that of a run's random bits; `group` chains are advanced at once.
    """
    found = {}
    for name in names:
        start, sampler = start_and_sampler(name)
        plain = start in ("hot", "cold")
        prepare = uniform(size, start, params.seed, name) if plain else studied(name)
        counts = measured_counts(sampler, params.sweeps if sampler == "metropolis" else params.cluster_sweeps)
        seconds = 0.0 if plain else spent
        found[name] = relax(prepare, sampler, size, chains, counts, key(name), spent=seconds, group=group)
    return found


def training_seconds(root: Path, model: str) -> float:
    """CPU seconds, at most, that the stage took which trained a model: by its record, all cores being busy.

    The record is no dependency of a stage: how long a training took can change no other result. Not a number if it is
    missing.
    """
    path = root / "reports" / model / "run.json"
    if not path.is_file():
        return float("nan")
    run = RunInfo.model_validate_json(path.read_text(encoding="utf-8"))
    return run.duration_s * float(str(run.environment["cpus"]))


def record_results(record: Recorder, results: Sequence[Thermalization], note: str) -> None:
    """Put metrics, tables and figures of all sizes into the record; `note` says what is compared."""
    record.metrics(metrics(results))
    largest, studied = results[-1], next(iter(results[0].runs))
    place = f"L={largest.size}/{studied}"
    record.summary(sentence(largest), "relaxation", sweeps=f"{place}/sweeps", seconds=f"{place}/seconds")
    rows = [_row(result, name) for result in results for name in result.runs]
    record.comparison(pd.DataFrame(rows, dtype=object), ["L", "start", "sampler"], ["sweeps", "seconds", *OBSERVABLES])
    sentences = "".join(f"* {sentence(result)}\n" for result in results)
    record.text("tables.md", "\n".join([*map(table_text, results), "## In words\n", note, sentences]))
    draw_relaxation(record, results[-1])
    if len(results) > 1:
        draw_times(record, results)


def metrics(results: Sequence[Thermalization]) -> dict[str, Any]:
    """By size and run; `sweeps` is null where equilibrium was not reached."""
    found: dict[str, Any] = {"network_seconds": results[0].network_seconds}
    for result in results:
        energy, *others = result.equilibrium.values
        reference = [result.equilibrium.measured_energy or energy, *others]
        runs: dict[str, Any] = {name: _numbers(result, name) for name in result.runs}
        found[f"L={result.size}"] = runs | {"reference": dict(zip(OBSERVABLES, reference, strict=True))}
    return found


def _numbers(result: Thermalization, name: str) -> dict[str, Any]:
    run, (sweeps, enough), values = result.runs[name], result.sweeps(name), result.equilibrium.values
    index = run.counts.index(sweeps)
    off = (deviations(run, number, value)[0] for number, value in enumerate(values))
    return {
        "sweeps": sweeps if enough else None,
        "seconds": result.seconds(name),
        "start_seconds": float(run.seconds[0]),
        "percent_off_at_start": dict(zip(OBSERVABLES, off, strict=True)),
        "percent_tolerance": dict(zip(OBSERVABLES, tolerance(run, index, values), strict=True)),
    }


def _row(result: Thermalization, name: str) -> dict[str, Any]:
    """A run's sweeps and seconds to equilibrium, and by how many percent it was off at the start."""
    numbers, (start, sampler) = _numbers(result, name), start_and_sampler(name)
    known = {"L": result.size, "start": STARTS[start], "sampler": SAMPLER_NAMES[sampler]}
    return known | {key: numbers[key] for key in ("sweeps", "seconds")} | numbers["percent_off_at_start"]


def table_text(result: Thermalization) -> str:
    """One row a run, and the equilibrium values below."""
    columns = ["start, sampler", "sweeps", *(f"{symbol} within, %" for symbol in SYMBOLS), "ms", "start"]
    columns += [f"{symbol} at the start, %" for symbol in SYMBOLS]
    rows: list[list[Cell]] = []
    for name in result.runs:
        found = _numbers(result, name)
        limit = "" if found["sweeps"] is not None else "> "
        within = [f"{part:.2g}" for part in found["percent_tolerance"].values()]
        times = [f"{limit}{_milliseconds(found['seconds'])}", _milliseconds(found["start_seconds"], 2)]
        sweeps = f"{limit}{result.sweeps(name)[0]}"
        rows.append([run_title(name), sweeps, *within, *times, *found["percent_off_at_start"].values()])
    chains, values = next(iter(result.runs.values())).values.shape[2], result.equilibrium
    (exact, square, quarter), measured = values.values, values.measured_energy
    if measured is None:
        below = f"(exact), <m^2> = {square.mean:.6f}, G(L/4) = {quarter.mean:.6f} (the scaling limit).\n"
    else:
        below = (
            f"(exact; the reference has {measured}, {measured.sigmas(exact.mean):+.1f} standard errors), <m^2> = "
            f"{square}, G(L/4) = {quarter} ({measured.n} reference chains).\n"
        )
    title = f"L = {result.size}, {chains} chains of each start"
    return f"{table(title, columns, rows)}\nEquilibrium: e = {exact.mean:.6f} {below}"


def _milliseconds(seconds: float, digits: int = 3) -> str:
    value = 1000 * seconds
    return f"{value:.0f}" if value >= 10**digits else f"{value:.{digits}g}"


def sentence(result: Thermalization) -> str:
    """Which start took least time, and how many lattices repay the network if it is the one that is studied."""
    studied = start_and_sampler(next(iter(result.runs)))[0]
    mine = result.fastest([name for name in result.runs if start_and_sampler(name)[0] == studied])
    other = result.fastest([name for name in result.runs if start_and_sampler(name)[0] != studied])
    text = f"L = {result.size}: "
    if mine is None or other is None:
        return text + (
            "no start reached equilibrium." if mine == other else f"only {run_title(str(mine or other))} did."
        )
    winner, loser = sorted((mine, other), key=result.seconds)
    fast, slow = (result.seconds(name) for name in (winner, loser))
    text += f"the fastest is {run_title(winner)} ({1000 * fast:.3g} ms); {run_title(loser)} ({1000 * slow:.3g} ms) "
    text += f"takes {slow / fast:.2g} times as long."
    once = result.network_seconds
    if winner == other or np.isnan(once):
        return text
    repaid = float(f"{once / (slow - fast):.2g}")
    return f"{text} The network took {once:.3g} s at most, which some {repaid:,.0f} lattices repay."


def run_title(name: str) -> str:
    """A run in words."""
    start, sampler = start_and_sampler(name)
    return f"{STARTS[start]}, {SAMPLER_NAMES[sampler]}"


def _look(name: str) -> dict[str, Any]:
    start, sampler = start_and_sampler(name)
    (marker, size), filled = MARKERS[start], sampler == "metropolis"
    look = {"marker": marker, "ms": size, "ls": "-" if filled else "--", "color": COLOURS[start]}
    return look | {"mfc": COLOURS[start] if filled else "white", "label": run_title(name)}


def draw_relaxation(record: Recorder, result: Thermalization) -> None:
    """Figure `relaxation`: relative deviation from equilibrium over the sweeps; shaded: what counts as equilibrium."""
    chains = next(iter(result.runs.values())).values.shape[2]
    with figure(1, 3, figsize=(10, 3.9)) as (drawn, axes):
        for number, axis in enumerate(axes):
            value = result.equilibrium.values[number]
            band = 100 * result.equilibrium.band(number, chains) / abs(value.mean)
            axis.axhspan(-band, band, color="0.88", label=r"equilibrium, $\pm 3$ errors")
            axis.axhline(0, color="0.5", lw=0.8)
            for name, run in result.runs.items():
                points = deviations(run, number, value)
                means, errors = [point.mean for point in points], [point.error for point in points]
                axis.errorbar(np.array(run.counts) + 1, means, errors, **_look(name))
            axis.set_yscale("symlog", linthresh=band)
            tens = [10.0**power for power in range(-3, 4) if 10.0**power > band / 2]
            axis.yaxis.set_major_locator(FixedLocator([0, *tens, *(-ten for ten in tens)]))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.set(xscale="log", xlabel="sweeps + 1", title=LABELS[number])
        axes[0].set_ylabel("deviation from equilibrium (%)")
        drawn.suptitle(f"$L$ = {result.size}, $T_c$, {chains} chains")
        handles, labels = axes[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=4)
        record.figure(
            "relaxation", drawn, "Deviation from equilibrium over the sweeps, from each start, with each sampler"
        )


def draw_times(record: Recorder, results: Sequence[Thermalization]) -> None:
    """Figure `times`: sweeps and CPU seconds to equilibrium against the size; arrows mark lower limits."""
    sizes = [result.size for result in results]
    with figure(1, 2, figsize=(8.5, 4.2)) as (drawn, axes):
        for name in results[0].runs:
            enough = [result.sweeps(name)[1] for result in results]
            sweeps = [result.sweeps(name)[0] + 1.0 for result in results]
            for axis, values in zip(axes, (sweeps, [result.seconds(name) for result in results]), strict=True):
                axis.plot(sizes, values, **_look(name))
                for x, y in ((x, y) for x, y, known in zip(sizes, values, enough, strict=True) if not known):
                    up = {"arrowstyle": "->", "color": COLOURS[start_and_sampler(name)[0]]}
                    axis.annotate("", (x, 2 * y), (x, y), arrowprops=up)
        labels = "sweeps to equilibrium + 1", "CPU seconds per lattice to equilibrium"
        for axis, label in zip(axes, labels, strict=True):
            axis.set(xscale="log", yscale="log", xlabel="lattice size $L$", ylabel=label)
            axis.set_xticks(sizes, list(map(str, sizes)))
            axis.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
            axis.set(xlim=(0.8 * sizes[0], 1.25 * sizes[-1]), ylim=(None, 2 * axis.get_ylim()[1]))  # room for arrows
        drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        record.figure("times", drawn, "Sweeps and seconds to equilibrium over lattice size; arrows: lower limits")
