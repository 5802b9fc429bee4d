"""How many sweeps make a chain independent of its start: the autocorrelation time of pilot chains."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.lab.params import Dataset
from kadanoff.montecarlo.samplers import GROUP, SAMPLERS, Sampler, first_configurations, key_of
from kadanoff.spins.observables import energy
from kadanoff.spins.statistics import autocorrelation_time

SWEEPS_PER_TAU = 20
PILOT_SITES = 1 << 20
MEASUREMENTS = 1024
LONGEST_PILOT = 1 << 17


class Pilot(NamedTuple):
    """Integrated autocorrelation time of the slowest observable, in sweeps."""

    tau: float
    sweeps: int
    resolved: bool


def pilot(dataset: Dataset, name: str, sampler_name: str, temperature: float) -> Pilot:
    """Autocorrelation time at one temperature, the largest of e, \\|m\\| and the staggered \\|m\\|.

    Several chains (64 on small lattices) run for n sweeps, n doubling until n is at least 20 times the result;
    what ran before is the burn-in. One mean over all chains makes chains that are stuck in different states
    show up as a huge time. `resolved` is False if the longest allowed pilot was too short.
    """
    lattice = dataset.lattice
    chains = int(np.clip(PILOT_SITES // lattice.sites, 4, GROUP))
    spins = first_configurations(dataset, name, temperature, 0, chains, "pilot start")
    key = key_of(dataset, name, temperature, f"pilot {sampler_name}")
    cap = max(MEASUREMENTS, min(LONGEST_PILOT, SWEEPS_PER_TAU * (dataset.sweeps or LONGEST_PILOT)))
    done, length = 0, 64
    while True:
        stride = -(-length // MEASUREMENTS)
        series = _measure(spins, dataset, temperature, SAMPLERS[sampler_name], key, done, length, stride)
        done += length
        tau = stride * max(autocorrelation_time(observable).tau for observable in series)
        if length >= SWEEPS_PER_TAU * tau or length >= cap:
            return Pilot(float(tau), done, length >= SWEEPS_PER_TAU * tau)
        length = min(2 * length, cap)


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
    """Series of e, |m| and staggered |m|, shape (3, chain, sweeps // stride)."""
    lattice = dataset.lattice
    signs = 1 - 2 * (np.indices(lattice.shape).sum(axis=0) % 2)
    series = np.empty((3, len(spins), sweeps // stride))
    for step in range(sweeps // stride):
        advance(spins, lattice, temperature, dataset.field, key, 0, first_sweep + step * stride, stride)
        series[0, :, step] = energy(spins, lattice)
        series[1, :, step] = np.abs(spins.mean(axis=(1, 2)))
        series[2, :, step] = np.abs((spins * signs).mean(axis=(1, 2)))
    return series


def sweeps_needed(dataset: Dataset, pilots: list[Pilot]) -> int:
    """Sweeps of every chain: those asked for, or 20 times the longest autocorrelation time.

    Raises
    ------
    KadanoffError
        If they are fewer than that, and the dataset does not say `allow_unequilibrated`.
    """
    slowest = max(range(len(pilots)), key=lambda index: pilots[index].tau)
    tau, resolved = pilots[slowest].tau, all(pilot.resolved for pilot in pilots)
    needed = int(np.ceil(SWEEPS_PER_TAU * tau))
    place = f"T = {dataset.temperatures[slowest]}"
    if dataset.sweeps is None:
        if not resolved and not dataset.allow_unequilibrated:
            raise KadanoffError(
                f"sweeps is not given, and no pilot chain came to equilibrium at {place} (autocorrelation time over "
                f"{tau:.0f} sweeps). Take sampler: swendsen_wang, start: cold, or give sweeps and "
                "allow_unequilibrated: true."
            )
        return needed
    if dataset.sweeps < needed and not dataset.allow_unequilibrated:
        bound = "" if resolved else "more than "
        raise KadanoffError(
            f"sweeps is {dataset.sweeps}, but the autocorrelation time at {place} is {bound}{tau:.1f} sweeps: a sample "
            f"needs at least {SWEEPS_PER_TAU} of them, {needed} sweeps. Raise sweeps, take sampler: swendsen_wang, "
            "or say allow_unequilibrated: true (it is then written in the dataset)."
        )
    return dataset.sweeps
