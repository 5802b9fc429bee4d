"""Which sampler, and how many sweeps forget the start of a chain: by the autocorrelation times of pilot chains."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.description import Dataset
from kadanoff.errors import KadanoffError
from kadanoff.montecarlo.samplers import GROUP, SAMPLERS, first_configurations, key_of
from kadanoff.montecarlo.symmetry import ends_with_symmetry, symmetrize
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.compiled import compiled
from kadanoff.spins.exact import T_C
from kadanoff.spins.observables import energy
from kadanoff.spins.statistics import autocorrelation_time

SWEEPS_PER_TAU = 20
PILOT_SITES = 1 << 20
FEWEST = 16  # chains: fewer do not notice that one in ten is stuck
MEASUREMENTS = 1024
FIRST_PILOT, LONGEST_PILOT = 64, 1 << 17
PILOT_UPDATES = 1 << 36
"""Sites x sweeps of the longest pilot: some minutes."""
MOST_PILOTS = 64
"""Temperatures with pilots of their own: on a finer grid times change little from one to the next."""
METROPOLIS_ABOVE = 2 * T_C
SHORT = 1024
"""Sweeps, at most, of the pilots that compare samplers."""
FAST = 10.0
"""Autocorrelation time of clusters, in sweeps, with which no other sampler is tried."""
COSTS = {"swendsen_wang": 1, "hybrid": 2}
"""Time of a sweep, in those of the first."""


class Pilot(NamedTuple):
    """What pilot chains tell, in sweeps: the autocorrelation time of the slowest observable, and the way there.

    `burn_in` is how long the pilot ran until it was seen in equilibrium, the time of measuring included, since a few
    chains of many forget their start later than the rest; `resolved` is False if the longest allowed pilot was too
    short, and `tau` then is a lower bound.
    """

    tau: float
    burn_in: int
    resolved: bool

    @property
    def sweeps(self) -> int:
        """Sweeps that make a chain independent of its start."""
        return max(math.ceil(SWEEPS_PER_TAU * self.tau), self.burn_in)


def pilot_chains(lattice: Lattice) -> int:
    """How many chains tell of equilibrium: 64 on small lattices, 16 on large ones."""
    return int(np.clip(PILOT_SITES // lattice.sites, FEWEST, GROUP))


def pilot(dataset: Dataset, name: str, sampler_name: str, temperature: float, longest: int = LONGEST_PILOT) -> Pilot:
    """Autocorrelation time at one temperature, the largest of those of `_observables`.

    Several chains (64 on small lattices) run for n sweeps, n doubling until it is at least 20 times the result or the
    next would be longer than `longest` or than some minutes. One mean over all chains makes chains that are stuck in
    different states, as after a quench, show up as a huge time. In a field, some chains start with all spins up and
    some with all down: a metastable state shows up likewise.
    """
    lattice = dataset.lattice
    chains = pilot_chains(lattice)
    spins = first_configurations(dataset, name, temperature, 0, chains, "pilot start")
    if dataset.field:
        spins[1::4], spins[3::4] = 1, -1
    cap = max(MEASUREMENTS, min(LONGEST_PILOT, SWEEPS_PER_TAU * (dataset.sweeps or LONGEST_PILOT)))
    cap = max(FIRST_PILOT, min(cap, longest, PILOT_UPDATES // spins.size))
    done, length, slowest = 0, FIRST_PILOT, 0.0
    while True:
        stride = -(-length // MEASUREMENTS)
        times = range(done, done + length // stride * stride, stride)
        series = _measure(spins, dataset, name, temperature, sampler_name, times)
        done += length
        tau = stride * max(autocorrelation_time(observable).mean for observable in series)
        slowest = max(slowest, tau)
        resolved = length >= SWEEPS_PER_TAU * tau
        if resolved or length >= cap:
            # a slow mode that has died out in the pilot may live on in a few of many chains
            return Pilot(float(tau), max(done, math.ceil(SWEEPS_PER_TAU * slowest)), bool(resolved))
        length = min(2 * length, cap)


class Choice(NamedTuple):
    """A sampler's name and why it was taken: single spins where clusters cannot help, else what pilots find faster."""

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
    # pilots at the coldest temperature and the one nearest to T_c, where a sampler fails if it does
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


def pilot_places(dataset: Dataset) -> list[int]:
    """Indices of the temperatures that get pilots, from cold to hot.

    All, or of more than 64 the coldest, the hottest, the nearest to T_c and evenly spread ones between them. None
    where any number of sweeps is allowed: nothing would use them.
    """
    temperatures = np.array(dataset.temperatures)
    if dataset.allow_unequilibrated and dataset.sweeps:
        return []
    order = np.argsort(temperatures)
    if len(order) <= MOST_PILOTS:
        return order.tolist()
    spread = np.linspace(0, len(order) - 1, MOST_PILOTS - 1).round().astype(int)
    nearest = int(np.abs(temperatures[order] - T_C).argmin())
    return order[sorted({*spread.tolist(), nearest})].tolist()


def _measure(
    spins: NDArray[np.int8], dataset: Dataset, name: str, temperature: float, sampler_name: str, times: range
) -> NDArray[np.float64]:
    """Series of `_observables` after each step of `times`, in sweeps; shape (observable, chain, measurement).

    Where chains end with a random symmetry, so does each configuration here: an order parameter whose sign it changes
    is noise then, and one whose sign only the dynamics changes shows how slowly.
    """
    lattice, advance = dataset.lattice, SAMPLERS[sampler_name]
    key = key_of(dataset, name, temperature, f"pilot {sampler_name}")
    symmetry = key_of(dataset, name, temperature, "pilot symmetry")
    found = []
    for sweep in times:
        advance(spins, lattice, temperature, dataset.field, key, 0, sweep, times.step)
        mapped = spins
        if ends_with_symmetry(lattice, dataset.field):
            mapped = spins.copy()
            symmetrize(mapped, lattice, dataset.field, symmetry, number=sweep)
        found.append(_observables(mapped, lattice, signed=mapped is not spins))
    return np.stack(found, axis=-1)


def checkerboard(lattice: Lattice) -> NDArray[np.int8]:
    """+1 and -1 in turn: the signs of the staggered magnetization. Shape (height, width)."""
    return (1 - 2 * (np.indices(lattice.shape).sum(axis=0) % 2)).astype(np.int8)


def _observables(spins: NDArray[np.int8], lattice: Lattice, signed: bool) -> NDArray[np.float64]:
    """Energy, the sizes of m and of the staggered m, and if asked for both with signs; shape (observable, chain).

    The size is the absolute value, and on an antiperiodic torus the mean square over all translations: its walls may
    lie anywhere, and what they enclose tells their shape.
    """
    orders = [spins, spins * checkerboard(lattice)]
    means = [order.mean(axis=(1, 2)) for order in orders]
    twisted = lattice.boundary == "antiperiodic" and lattice.dimension == 2
    sizes = [mean_square_over_translations(order) for order in orders] if twisted else np.abs(means)
    energies = energy(spins.reshape(len(spins), *lattice.array_shape), lattice)
    return np.array([energies, *sizes, *(means if signed else [])])


@compiled
def mean_square_over_translations(spins):
    """m^2 of antiperiodic tori int8 (chain, height, width), averaged over the translations of each."""
    chains, height, width = spins.shape
    found = np.empty(chains)
    for chain in range(chains):
        columns = np.zeros(width, np.int64)
        for y in range(height):
            for x in range(width):
                columns[x] += spins[chain, y, x]
        squares = 0
        for y in range(height):
            total = columns.sum()
            for x in range(width):
                squares += total * total
                total -= 2 * columns[x]  # what leaves on one side comes back reversed on the other
            for x in range(width):
                columns[x] -= 2 * np.int64(spins[chain, y, x])
        found[chain] = squares / (height * width) ** 3
    return found


def sweeps_needed(dataset: Dataset, pilots: dict[int, Pilot]) -> NDArray[np.int64]:
    """Sweeps of every chain at each temperature: those asked for, or what the pilot of that temperature needs.

    Where there is no pilot, the slower of those at the next lower and the next higher temperature counts.
    """
    if dataset.sweeps:
        return np.full(len(dataset.temperatures), dataset.sweeps)
    places = sorted(pilots, key=lambda place: dataset.temperatures[place])
    measured = np.array([dataset.temperatures[place] for place in places])
    needed = np.array([pilots[place].sweeps for place in places])
    lower = np.searchsorted(measured, dataset.temperatures, "right") - 1
    upper = np.searchsorted(measured, dataset.temperatures, "left")
    return np.maximum(needed[lower], needed[upper])


def check_pilot(dataset: Dataset, sampler_name: str, temperature: float, found: Pilot) -> None:
    """KadanoffError if sweeps are too few for one temperature, unless the dataset says `allow_unequilibrated`."""
    asked = dataset.sweeps
    if dataset.allow_unequilibrated or (found.resolved and (asked or found.sweeps) >= found.sweeps):
        return
    others = [sampler for sampler in SAMPLERS if sampler != sampler_name and not dataset.field]
    remedy = f"take another sampler ({' or '.join(f'sampler: {sampler}' for sampler in others)}), " if others else ""
    remedy += "or say allow_unequilibrated: true with a number of sweeps (it is then written in the dataset)."
    if not found.resolved:
        raise KadanoffError(
            f"at T = {temperature} pilot chains of {sampler_name} did not come to equilibrium: the autocorrelation "
            f"time is over {found.tau:.0f} sweeps. Allow more sweeps, {remedy}"
        )
    raise KadanoffError(
        f"sweeps is {asked}, but at T = {temperature} the autocorrelation time is {found.tau:.1f} sweeps and the start "
        f"is forgotten after {found.burn_in}: a sample needs {found.sweeps} sweeps. Raise sweeps, {remedy}"
    )
