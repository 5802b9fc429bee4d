"""How many sweeps make a chain independent of its start: the autocorrelation time of pilot chains."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.lab.params import Dataset
from kadanoff.montecarlo.samplers import GROUP, SAMPLERS, Sampler, first_configurations, key_of
from kadanoff.spins.exact import T_C
from kadanoff.spins.observables import energy
from kadanoff.spins.statistics import autocorrelation_time

SWEEPS_PER_TAU = 20
PILOT_SITES = 1 << 20
FEWEST = 16  # chains: fewer do not notice that one in ten is stuck
MEASUREMENTS = 1024
LONGEST_PILOT = 1 << 17
MOST_PILOTS = 64
"""Temperatures with pilots of their own: on a finer grid times change little from one to the next."""


class Pilot(NamedTuple):
    """What pilot chains tell, in sweeps: the autocorrelation time of the slowest observable, and the way there.

    `burn_in` is how long the pilot ran until it was seen in equilibrium, the time of looking included, since a few
    chains of many forget their start later than the rest; `resolved` is False if the longest
    allowed pilot was too short, and `tau` then is a lower bound.
    """

    tau: float
    burn_in: int
    resolved: bool

    @property
    def sweeps(self) -> int:
        """Sweeps that make a chain independent of its start."""
        return max(math.ceil(SWEEPS_PER_TAU * self.tau), self.burn_in)


def pilot(dataset: Dataset, name: str, sampler_name: str, temperature: float) -> Pilot:
    """Autocorrelation time at one temperature, the largest of e, |m| and the staggered |m|; in a field of m too.

    Several chains (64 on small lattices) run for n sweeps, n doubling until it is at least 20 times the result. One
    mean over all chains makes chains that are stuck in different states, as after a quench, show up as a huge time.
    In a field, some chains start with all spins up and some with all down: a metastable state shows up likewise.
    """
    lattice = dataset.lattice
    chains = int(np.clip(PILOT_SITES // lattice.sites, FEWEST, GROUP))
    spins = first_configurations(dataset, name, temperature, 0, chains, "pilot start")
    if dataset.field:
        spins[1::4], spins[3::4] = 1, -1
    key = key_of(dataset, name, temperature, f"pilot {sampler_name}")
    cap = max(MEASUREMENTS, min(LONGEST_PILOT, SWEEPS_PER_TAU * (dataset.sweeps or LONGEST_PILOT)))
    done, length, slowest = 0, 64, 0.0
    while True:
        stride = -(-length // MEASUREMENTS)
        series = _measure(spins, dataset, temperature, SAMPLERS[sampler_name], key, done, length, stride)
        done += length
        tau = stride * max(autocorrelation_time(observable).tau for observable in series)
        slowest = max(slowest, tau)
        resolved = length >= SWEEPS_PER_TAU * tau
        if resolved or length >= cap:
            # a slow mode that has died out in the pilot may live on in a few of many chains
            return Pilot(float(tau), max(done, math.ceil(SWEEPS_PER_TAU * slowest)), bool(resolved))
        length = min(2 * length, cap)


def pilot_places(dataset: Dataset) -> list[int]:
    """Indices of the temperatures that get pilots: all, or evenly spread ones and the nearest to T_c.

    None where any number of sweeps is said to do: nothing would be made of them.
    """
    temperatures = np.array(dataset.temperatures)
    if dataset.allow_unequilibrated and dataset.sweeps:
        return []
    if len(temperatures) <= MOST_PILOTS:
        return list(range(len(temperatures)))
    spread = np.linspace(0, len(temperatures) - 1, MOST_PILOTS - 1).round().astype(int)
    return sorted({*spread.tolist(), int(np.abs(temperatures - T_C).argmin())})


def _measure(
    spins: NDArray[np.int8],
    dataset: Dataset,
    temperature: float,
    advance: Sampler,
    key: np.uint64,
    first_sweep: int,
    sweeps: int,
    stride: int,
) -> NDArray[np.float64]:
    """Series of e, |m|, staggered |m| and, in a field, m; shape (observable, chain, sweeps // stride)."""
    lattice = dataset.lattice
    signs = (1 - 2 * (np.indices(lattice.shape).sum(axis=0) % 2)).astype(np.int8)
    series = np.empty((4 if dataset.field else 3, len(spins), sweeps // stride))
    for step in range(sweeps // stride):
        advance(spins, lattice, temperature, dataset.field, key, 0, first_sweep + step * stride, stride)
        series[0, :, step] = energy(spins.reshape(len(spins), *lattice.array_shape), lattice)
        series[1, :, step] = np.abs(spins.mean(axis=(1, 2)))
        series[2, :, step] = np.abs((spins * signs).mean(axis=(1, 2)))
        if dataset.field:
            series[3, :, step] = spins.mean(axis=(1, 2))
    return series


def sweeps_needed(dataset: Dataset, pilots: dict[int, Pilot]) -> int:
    """Sweeps of every chain: those asked for, or what the slowest of the temperatures with `pilots` needs.

    Raises
    ------
    KadanoffError
        If they are fewer than that, and the dataset does not say `allow_unequilibrated`.
    """
    if not pilots:
        assert dataset.sweeps is not None  # or there would be some
        return dataset.sweeps
    slowest = max(pilots, key=lambda index: (not pilots[index].resolved, pilots[index].sweeps))
    worst, asked = pilots[slowest], dataset.sweeps
    if dataset.allow_unequilibrated or (worst.resolved and (asked or worst.sweeps) >= worst.sweeps):
        return asked or worst.sweeps
    place = f"T = {dataset.temperatures[slowest]}"
    remedy = (
        "take the other sampler (sampler: swendsen_wang or metropolis), or say allow_unequilibrated: true (it is then "
        "written in the dataset)."
    )
    if not worst.resolved:
        raise KadanoffError(
            f"sweeps is {asked}, but the autocorrelation time at {place} is over {worst.tau:.0f} sweeps: the pilot "
            f"chains did not come to equilibrium. Give more sweeps, {remedy}"
        )
    raise KadanoffError(
        f"sweeps is {asked}, but at {place} the autocorrelation time is {worst.tau:.1f} sweeps and the start is "
        f"forgotten after {worst.burn_in}: a sample needs {worst.sweeps} sweeps. Raise sweeps, {remedy}"
    )
