"""Stage `superres_compare`: one draw by trained networks against the best that independent pixels and blocks can do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import Field
from torch import nn

from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.inverse import controls
from kadanoff.inverse.quality import Measured, joined, measure
from kadanoff.inverse.superresolve import Spins, draw_parts, independent_spins, probabilities, superresolve, tables
from kadanoff.inverse.training import coarsened
from kadanoff.learning.checkpoints import load_model, read_recipe
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Blocks, Superresolution
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.runtime.executor import in_processes
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import exact_energy_distribution
from kadanoff.studies.superres.compare_figures import draw_block_sums, draw_energies, draw_pictures
from kadanoff.studies.superres.compare_tables import (
    AGAIN,
    ONCE,
    ROUNDED,
    SAMPLED,
    SWEPT,
    TRUTH,
    Outcome,
    metrics,
    outcome,
    tables_text,
)
from kadanoff.studies.superresolution import read_variant
from kadanoff.validation import Name, Section, Seed

STEP = 2000  # configurations at a time: their block distributions take 8 bytes a state


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
    root: Path
    rule: str
    block: int
    start: int

    @property
    def data(self) -> Path:
        """The dataset."""
        return self.root / "data" / "superres" / f"{self.params.dataset}.zarr"


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
    _check(plan, ensemble)
    with recorded("superres_compare", parameters=params.model_dump(), inputs=[plan.data]) as record:
        outcomes = compare(plan, ensemble)
        record.metrics(metrics(outcomes))
        record.text("tables.md", tables_text(outcomes))
        draw_energies(record, outcomes)
        draw_block_sums(record, outcomes)
        draw_pictures(record, outcomes)


def compare(plan: Plan, ensemble: Ensemble) -> list[Outcome]:
    """All temperatures, in slices of the test configurations that share the cores."""
    starts, indices = range(plan.start, ensemble.spins.shape[1], STEP), range(len(ensemble.temperatures))
    tasks = [(index, first) for index in indices for first in starts]
    slices: list[Slice] = in_processes("superres_compare", partial(draw_slice, plan), tasks)
    return [whole(plan, ensemble, index, slices[index * len(starts) : (index + 1) * len(starts)]) for index in indices]


def _weights(root: Path, name: str) -> Path:
    return root / "models" / "superres" / f"{name}.safetensors"


def _plan(root: Path, params: Compare) -> Plan:
    kinds, start = set(), 0
    for name in params.networks:
        variant, training = read_variant(root, name)
        if variant.dataset != params.dataset:
            raise KadanoffError(
                f"superres_compare.networks has {name!r}, which is trained on {variant.dataset}, but "
                f"superres_compare.dataset is {params.dataset}; compare networks that were trained on it."
            )
        weights = _weights(root, name)
        if read_recipe(weights).training != variant.model_dump() | training.model_dump():
            raise KadanoffError(f"{weights} was trained with other parameters; run `dvc repro superres@{name}` first.")
        kinds.add((variant.rule, variant.block))
        start = max(start, variant.train)
    if len(kinds) > 1:
        found = ", ".join(f"{rule} of blocks of {block}" for rule, block in sorted(kinds))
        raise KadanoffError(f"superres_compare.networks undo different rules ({found}); compare those of one rule.")
    return Plan(params, root, *kinds.pop(), start)


def _check(plan: Plan, ensemble: Ensemble) -> None:
    shape, name = ensemble.spins.shape, plan.params.dataset
    if len(shape) != 4:
        raise KadanoffError(f"dataset {name} has chains, but superres_compare draws square lattices; take some.")
    exact_energy_distribution(Lattice(*shape[2:]), float(ensemble.temperatures[0]))  # refuses now a lattice too large
    if shape[1] - plan.start < 2 or plan.start < 2:
        raise KadanoffError(
            f"dataset {name} has {shape[1]} configurations a temperature, of which {plan.start} trained a network; both"
            f" sets need 2 or more. Raise datasets.superres.{name}.samples, or change `train` of the networks."
        )


@dataclass(frozen=True)
class Slice:
    """What was measured on some test configurations, on all draws made for them, and the first lattice of each."""

    truth: Measured
    found: dict[str, Measured]
    pictures: dict[str, Spins]


def draw_slice(plan: Plan, index: int, first: int) -> Slice:
    """Every way to draw, for the test configurations of one temperature from number `first` on."""
    ensemble = open_dataset(plan.data)
    models = {name: load_model(_weights(plan.root, name)) for name in plan.params.networks}
    fine = ensemble.read(index, slice(first, first + STEP))
    coarse = coarsened(fine, plan.rule, plan.block)
    found, pictures = {}, {"coarse": coarse[0], TRUTH: fine[0]}
    for name, lattices in _draws(plan, models, coarse, float(ensemble.temperatures[index]), first):
        found[name], pictures[name] = measure(coarse, lattices, plan.rule), lattices[0].copy()
    return Slice(measure(coarse, fine, plan.rule), found, pictures)


def whole(plan: Plan, ensemble: Ensemble, index: int, parts: Sequence[Slice]) -> Outcome:
    """One temperature: each way to draw, on all test configurations."""
    test = joined([part.truth for part in parts])
    sets = {name: joined([part.found[name] for part in parts]) for name in parts[0].found}
    sets[AGAIN] = _other(plan, ensemble, index, len(test))
    temperature = float(ensemble.temperatures[index])
    return outcome(temperature, ensemble.spins.shape[-2:], test, sets, parts[0].pictures)


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


def _other(plan: Plan, ensemble: Ensemble, index: int, count: int) -> Measured:
    """As many Monte Carlo configurations as the test has, or as there are, of those that trained the networks."""
    fine = ensemble.read(index, slice(0, min(count, plan.start)))
    return measure(coarsened(fine, plan.rule, plan.block), fine, plan.rule)
