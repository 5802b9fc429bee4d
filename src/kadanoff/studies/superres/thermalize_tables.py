"""What the stage `thermalize` found, as metrics, tables and sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kadanoff.estimate import Estimate
from kadanoff.inverse.thermalization import OBSERVABLES, SIGMAS, Equilibrium, Relaxation, thermalized
from kadanoff.project.records.runinfo import RunInfo
from kadanoff.project.tables import Cell, table

STARTS = {"superres": "super-resolved", "grown": "grown", "hot": "random spins", "cold": "all spins up"}
SAMPLER_NAMES = {"metropolis": "Metropolis", "swendsen_wang": "Swendsen-Wang"}
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
NOTE = f"""{CRITERION}The start holds the 16 x 16 seeds, their equilibration, the doublings and their sweeps, or the
random spins. Metropolis sweeps repair short distances first: the autocorrelation time grows as L^2.17 with them, so
that starts without the right order at large scales need of the order of L^2.17 sweeps, and what a super-resolved start
has wrong at large scales, if less than `within`, stays. The network's time is that of training and calibrating it, once
for all lattices and sizes.
"""


@dataclass(frozen=True)
class Study:
    """One size: equilibrium, and every run by its name, START_SAMPLER; the first has the start that is studied.

    `once` are the CPU seconds that its network took, whatever the number of lattices: not a number if unknown.
    """

    size: int
    equilibrium: Equilibrium
    runs: Mapping[str, Relaxation]
    once: float

    @cached_property
    def reached(self) -> dict[str, int | None]:
        """Index of the count at which each run is in equilibrium."""
        return {name: thermalized(run, self.equilibrium.values) for name, run in self.runs.items()}

    def sweeps(self, name: str) -> tuple[int, bool]:
        """Sweeps to equilibrium, or those that were too few, and whether they were enough."""
        index = self.reached[name]
        return self.runs[name].counts[-1 if index is None else index], index is not None

    def seconds(self, name: str) -> float:
        """CPU seconds a lattice to equilibrium, or until the run was given up."""
        index = self.reached[name]
        return float(self.runs[name].seconds[-1 if index is None else index])

    def fastest(self, among: Sequence[str]) -> str | None:
        """The run that took least time to equilibrium."""
        return min((name for name in among if self.sweeps(name)[1]), key=self.seconds, default=None)


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


def deviations(relaxation: Relaxation, observable: int, value: Estimate) -> list[Estimate]:
    """Relative deviation from equilibrium at every count, in percent."""
    scale = 100 / abs(value.mean)
    found = [relaxation.at(observable, index) for index in range(len(relaxation.counts))]
    return [Estimate(scale * (point.mean - value.mean), scale * point.error, n=point.n) for point in found]


def tolerance(relaxation: Relaxation, index: int, values: Sequence[Estimate]) -> list[float]:
    """What 3 combined standard errors at counts[index] are in percent of each equilibrium value."""
    return [
        100 * SIGMAS * float(np.hypot(relaxation.at(number, index).error, value.error)) / abs(value.mean)
        for number, value in enumerate(values)
    ]


def parsed(name: str) -> tuple[str, str]:
    """Start and sampler of a run."""
    start, _, sampler = name.partition("_")
    return start, sampler


def title_of(name: str) -> str:
    """A run in words."""
    start, sampler = parsed(name)
    return f"{STARTS[start]}, {SAMPLER_NAMES[sampler]}"


def metrics(studies: Sequence[Study]) -> dict[str, Any]:
    """By size and run; `sweeps` is null where equilibrium was not reached."""
    return {
        f"L={study.size}": {name: _numbers(study, name) for name in study.runs}
        | {"reference": dict(zip(OBSERVABLES, _reference(study), strict=True))}
        for study in studies
    } | {"network_seconds": studies[0].once}


def _numbers(study: Study, name: str) -> dict[str, Any]:
    run, (sweeps, enough), values = study.runs[name], study.sweeps(name), study.equilibrium.values
    index = run.counts.index(sweeps)
    return {
        "sweeps": sweeps if enough else None,
        "seconds": study.seconds(name),
        "start_seconds": float(run.seconds[0]),
        "percent_off_at_start": {
            key: deviations(run, number, values[number])[0] for number, key in enumerate(OBSERVABLES)
        },
        "percent_tolerance": dict(zip(OBSERVABLES, tolerance(run, index, values), strict=True)),
    }


def _reference(study: Study) -> list[Any]:
    return [study.equilibrium.measured_energy or study.equilibrium.values[0], *study.equilibrium.values[1:]]


def table_of(study: Study) -> str:
    """One row a run, and the equilibrium values below."""
    columns = ["start, sampler", "sweeps", *(f"{symbol} within, %" for symbol in SYMBOLS), "ms", "start"]
    columns += [f"{symbol} at the start, %" for symbol in SYMBOLS]
    rows: list[list[Cell]] = []
    for name in study.runs:
        found = _numbers(study, name)
        limit = "" if found["sweeps"] is not None else "> "
        times = f"{limit}{_milliseconds(found['seconds'])}", _milliseconds(found["start_seconds"], 2)
        off, within = found["percent_off_at_start"].values(), found["percent_tolerance"].values()
        rows.append(
            [title_of(name), f"{limit}{study.sweeps(name)[0]}", *(f"{part:.2g}" for part in within), *times, *off]
        )
    chains, values = study.runs[next(iter(study.runs))].values.shape[2], study.equilibrium
    exact, measured = values.values[0].mean, values.measured_energy
    below = f"\nEquilibrium: e = {exact:.6f} (exact"
    if measured is None:
        below += f"), <m^2> = {values.values[1].mean:.6f}, G(L/4) = {values.values[2].mean:.6f} (the scaling limit).\n"
    else:
        below += (
            f"; the reference has {measured}, {measured.sigmas(exact):+.1f} standard errors), <m^2> = "
            f"{values.values[1]}, G(L/4) = {values.values[2]} ({measured.n} reference chains).\n"
        )
    return table(f"L = {study.size}, {chains} chains of each start", columns, rows) + below


def _milliseconds(seconds: float, digits: int = 3) -> str:
    value = 1000 * seconds
    return f"{value:.0f}" if value >= 10**digits else f"{value:.{digits}g}"


def conclusions(studies: Sequence[Study], note: str = NOTE) -> str:
    """What is compared, and what came out, in sentences."""
    return "\n".join(["## In words", "", note, *(f"* {sentence(study)}" for study in studies)]) + "\n"


def sentence(study: Study) -> str:
    """Which start took least time, with any sampler and with Metropolis sweeps only."""
    studied = parsed(next(iter(study.runs)))[0]
    mine = study.fastest([name for name in study.runs if parsed(name)[0] == studied])
    others = study.fastest([name for name in study.runs if parsed(name)[0] != studied])
    text = f"L = {study.size}: "
    if mine is None or others is None:
        text += "no start reached equilibrium. " if mine == others else f"only {title_of(str(mine or others))} did. "
    else:
        winner, loser = sorted((mine, others), key=study.seconds)
        text += (
            f"the fastest is {title_of(winner)} ({_cost(study, winner)}); {title_of(loser)} ({_cost(study, loser)}) "
            f"takes {study.seconds(loser) / study.seconds(winner):.2g} times as long. {_repaid(study, winner, loser)}"
        )
    with_metropolis = [
        f"{STARTS[parsed(name)[0]]} {'' if study.sweeps(name)[1] else 'more than '}{study.sweeps(name)[0]}"
        for name in study.runs
        if parsed(name)[1] == "metropolis"
    ]
    return text + f"Metropolis sweeps: {', '.join(with_metropolis)}."


def _repaid(study: Study, winner: str, loser: str) -> str:
    """How many lattices make good what the network took."""
    if parsed(winner)[0] != parsed(next(iter(study.runs)))[0] or np.isnan(study.once):
        return ""
    lattices = study.once / (study.seconds(loser) - study.seconds(winner))
    return f"The network took {study.once:.3g} s at most, which some {float(f'{lattices:.2g}'):,.0f} lattices repay. "


def _cost(study: Study, name: str) -> str:
    sweeps = study.sweeps(name)[0]
    within = tolerance(study.runs[name], study.runs[name].counts.index(sweeps), study.equilibrium.values)
    known = ", ".join(f"{part:.2g}% of {symbol}" for part, symbol in zip(within, SYMBOLS, strict=True))
    return f"{sweeps} {'sweep' if sweeps == 1 else 'sweeps'} to {known}: {1000 * study.seconds(name):.3g} ms"
