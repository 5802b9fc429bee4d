"""Stage `thermalize`: what super-resolved lattices are good for. How soon are chains at T_c in equilibrium?

Lattices of 16 x 16 in equilibrium, doubled again and again by a trained network (calibrated, and with some Metropolis
sweeps after each doubling, as in the stage `exponents`), against random spins and all spins up, each with Metropolis
and with Swendsen-Wang sweeps. The criterion is that of `kadanoff.inverse.thermalization`: the first measured count at
which energy, <m^2> and G(L/4), and their averages from then on, lie within 3 standard errors of equilibrium. What these
standard errors are in percent stands in the table beside it, and what training took in the sentences below.
"""

from pathlib import Path
from time import process_time
from typing import Annotated

import numpy as np
from pydantic import Field, field_validator

from kadanoff.errors import KadanoffError
from kadanoff.inverse.calibration import calibrate
from kadanoff.inverse.chains import doubling_by_blocks
from kadanoff.inverse.superresolve import Spins, tables
from kadanoff.inverse.tables import Table
from kadanoff.inverse.thermalization import (
    Prepare,
    Relaxation,
    Thermalization,
    equilibrium,
    measured_counts,
    relax,
    start_and_sampler,
    superresolved,
    uniform,
)
from kadanoff.learning.checkpoints import load_model
from kadanoff.montecarlo.rng import stream_key
from kadanoff.montecarlo.runner import simulate
from kadanoff.networks.superres import Blocks, Superresolution
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.runtime.progress import progress
from kadanoff.spins.exact import T_C
from kadanoff.studies.relaxation import CRITERION, record_results, training_seconds
from kadanoff.validation import Section, Seed, WeightsName

SMALLEST = 16
RUNS = [f"{start}_{sampler}" for sampler in ("metropolis", "swendsen_wang") for start in ("superres", "hot", "cold")]
NOTE = f"""{CRITERION}The start holds the 16 x 16 seeds, their equilibration, the doublings and their sweeps, or the
random spins. Metropolis sweeps repair short distances first: the autocorrelation time grows as L^2.17 with them, so
that starts without the right order at large scales need of the order of L^2.17 sweeps, and what a super-resolved start
has wrong at large scales, if less than `within`, stays. The network's time is that of training and calibrating it, once
for all lattices and sizes.
"""


class Thermalize(Section):
    """The section `thermalize`."""

    model: WeightsName
    sizes: list[int] = Field(min_length=1)
    chains: Annotated[int, Field(ge=8)]
    sweeps: Annotated[int, Field(gt=0)]
    cluster_sweeps: Annotated[int, Field(gt=0)]
    refinement: Annotated[int, Field(ge=0)]
    calibration: Annotated[int, Field(gt=1)]
    seed: Seed

    @field_validator("sizes")
    @classmethod
    def _doubled(cls, sizes: list[int]) -> list[int]:
        for size in sizes:
            doublings = (size // SMALLEST).bit_length() - 1
            if doublings < 1 or size != SMALLEST << doublings:
                raise ValueError(
                    f"sizes has {size}; the seeds are {SMALLEST} x {SMALLEST} and are doubled, so take {SMALLEST} "
                    "times a power of 2: 32, 64, 128, ..."
                )
        if sizes != sorted(set(sizes)):
            raise ValueError(f"sizes is {sizes}; give each size once, in ascending order")
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
    network = _network(weights, params.model)
    with (
        recorded("thermalize", parameters=params.model_dump(), inputs=[weights]) as record,
        progress("thermalize", sum(size**2 for size in params.sizes)) as advance,
    ):
        began = process_time()
        scheme = _calibrated(network, params)
        once = training_seconds(root, params.model) + process_time() - began
        seeds, seconds = _seeds(params)
        results = []
        for number, size in enumerate(params.sizes):
            own = seeds[number * params.chains : (number + 1) * params.chains]
            results.append(_result(params, scheme, size, own, (once, seconds)))
            advance(size**2)
        record_results(record, results, NOTE)


def _network(weights: Path, model: str) -> Blocks:
    """The network at T_c."""
    if not weights.is_file():
        raise KadanoffError(f"there are no weights {weights}; run `dvc repro {model.replace('/', '@')}` first.")
    network = load_model(weights)
    if not isinstance(network, Superresolution) or network.dimension != 2 or network.block != 2:
        raise KadanoffError(
            f"thermalize.model is {model!r}, which does not double square lattices; take a network of block 2 whose "
            "dataset has dimension 2, such as superres/blocks."
        )
    blocks = network.at(T_C)
    if not isinstance(blocks, Blocks):
        raise KadanoffError(
            f"thermalize.model is {model!r}, which draws independent pixels; lattices are doubled block by block here, "
            "so take one of `network: blocks`, such as superres/blocks."
        )
    return blocks


def _calibrated(network: Blocks, params: Thermalize) -> list[Table]:
    """Tables of the network at the sharpness that the criterion of `kadanoff.inverse.calibration` asks for."""
    small = simulate(SMALLEST // 2, T_C, params.calibration, seed=params.seed).spins[0]
    return tables(network, calibrate(network, np.asarray(small), float(T_C), params.seed).sharpness.mean)


def _seeds(params: Thermalize) -> tuple[Spins, float]:
    """Independent seeds (chain, 16, 16) for all sizes, and the CPU seconds that one took, its pilot chains included."""
    simulate(SMALLEST, T_C, 2, seed=params.seed)  # compiles
    began = process_time()
    spins = simulate(SMALLEST, T_C, params.chains * len(params.sizes), seed=params.seed).spins[0]
    return np.asarray(spins), (process_time() - began) / len(spins)


def _result(
    params: Thermalize,
    scheme: list[Table],
    size: int,
    seeds: Spins,
    seconds: tuple[float, float],
) -> Thermalization:
    """All starts and samplers at one size. The super-resolved starts share their seeds.

    `seconds` are what the network took, and each seed.
    """
    values = equilibrium(size, params.chains, params.cluster_sweeps, params.seed)

    def run(name: str, start: str, sampler: str) -> Relaxation:
        prepare: Prepare
        if start == "superres":
            stream = int(stream_key(params.seed, name, size))
            doubling = doubling_by_blocks(scheme, stream, float(T_C), params.refinement)
            prepare, spent = superresolved(seeds, size, doubling), seconds[1]
        else:
            prepare, spent = uniform(size, start, params.seed, name), 0.0
        counts = measured_counts(sampler, params.sweeps if sampler == "metropolis" else params.cluster_sweeps)
        key = stream_key(params.seed, name, sampler, size)
        return relax(prepare, sampler, size, params.chains, counts, key, spent=spent)

    return Thermalization(size, values, {name: run(name, *start_and_sampler(name)) for name in RUNS}, seconds[0])
