"""Stage `superres_compare`: one draw by trained networks against the best that independent pixels and blocks can do."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import Field
from torch import nn

from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.inverse import controls
from kadanoff.inverse.quality import Measured, measure
from kadanoff.inverse.superresolve import Spins, draw_parts, independent_spins, probabilities, superresolve, tables
from kadanoff.inverse.training import coarsened
from kadanoff.learning.checkpoints import load_model
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Blocks, Superresolution
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.runtime.executor import in_processes
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import exact_energy_distribution
from kadanoff.studies.superres.compare import (
    AGAIN,
    ONCE,
    ROUNDED,
    SAMPLED,
    SWEPT,
    TRUTH,
    Outcome,
    draw_energies,
    draw_pictures,
    draw_shares,
    metrics,
    qualities,
    tables_text,
)
from kadanoff.studies.superresolution import read_variant, trained
from kadanoff.studies.superresolution_figures import nearest
from kadanoff.validation import Name, Section, Seed

STEP = 2000  # configurations at a time: their block distributions take 8 bytes a state
Slice = tuple[dict[str, Measured], dict[str, Spins]]
"""What was measured on some test configurations and on all draws made for them, and the first lattice of each."""


class Compare(Section):
    """The section `superres_compare`."""

    networks: list[Name] = Field(min_length=1)
    dataset: Name
    equilibration: int = Field(ge=10)
    seed: Seed


@dataclass(frozen=True)
class Plan:
    """What every temperature is told: parameters, files, the common rule and block, and where the test begins."""

    params: Compare
    data: Path
    weights: dict[str, Path]
    rule: str
    block: int
    start: int


def superres_compare(root: Path) -> None:
    """Compare super-resolution networks with their exact optima and with block-Gibbs sweeps.

    Raises
    ------
    KadanoffError
        If a network was trained on another dataset or with other parameters than the present ones, they do not undo
        one rule, or nothing is left to test them on.
    """
    params = entry(root, Compare, "superres_compare")
    plan = _plan(root, params)
    ensemble = open_dataset(plan.data)
    shape, name = ensemble.spins.shape, params.dataset
    if len(shape) != 4:
        raise KadanoffError(f"dataset {name} has chains, but superres_compare draws square lattices; take some.")
    exact_energy_distribution(Lattice(*shape[2:]), float(ensemble.temperatures[0]))  # refuses now a lattice too large
    if shape[1] - plan.start < 2 or plan.start < 2:
        raise KadanoffError(
            f"dataset {name} has {shape[1]} configurations a temperature, of which {plan.start} trained a network; "
            f"both need 2 or more. Raise datasets.superres.{name}.samples, or change `train` of the networks."
        )
    with recorded("superres_compare", parameters=params.model_dump(), inputs=[plan.data]) as record:
        outcomes = compare(plan, ensemble)
        found = qualities(outcomes)
        record.metrics(metrics(found))
        at = f"at_{ensemble.temperatures[nearest(ensemble.temperatures)]:.4g}"
        best = {"blocks": f"{at}/blocks_one_pass_and_a_sweep_of_its_own", "pixels": f"{at}/pixels_sampled"}
        record.summary(
            "Energy per site of one draw less that of Monte Carlo, nearest to T_c: {blocks_energy} with the network "
            "`blocks` and a sweep of its own, {pixels_energy} with independent pixels, as published.",
            "energies",
            **{f"{name}_{key}": f"{place}/{key}" for name, place in best.items() for key in ("energy", "ties")},
        )
        record.comparison(found, ["draw", "temperature"], ["energy", "variance", "ties", "broken", "energies"])
        record.text("tables.md", tables_text(found))
        draw_energies(record, outcomes)
        draw_shares(record, outcomes)
        draw_pictures(record, outcomes)


def _plan(root: Path, params: Compare) -> Plan:
    kinds, start = set(), 0
    for name in params.networks:
        variant, training = read_variant(root, name)
        if variant.dataset != params.dataset:
            raise KadanoffError(
                f"superres_compare.networks has {name!r}, which is trained on {variant.dataset}, but "
                f"superres_compare.dataset is {params.dataset}; compare networks that were trained on it."
            )
        trained(root, name, variant, training)
        kinds.add((variant.rule, variant.block))
        start = max(start, variant.train)
    if len(kinds) > 1:
        found = ", ".join(f"{rule} of blocks of {block}" for rule, block in sorted(kinds))
        raise KadanoffError(f"superres_compare.networks undo different rules ({found}); compare those of one rule.")
    weights = {name: root / "models" / "superres" / f"{name}.safetensors" for name in params.networks}
    return Plan(params, root / "data" / "superres" / f"{params.dataset}.zarr", weights, *kinds.pop(), start)


def compare(plan: Plan, ensemble: Ensemble) -> list[Outcome]:
    """All temperatures, in slices of the test configurations that share the cores."""
    starts = range(plan.start, ensemble.spins.shape[1], STEP)
    tasks = [(index, first) for index in range(len(ensemble.temperatures)) for first in starts]
    slices: list[Slice] = in_processes("superres_compare", partial(draw_slice, plan), tasks)
    outcomes = []
    for index, temperature in enumerate(ensemble.temperatures.tolist()):
        parts = slices[index * len(starts) : (index + 1) * len(starts)]
        sets = {name: Measured.joined([found[name] for found, _ in parts]) for name in parts[0][0]}
        # as many Monte Carlo configurations as the test has, or as there are, of those that trained the networks
        again = ensemble.read(index, slice(0, min(len(sets[TRUTH]), plan.start)))
        sets[AGAIN] = measure(coarsened(again, plan.rule, plan.block), again, plan.rule)
        exact = exact_energy_distribution(Lattice(*ensemble.spins.shape[2:]), temperature)
        outcomes.append(Outcome(temperature, exact, sets, parts[0][1]))
    return outcomes


def draw_slice(plan: Plan, index: int, first: int) -> Slice:
    """Every way to draw, for the test configurations of one temperature from number `first` on."""
    ensemble = open_dataset(plan.data)
    models = {name: load_model(path) for name, path in plan.weights.items()}
    fine = ensemble.read(index, slice(first, first + STEP))
    coarse = coarsened(fine, plan.rule, plan.block)
    sets, pictures = {TRUTH: measure(coarse, fine, plan.rule)}, {"coarse": coarse[0], TRUTH: fine[0]}
    for name, lattices in _draws(plan, models, coarse, float(ensemble.temperatures[index]), first):
        sets[name], pictures[name] = measure(coarse, lattices, plan.rule), lattices[0].copy()
    return sets, pictures


def _draws(
    plan: Plan, models: dict[str, nn.Module], coarse: Spins, temperature: float, first: int
) -> Iterator[tuple[str, Spins]]:
    """Fine lattices for coarse ones, by every network and every control."""
    seed = plan.params.seed
    for name, model in models.items():
        assert isinstance(model, Superresolution)
        network = model.at(temperature)
        stream = stream_key(seed, "superres_compare", name, temperature), first
        if isinstance(network, Blocks):
            yield f"{name}{ONCE}", draw_parts(coarse, tables(network), plan.block, stream)
            yield f"{name}{SWEPT}", superresolve(model, coarse, temperature, seed=seed, first=first, rule=plan.rule)
        else:
            chances = probabilities(network, coarse)
            yield f"{name}{SAMPLED}", independent_spins(chances, stream)
            yield f"{name}{ROUNDED}", np.where(chances >= 0.5, np.int8(1), np.int8(-1))
    keys = [stream_key(seed, "superres_compare", number, temperature) for number in range(controls.STREAMS)]
    yield from controls.draws(coarse, plan.rule, plan.block, temperature, keys, first, plan.params.equilibration)
