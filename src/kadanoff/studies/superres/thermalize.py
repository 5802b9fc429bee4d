"""Stage `thermalize`: what super-resolved lattices are good for. How soon are chains at T_c in equilibrium?

Lattices of 16 x 16 in equilibrium, doubled again and again by a trained network (calibrated, and with some Metropolis
sweeps after each doubling, as in the stage `exponents`), against random spins and all spins up, each with Metropolis
and with Swendsen-Wang sweeps. The criterion is that of `kadanoff.inverse.thermalization`: the first measured count at
which energy, <m^2> and G(L/4), and their averages from then on, lie within 3 standard errors of equilibrium. What these
standard errors are in percent stands in the table beside it, and what training took in the sentences below.
"""

from pathlib import Path
from time import process_time

import numpy as np
from pydantic import Field, field_validator

from kadanoff.errors import KadanoffError
from kadanoff.inverse.calibration import calibrate
from kadanoff.inverse.chains import doubling_by_blocks
from kadanoff.inverse.critical import network_of
from kadanoff.inverse.superresolve import Spins, tables
from kadanoff.inverse.thermalization import Prepare, Thermalization, equilibrium, start_and_sampler, superresolved
from kadanoff.montecarlo.rng import stream_key
from kadanoff.montecarlo.simulate import simulate
from kadanoff.networks.superres import Blocks
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.runtime.progress import progress
from kadanoff.spins.exact import T_C
from kadanoff.studies.relaxation import CRITERION, Chains, record_results, relaxations, training_seconds

SMALLEST = 16
RUNS = [f"{start}_{sampler}" for sampler in ("metropolis", "swendsen_wang") for start in ("superres", "hot", "cold")]
NOTE = f"""{CRITERION}The start holds the 16 x 16 seeds, their equilibration, the doublings and their sweeps, or the
random spins. Metropolis sweeps repair short distances first: the autocorrelation time grows as L^2.17 with them, so
that starts without the right order at large scales need of the order of L^2.17 sweeps, and what a super-resolved start
has wrong at large scales, if less than `within`, stays. The network's time is that of training and calibrating it, once
for all lattices and sizes.
"""


class Thermalize(Chains):
    """The section `thermalize`."""

    chains: int = Field(ge=8)
    calibration: int = Field(gt=1)

    @field_validator("sizes")
    @classmethod
    def _doubled(cls, sizes: list[int]) -> list[int]:
        doubled = {SMALLEST << doublings for doublings in range(1, 20)}
        if sizes != sorted(doubled.intersection(sizes)):
            raise ValueError(
                f"sizes is {sizes}; the seeds are {SMALLEST} x {SMALLEST} and are doubled, so take {SMALLEST} times "
                "powers of 2, 32, 64, 128, ..., each once, in ascending order"
            )
        return sizes


def thermalize(root: Path) -> None:
    """Count the sweeps that Monte Carlo needs from super-resolved and other starts.

    Raises
    ------
    KadanoffError
        If a parameter breaks its rule, the weights are missing, they are not those of a `blocks` network for square
        lattices at T_c, or the reference is not in equilibrium.
    """
    params = entry(root, Thermalize, "thermalize")
    weights = root / "models" / f"{params.model}.safetensors"
    network, block = network_of(weights, "thermalize.model", params.model, Blocks)
    if block != 2:
        raise KadanoffError(f"thermalize.model is {params.model}, with blocks of {block}; take one that doubles.")
    seed, temperature = params.seed, float(T_C)
    with (
        recorded("thermalize", parameters=params.model_dump(), inputs=[weights]) as record,
        progress("thermalize", sum(size**2 for size in params.sizes)) as advance,
    ):
        began = process_time()
        small = np.asarray(simulate(SMALLEST // 2, T_C, params.calibration, seed=seed).spins[0])
        scheme = tables(network, calibrate(network, small, temperature, seed).sharpness.mean)
        once = training_seconds(root, params.model) + process_time() - began
        simulate(SMALLEST, T_C, 2, seed=seed)  # compiles
        began = process_time()
        seeds = np.asarray(simulate(SMALLEST, T_C, params.chains * len(params.sizes), seed=seed).spins[0])
        spent = (process_time() - began) / len(seeds)  # of each, its pilot chains included
        results = []
        for size, own in zip(params.sizes, np.split(seeds, len(params.sizes)), strict=True):

            def studied(name: str, size: int = size, own: Spins = own) -> Prepare:
                stream = int(stream_key(seed, name, size))
                return superresolved(own, size, doubling_by_blocks(scheme, stream, temperature, params.refinement))

            def key(name: str, size: int = size) -> np.uint64:
                return stream_key(seed, name, start_and_sampler(name)[1], size)

            values = equilibrium(size, params.chains, params.cluster_sweeps, seed)
            runs = relaxations(RUNS, params, size, params.chains, studied, spent, key)
            results.append(Thermalization(size, values, runs, once))
            advance(size**2)
        record_results(record, results, NOTE)
