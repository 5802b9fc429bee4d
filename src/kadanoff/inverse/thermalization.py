"""How soon chains at T_c forget how they started: from random spins, all spins up, or super-resolved lattices.

Shorter equilibration times, the use that Efthymiou et al. (2019) conclude with, as a measurement. Chains count as
thermalized from the first measured sweep on at which the energy, <m^2> and G(L/4) lie within 3 standard errors of
equilibrium, those of the chains and of the equilibrium values combined, and at which so do the averages of the three
over this and all later measured sweeps. Averages, as one of many later measurements leaves 3 errors by chance: of runs
that start in equilibrium, measured at every second of 64 Swendsen-Wang sweeps, it is one in six.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from time import thread_time

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.description import Dataset
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.inverse.chains import Doubling, doubled, measure
from kadanoff.inverse.superresolve import Spins
from kadanoff.montecarlo.rng import stream_key
from kadanoff.montecarlo.samplers import GROUP, SAMPLERS, first_configurations
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, kaufman
from kadanoff.spins.statistics import independent_mean

OBSERVABLES = ("energy", "squared_magnetization", "quarter_correlation")
SIGMAS = 3.0  # within as many standard errors of equilibrium
DISAGREE = 4.0  # the reference must agree with the exact energy, and its two halves with each other, within as many
SPACING = 4  # sweeps between measurements of the reference

Prepare = Callable[[int, int], Spins]
"""(number of the first chain, chains) -> lattices before the first sweep, int8 (chain, L, L)."""


@dataclass(frozen=True)
class Relaxation:
    """What chains showed at the sweep counts `counts`.

    `values` is float64 (observable, count, chain), in the order of `OBSERVABLES`; `seconds` (count,) is the CPU time
    that one lattice took until then, its start included and its measurement left out.
    """

    counts: tuple[int, ...]
    values: NDArray[np.float64]
    seconds: NDArray[np.float64]

    def at(self, observable: int, index: int) -> Estimate:
        """Mean over the chains of one observable at counts[index]."""
        return independent_mean(self.values[observable, index])


@dataclass(frozen=True)
class Equilibrium:
    """Equilibrium values in the order of `OBSERVABLES`: that of the energy is exact.

    `measured_energy` is that of the reference chains, if there are some, and `spread` the standard deviation of single
    lattices.
    """

    values: tuple[Estimate, ...]
    measured_energy: Estimate | None
    spread: tuple[float, ...]

    def band(self, observable: int, chains: int) -> float:
        """Half width of the criterion for `chains` lattices that are in equilibrium."""
        return SIGMAS * float(np.hypot(self.spread[observable] / np.sqrt(chains), self.values[observable].error))


def measured_counts(sampler: str, sweeps: int) -> tuple[int, ...]:
    """Sweep counts up to `sweeps`: every second one, or of Metropolis, which needs many, 0, 1, 2, 3, 4, 6, 8, 12, ...

    >>> measured_counts("swendsen_wang", 7)
    (0, 2, 4, 6, 7)
    >>> measured_counts("metropolis", 10)
    (0, 1, 2, 3, 4, 6, 8, 10)
    """
    octaves = (part << power for power in range(sweeps.bit_length()) for part in (2, 3))
    counts = {part // 2 for part in octaves} if sampler == "metropolis" else set(range(0, sweeps, 2))
    return (0, *sorted(count for count in counts if 0 < count < sweeps), sweeps)


def uniform(size: int, start: str, seed: int, name: str) -> Prepare:
    """Lattices of random spins (`hot`), drawn under `seed` and `name`, or of spins up (`cold`)."""
    dataset = Dataset.model_validate({"size": size, "temperatures": [T_C], "samples": 1, "start": start, "seed": seed})
    return lambda first, count: first_configurations(dataset, name, T_C, first, count)


def superresolved(seeds: Spins, size: int, double: Doubling) -> Prepare:
    """The lattices `seeds` (chain, 16, 16), doubled until their side is `size`."""
    levels = (size // seeds.shape[-1]).bit_length() - 1

    def prepare(first: int, count: int) -> Spins:
        *_, spins = doubled(seeds[first : first + count], levels, double, first)
        return np.ascontiguousarray(spins)

    return prepare


def relax(
    prepare: Prepare,
    sampler: str,
    size: int,
    chains: int,
    counts: Sequence[int],
    key: np.uint64,
    *,
    spent: float = 0.0,
    group: int = GROUP,
    workers: int | None = None,
) -> Relaxation:
    """Advance chains at T_c from their start, and measure them after each number of sweeps in `counts`, ascending.

    Parameters
    ----------
    prepare, sampler
        What makes the lattices before the first sweep, and a name in `SAMPLERS`.
    size, chains, counts
        Side of the lattices, how many, and after how many sweeps to measure: one call of the sampler leads from each
        count to the next.
    key, spent
        Of the sampler's random bits, from `rng.stream_key`; and CPU seconds a lattice before `prepare` is called.
    group, workers
        Chains that a thread advances at once, fewer if they are large, and threads, None for one a core: the values
        depend on neither. A thread counts its own CPU seconds, after calls that compile.
    """
    lattice, advance = Lattice.of(size), SAMPLERS[sampler]

    def follow(first: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        began, done = thread_time(), 0
        spins = prepare(first, min(group, chains - first))
        total = thread_time() - began
        seconds, found = [], []
        for count in counts:
            began = thread_time()
            if count > done:
                advance(spins, lattice, T_C, 0.0, key, first, done, count - done)
            total, done = total + thread_time() - began, count
            seconds.append(total)
            found.append(measure(spins))
        return np.array(found), np.array(seconds)

    advance(prepare(0, 1), lattice, T_C, 0.0, key, 0, 0, 1)
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        parts = list(pool.map(follow, range(0, chains, group)))
    energy, magnetization, _, quarter = np.concatenate([found for found, _ in parts], axis=2).transpose(1, 0, 2)[:4]
    seconds = spent + np.sum([total for _, total in parts], axis=0) / chains
    return Relaxation(tuple(counts), np.stack([energy, magnetization**2, quarter]), seconds)


def equilibrium(size: int, chains: int, sweeps: int, seed: int) -> Equilibrium:
    """Equilibrium at T_c: the energy from Kaufman's solution, the rest from 2 x `chains` Swendsen-Wang chains.

    Half of them start from random spins, half from all up; each is averaged over sweeps `sweeps` to 2 `sweeps`, so
    that errors are over independent chains. KadanoffError if the two halves disagree, or the energy is not Kaufman's,
    by more than 4 standard errors.
    """
    counts = range(sweeps, 2 * sweeps + 1, min(SPACING, sweeps))

    def half(start: str) -> NDArray[np.float64]:
        prepare, key = uniform(size, start, seed, "reference"), stream_key(seed, "reference", start, size)
        return relax(prepare, "swendsen_wang", size, chains, counts, key).values

    halves = half("hot"), half("cold")
    together = np.concatenate(halves, axis=2)
    hot, cold, both = ([independent_mean(means) for means in values.mean(1)] for values in (*halves, together))
    exact = kaufman(size, size, T_C).energy
    worst = max(abs(both[0].sigmas(exact)), *(abs(a.sigmas(b)) for a, b in zip(hot, cold, strict=True)))
    if worst > DISAGREE:
        raise KadanoffError(
            f"the reference at L = {size} is not in equilibrium after {sweeps} Swendsen-Wang sweeps: energy {both[0]}, "
            f"exactly {exact:.6f}; its chains from random spins and from all up differ by up to {worst:.1f} standard "
            "errors. Raise thermalize.cluster_sweeps."
        )
    spread = together.std(2, ddof=1).mean(1)
    return Equilibrium((Estimate(exact, 0.0), *both[1:]), both[0], tuple(map(float, spread)))


def thermalized(relaxation: Relaxation, values: Sequence[Estimate]) -> int | None:
    """Index of the first count that is in equilibrium, at it and on average from it on; None if there is none."""
    for index in range(len(relaxation.counts)):
        now, later = relaxation.values[:, index], relaxation.values[:, index:].mean(1)
        if all(
            abs(independent_mean(chains).sigmas(value)) <= SIGMAS
            for seen in (now, later)
            for chains, value in zip(seen, values, strict=True)
        ):
            return index
    return None


@dataclass(frozen=True)
class Thermalization:
    """One size: equilibrium, and every run by its name, START_SAMPLER; the first has the start that is studied.

    `network_seconds` are the CPU seconds that its network took, whatever the number of lattices: nan if unknown.
    """

    size: int
    equilibrium: Equilibrium
    runs: Mapping[str, Relaxation]
    network_seconds: float

    @cached_property
    def _reached(self) -> dict[str, tuple[int, bool]]:
        """Index of the count at which each run is in equilibrium, else of the last one, and whether it is."""
        found = {name: thermalized(run, self.equilibrium.values) for name, run in self.runs.items()}
        return {name: (-1 if index is None else index, index is not None) for name, index in found.items()}

    def sweeps(self, name: str) -> tuple[int, bool]:
        """Sweeps to equilibrium, or those that were too few, and whether they were enough."""
        index, enough = self._reached[name]
        return self.runs[name].counts[index], enough

    def seconds(self, name: str) -> float:
        """CPU seconds a lattice to equilibrium, or until the run was given up."""
        return float(self.runs[name].seconds[self._reached[name][0]])

    def fastest(self, among: Sequence[str]) -> str | None:
        """The run that took least time to equilibrium."""
        return min((name for name in among if self._reached[name][1]), key=self.seconds, default=None)


def deviations(relaxation: Relaxation, observable: int, value: Estimate) -> list[Estimate]:
    """Relative deviation from equilibrium at every count, in percent."""
    scale = 100 / abs(value.mean)
    return [scale * (relaxation.at(observable, index) - value.mean) for index in range(len(relaxation.counts))]


def tolerance(relaxation: Relaxation, index: int, values: Sequence[Estimate]) -> list[float]:
    """What 3 combined standard errors at counts[index] are in percent of each equilibrium value."""
    return [
        100 * SIGMAS * float(np.hypot(relaxation.at(number, index).error, value.error)) / abs(value.mean)
        for number, value in enumerate(values)
    ]


def start_and_sampler(name: str) -> tuple[str, str]:
    """Start and sampler of a run."""
    start, _, sampler = name.partition("_")
    return start, sampler
