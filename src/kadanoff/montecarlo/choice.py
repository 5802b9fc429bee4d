"""`sampler: auto`: single spins where clusters cannot help, else what short pilots find to be faster."""

from typing import NamedTuple

from kadanoff.data.description import Dataset
from kadanoff.montecarlo.equilibration import pilot
from kadanoff.spins.exact import T_C

METROPOLIS_ABOVE = 2 * T_C
SHORT = 1024
"""Sweeps, at most, of the pilots that compare samplers."""
FAST = 10.0
"""Autocorrelation time of clusters, in sweeps, with which no other sampler is tried."""
COSTS = {"swendsen_wang": 1, "hybrid": 2}
"""Time of a sweep, in those of the first."""


class Choice(NamedTuple):
    """A sampler's name and why it was taken."""

    name: str
    reason: str


def choose(dataset: Dataset, name: str) -> Choice:
    """The sampler of a dataset; the same for the same parameters on every machine."""
    if dataset.sampler != "auto":
        return Choice(dataset.sampler, "named in the parameters")
    if dataset.field:
        return Choice("metropolis", f"the field {dataset.field} breaks the up-down symmetry that clusters need")
    if min(dataset.temperatures) >= METROPOLIS_ABOVE:
        return Choice("metropolis", "every temperature is above 2 T_c: few sweeps decorrelate, and they cost least")
    return _faster(dataset, name)


def _faster(dataset: Dataset, name: str) -> Choice:
    """Pilots at the coldest temperature and the one nearest to T_c, where a sampler fails if it does."""
    temperatures = {min(dataset.temperatures), min(dataset.temperatures, key=lambda value: abs(value - T_C))}
    found = {}
    for sampler, cost in COSTS.items():
        pilots = [pilot(dataset, name, sampler, temperature, SHORT) for temperature in sorted(temperatures)]
        tau, resolved = max(each.tau for each in pilots), all(each.resolved for each in pilots)
        found[sampler] = (not resolved, cost * tau, f"{'' if resolved else 'over '}{tau:.1f} sweeps of {sampler}")
        if resolved and tau <= FAST:
            break
    best = min(found, key=lambda sampler: found[sampler][:2])
    times = " and ".join(time for _, _, time in found.values())
    return Choice(best, f"short pilots found autocorrelation times of {times}")
