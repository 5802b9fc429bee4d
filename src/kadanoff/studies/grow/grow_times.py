"""Stage `grow_times`: how long does a large critical lattice take to equilibrate, grown or by Monte Carlo alone?

Lattices that grow from seeds in equilibrium, against random spins with Metropolis and with Swendsen-Wang sweeps, and
all spins up with Swendsen-Wang sweeps. The criterion is that of the stage `thermalize`, against exact values. What its
standard errors are in percent stands in the table beside it, and what training took in the sentences below.
"""

from functools import partial
from pathlib import Path
from time import thread_time

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from kadanoff.estimate import Estimate
from kadanoff.inverse.critical import critical_seeds, network_of
from kadanoff.inverse.growth import Enlargement, Rows, enlarge, sides_to
from kadanoff.inverse.renormalized import RenormalizedGibbs
from kadanoff.inverse.superresolve import Spins, tables
from kadanoff.inverse.thermalization import Equilibrium, Prepare, Thermalization
from kadanoff.montecarlo import swendsen_wang
from kadanoff.montecarlo.rng import stream_key
from kadanoff.montecarlo.samplers import GROUP
from kadanoff.networks.superres import Blocks
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.runtime.progress import progress
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, critical_correlation, critical_energy, critical_square
from kadanoff.studies.relaxation import CRITERION, Chains, record_results, relaxations, training_seconds
from kadanoff.validation import Name

RUNS = ("grown_metropolis", "hot_metropolis", "hot_swendsen_wang", "cold_swendsen_wang")
GROUP_SITES = 1 << 25
"""Sites that a thread advances at once: few, so that all cores have some."""
NOTE = f"""{CRITERION}The start holds a seed, by as many Swendsen-Wang sweeps as each of the dataset took, and the
growth with its sweeps, or the random spins. Equilibrium is the exact energy of this torus, and <m^2> and G(L/4) of the
torus in the scaling limit, with the errors that so many lattices in equilibrium have: few ask for little. Metropolis
needs of the order of L^2.17 sweeps from random spins. The network's time is that of training it, once for all lattices.
"""


class Params(Chains):
    """The section `grow_times`; `chains` are lattices of each start, one number a size."""

    dataset: Name
    chains: list[int] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_each(self) -> "Params":
        if len(self.chains) != len(self.sizes) or min(self.chains) < 4:
            raise ValueError(f"chains is {self.chains}; give one number a size, {self.sizes}, 4 or more")
        return self


def grow_times(root: Path) -> None:
    """Time large critical lattices to equilibrium: grown, and by Monte Carlo alone.

    Raises
    ------
    KadanoffError
        If a parameter breaks its rule, the weights or the seeds are missing or not critical, or a size is not that of
        the seeds times a power of the network's factor.
    """
    params = entry(root, Params, "grow_times")
    paths = root / "models" / f"{params.model}.safetensors", root / "data" / "grow" / f"{params.dataset}.zarr"
    network, block = network_of(paths[0], "grow_times.model", params.model, Blocks)
    seeds, burn_in = critical_seeds(paths[1], "grow_times", params.dataset, "chains", max(params.chains))
    sides = {size: sides_to(len(seeds[0]), size, block, "grow_times.sizes") for size in params.sizes}
    enlargement = Enlargement(tables(network), block, params.refinement, params.seed, RenormalizedGibbs.of(network))
    with (
        recorded("grow_times", parameters=params.model_dump(), inputs=list(paths)) as record,
        progress("grow_times", sum(size**2 for size in params.sizes)) as advance,
    ):
        once, spent = training_seconds(root, params.model), _seed_seconds(len(seeds[0]), burn_in)
        results = []
        for size, chains in zip(params.sizes, params.chains, strict=True):

            def studied(_: str, size: int = size) -> Prepare:
                return partial(_grown, enlargement, seeds, len(sides[size]) - 1)

            def key(name: str, size: int = size) -> np.uint64:
                return stream_key(params.seed, name, size)

            group = min(GROUP, max(1, GROUP_SITES // size**2))
            runs = relaxations(RUNS, params, size, chains, studied, spent, key, group)
            clusters = [run.values[:, -1] for name, run in runs.items() if name.endswith("swendsen_wang")]
            values = exact(size, chains, np.concatenate(clusters, axis=1))
            results.append(Thermalization(size, values, runs, once))
            advance(size**2)
        record_results(record, results, NOTE)


def _grown(enlargement: Enlargement, seeds: list[Rows], levels: int, first: int, count: int) -> Spins:
    """Lattices that some of the seeds grow into: int8 (count, L, L)."""

    def one(number: int) -> Rows:
        spins = seeds[number]
        for level in range(1, levels + 1):
            spins = enlarge(enlargement, spins, level + (levels + 1) * number)
        return spins

    return np.stack([one(number) for number in range(first, first + count)])


def _seed_seconds(side: int, sweeps: int) -> float:
    """CPU seconds of so many Swendsen-Wang sweeps of one seed, after compilation."""
    lattice, key = Lattice.of(side), stream_key(0, "seconds")
    spins = np.ones((1, side, side), np.int8)
    swendsen_wang.advance(spins, lattice, float(T_C), 0.0, key, 0, 0, 1)
    began = thread_time()
    swendsen_wang.advance(spins, lattice, float(T_C), 0.0, key, 0, 1, sweeps)
    return thread_time() - began


def exact(size: int, chains: int, lattices: NDArray[np.float64]) -> Equilibrium:
    """Equilibrium values of a large torus, with the errors that so many lattices in equilibrium have.

    Their spread is that of `lattices`, float64 (observable, lattice). The chains' own would be too small where few of
    them happen to lie low.
    """
    values = critical_energy(size), critical_square(size), critical_correlation(0, size / 4, size)
    spread = lattices.std(1, ddof=1)
    estimates = (Estimate(value, float(one / np.sqrt(chains))) for value, one in zip(values, spread, strict=True))
    return Equilibrium(tuple(estimates), None, tuple(spread.tolist()))
