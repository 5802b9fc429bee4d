"""What the stage `thermalize` found, as metrics, tables and sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kadanoff.inverse.thermalization import OBSERVABLES, SIGMAS, Equilibrium, Relaxation, thermalized
from kadanoff.lab.tables import Cell, table
from kadanoff.spins.statistics import Estimate

STARTS = {"superres": "super-resolved", "grown": "grown", "hot": "random spins", "cold": "all spins up"}
SAMPLER_NAMES = {"metropolis": "Metropolis", "swendsen_wang": "Swendsen-Wang"}
SYMBOLS = ("e", "<m^2>", "G(L/4)")
NOTE = """Equilibrium is reached at the first measured sweep count (0, 1, 2, 4, ...) from which on, at this and all
later ones, energy, <m^2> and G(L/4) lie within 3 standard errors: of the chains and of the equilibrium value, combined.
With more chains this asks for more: `within` says how much it asked for, `at the start` how far the chains were before
the first sweep. `>`: not reached; the time is then a lower limit too. Metropolis sweeps repair short distances first:
the autocorrelation time grows as L^2.17 with them, so that starts without the right order at large scales need of the
order of L^2.17 sweeps, and what a super-resolved start has wrong at large scales, if less than `within`, stays.
Milliseconds are CPU time a lattice on one core, after compilation; `start` is the part before the first sweep: the
16 x 16 seeds, their equilibration, the doublings and their sweeps, or the random spins. Training and calibrating the
network, once for all sizes, are not in it, nor are measurements. Chains are independent, so wall time is this over the
number of cores. Every measured count ends a call of the sampler.
"""


@dataclass(frozen=True)
class Study:
    """One size: equilibrium, and every run by its name, START_SAMPLER; the first has the start that is studied."""

    size: int
    equilibrium: Equilibrium
    runs: Mapping[str, Relaxation]

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
    }


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
    columns = ["start, sampler", "sweeps", "ms", "start"]
    columns += [f"{symbol} at the start, %" for symbol in SYMBOLS] + [f"{symbol} within, %" for symbol in SYMBOLS]
    rows: list[list[Cell]] = []
    for name in study.runs:
        found = _numbers(study, name)
        limit = "" if found["sweeps"] is not None else "> "
        times = f"{limit}{_milliseconds(found['seconds'])}", _milliseconds(found["start_seconds"], 2)
        off, within = found["percent_off_at_start"].values(), found["percent_tolerance"].values()
        rows.append(
            [title_of(name), f"{limit}{study.sweeps(name)[0]}", *times, *off, *(f"{part:.2g}" for part in within)]
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
            f"takes {study.seconds(loser) / study.seconds(winner):.2g} times as long. "
        )
    with_metropolis = [
        f"{STARTS[parsed(name)[0]]} {'' if study.sweeps(name)[1] else 'more than '}{study.sweeps(name)[0]}"
        for name in study.runs
        if parsed(name)[1] == "metropolis"
    ]
    return text + f"Metropolis sweeps: {', '.join(with_metropolis)}."


def _cost(study: Study, name: str) -> str:
    sweeps = study.sweeps(name)[0]
    return f"{sweeps} {'sweep' if sweeps == 1 else 'sweeps'}, {1000 * study.seconds(name):.3g} ms"
