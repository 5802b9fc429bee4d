"""How soon chains at T_c are in equilibrium, for the stages that measure it: metrics, tables and sentences."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kadanoff.inverse.thermalization import OBSERVABLES, Thermalization, deviations, start_and_sampler, tolerance
from kadanoff.project.records import Recorder
from kadanoff.project.records.runinfo import RunInfo
from kadanoff.project.tables import Cell, table
from kadanoff.studies.relaxation_figures import STARTS, draw_relaxation, draw_times, run_title

SYMBOLS = ("e", "<m^2>", "G(L/4)")
CRITERION = """`sweeps` is the first measured count at which equilibrium is not rejected: energy, <m^2> and G(L/4) lie
within 3 standard errors of it, those of the chains and of the equilibrium values combined, and so do their averages
over this and all later counts. What that tells is `within`, 3 errors in percent: 0 sweeps to 10% of <m^2> says nothing
of deviations below 10%, and more chains ask for more. Counts are 0, 2, 4, 6, ... with Swendsen-Wang sweeps and 0, 1, 2,
3, 4, 6, 8, 12, ... with Metropolis sweeps. `>`: not reached; the time is then a lower limit too. `at the start` is how
far the chains were before the first sweep. Milliseconds are CPU time a lattice on one core, after compilation and
without measurements, each of which ends a call of the sampler (Swendsen-Wang takes some 7% longer so); `start` is the
part before the first sweep.
"""


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
    record.text("tables.md", "\n".join([*map(table_text, results), summary(results, note)]))
    draw_relaxation(record, results[-1])
    if len(results) > 1:
        draw_times(record, results)


def metrics(results: Sequence[Thermalization]) -> dict[str, Any]:
    """By size and run; `sweeps` is null where equilibrium was not reached."""
    return {
        f"L={result.size}": {name: _numbers(result, name) for name in result.runs}
        | {"reference": dict(zip(OBSERVABLES, _reference(result), strict=True))}
        for result in results
    } | {"network_seconds": results[0].network_seconds}


def _numbers(result: Thermalization, name: str) -> dict[str, Any]:
    run, (sweeps, enough), values = result.runs[name], result.sweeps(name), result.equilibrium.values
    index = run.counts.index(sweeps)
    return {
        "sweeps": sweeps if enough else None,
        "seconds": result.seconds(name),
        "start_seconds": float(run.seconds[0]),
        "percent_off_at_start": {
            key: deviations(run, number, values[number])[0] for number, key in enumerate(OBSERVABLES)
        },
        "percent_tolerance": dict(zip(OBSERVABLES, tolerance(run, index, values), strict=True)),
    }


def _reference(result: Thermalization) -> list[Any]:
    return [result.equilibrium.measured_energy or result.equilibrium.values[0], *result.equilibrium.values[1:]]


def table_text(result: Thermalization) -> str:
    """One row a run, and the equilibrium values below."""
    columns = ["start, sampler", "sweeps", *(f"{symbol} within, %" for symbol in SYMBOLS), "ms", "start"]
    columns += [f"{symbol} at the start, %" for symbol in SYMBOLS]
    rows: list[list[Cell]] = []
    for name in result.runs:
        found = _numbers(result, name)
        limit = "" if found["sweeps"] is not None else "> "
        times = f"{limit}{_milliseconds(found['seconds'])}", _milliseconds(found["start_seconds"], 2)
        off, within = found["percent_off_at_start"].values(), found["percent_tolerance"].values()
        rows.append(
            [run_title(name), f"{limit}{result.sweeps(name)[0]}", *(f"{part:.2g}" for part in within), *times, *off]
        )
    chains, values = result.runs[next(iter(result.runs))].values.shape[2], result.equilibrium
    exact, measured = values.values[0].mean, values.measured_energy
    below = f"\nEquilibrium: e = {exact:.6f} (exact"
    if measured is None:
        below += f"), <m^2> = {values.values[1].mean:.6f}, G(L/4) = {values.values[2].mean:.6f} (the scaling limit).\n"
    else:
        below += (
            f"; the reference has {measured}, {measured.sigmas(exact):+.1f} standard errors), <m^2> = "
            f"{values.values[1]}, G(L/4) = {values.values[2]} ({measured.n} reference chains).\n"
        )
    return table(f"L = {result.size}, {chains} chains of each start", columns, rows) + below


def _milliseconds(seconds: float, digits: int = 3) -> str:
    value = 1000 * seconds
    return f"{value:.0f}" if value >= 10**digits else f"{value:.{digits}g}"


def summary(results: Sequence[Thermalization], note: str) -> str:
    """What is compared, and what came out, in sentences."""
    return "\n".join(["## In words", "", note, *(f"* {sentence(result)}" for result in results)]) + "\n"


def sentence(result: Thermalization) -> str:
    """Which start took least time, with any sampler and with Metropolis sweeps only."""
    studied = start_and_sampler(next(iter(result.runs)))[0]
    mine = result.fastest([name for name in result.runs if start_and_sampler(name)[0] == studied])
    others = result.fastest([name for name in result.runs if start_and_sampler(name)[0] != studied])
    text = f"L = {result.size}: "
    if mine is None or others is None:
        text += "no start reached equilibrium. " if mine == others else f"only {run_title(str(mine or others))} did. "
    else:
        winner, loser = sorted((mine, others), key=result.seconds)
        text += (
            f"the fastest is {run_title(winner)} ({_cost(result, winner)}); {run_title(loser)} "
            f"({_cost(result, loser)}) takes {result.seconds(loser) / result.seconds(winner):.2g} times as long. "
            f"{_repaid(result, winner, loser)}"
        )
    with_metropolis = [
        f"{STARTS[start_and_sampler(name)[0]]} {'' if result.sweeps(name)[1] else 'more than '}{result.sweeps(name)[0]}"
        for name in result.runs
        if start_and_sampler(name)[1] == "metropolis"
    ]
    return text + f"Metropolis sweeps: {', '.join(with_metropolis)}."


def _repaid(result: Thermalization, winner: str, loser: str) -> str:
    """How many lattices make good what the network took."""
    seconds, (studied, _) = result.network_seconds, start_and_sampler(next(iter(result.runs)))
    if start_and_sampler(winner)[0] != studied or np.isnan(seconds):
        return ""
    lattices = float(f"{seconds / (result.seconds(loser) - result.seconds(winner)):.2g}")
    return f"The network took {seconds:.3g} s at most, which some {lattices:,.0f} lattices repay. "


def _cost(result: Thermalization, name: str) -> str:
    sweeps = result.sweeps(name)[0]
    within = tolerance(result.runs[name], result.runs[name].counts.index(sweeps), result.equilibrium.values)
    known = ", ".join(f"{part:.2g}% of {symbol}" for part, symbol in zip(within, SYMBOLS, strict=True))
    return f"{sweeps} {'sweep' if sweeps == 1 else 'sweeps'} to {known}: {1000 * result.seconds(name):.3g} ms"
