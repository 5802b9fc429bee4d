"""The published kernel, ours, and ours without Gibbs sweeps of the coarse lattice, on the same seeds."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from kadanoff.inverse.growth import Enlargement, Rows, enlarge, refine
from kadanoff.inverse.measurement import (
    Measurements,
    compared_with_source,
    differences,
    estimates,
    measure_lattice,
)
from kadanoff.inverse.superresolve import independent_spins, probabilities
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import SeedKernel
from kadanoff.runtime.progress import progress
from kadanoff.studies.grow.tables import ALONE, PAIRED, PLACE, SYMMETRIES, missed, nested, text_of
from kadanoff.validation import Section

Draw = Callable[[Rows, int], Rows]
"""(a coarse lattice, number of its random bits) -> the lattice that is drawn from it, before any sweep."""
METHODS = {
    "seed_kernel": "seed_kernel (published)",
    "kernel_not_dressed": "kernel, no Gibbs sweeps",
    "kernel": "kernel",
}
LOCK = Lock()  # PyTorch's number of threads, on which its rounding depends, is one for the process
NOTE = """What other methods make of the same seeds, by the number of Metropolis sweeps after each enlargement; the
targets are the same for every row. Rows share seeds and random numbers, so that they differ by less than their errors:
below each table is what they differ by from the last row, in pairs.
"""


class Compare(Section):
    """The key `compare`: enlargements, and the numbers of sweeps after each."""

    levels: int = Field(gt=0)
    sweeps: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)


@dataclass(frozen=True)
class Chain:
    """What one method, with a number of sweeps, makes of the seeds: measurements of them and of every larger size."""

    method: str
    sweeps: int
    sizes: list[Measurements]


def draws(enlargement: Enlargement, published: SeedKernel) -> dict[str, Draw]:
    """The methods by their names."""

    def by_published(coarse: Rows, number: int) -> Rows:
        with LOCK:
            chances = probabilities(published, coarse[None])
        return independent_spins(chances, (stream_key(enlargement.seed, "enlarge", number), 0))[0]

    raw = replace(enlargement, sweeps=0)
    return dict(
        zip(METHODS, (by_published, partial(enlarge, replace(raw, gibbs=None)), partial(enlarge, raw)), strict=True)
    )


def compare(
    enlargement: Enlargement, published: SeedKernel, seeds: Sequence[Rows], start: Measurements, params: Compare
) -> list[Chain]:
    """All methods and numbers of sweeps; `start` are the measurements of the seeds."""

    def grown(draw: Draw, number: int) -> list[list[Measurements]]:
        first = 1 + (params.levels + 1) * number
        drawn = draw(seeds[number], first)  # once for all numbers of sweeps
        chains = []
        for sweeps in params.sweeps:
            own = replace(enlargement, sweeps=sweeps)
            spins = refine(own, drawn, first)
            sizes = [measure_lattice(spins)]
            for level in range(first + 1, first + params.levels):
                spins = refine(own, draw(spins, level), level)
                sizes.append(measure_lattice(spins))
            chains.append(sizes)
        advance(1)
        return chains

    chains, methods = [], draws(enlargement, published)
    with ThreadPoolExecutor(os.cpu_count()) as pool, progress("compare", len(methods) * len(seeds)) as advance:
        for name, draw in methods.items():
            runs = list(pool.map(partial(grown, draw), range(len(seeds))))
            for place, sweeps in enumerate(params.sweeps):
                sizes = [Measurements.joined([run[place][level] for run in runs]) for level in range(params.levels)]
                chains.append(Chain(name, sweeps, [start, *sizes]))
    return chains


def compared_tables(chains: Sequence[Chain]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row per size, method and number of sweeps: estimates; and those less the last chain's, in pairs."""
    rows, less, last = [], [], chains[-1]
    for level in range(1, len(last.sizes)):
        for chain in chains:
            own = chain.sizes[level]
            place = dict(zip(PLACE, (own.side, chain.method, chain.sweeps), strict=True))
            rows.append(place | estimates(own) | compared_with_source(chain.sizes[level - 1], own, chain.sizes[0]))
            less.append(place | differences(own, last.sizes[level]))
    return pd.DataFrame(rows), pd.DataFrame(less)


def compare_metrics(chains: Sequence[Chain]) -> dict[str, Any]:
    """Metrics of the record: by size, method and sweeps."""
    rows, less = (frame.assign(sweeps=[f"sweeps={n}" for n in frame["sweeps"]]) for frame in compared_tables(chains))
    numbers = nested(rows, PLACE)
    for (_, row), differences_of in zip(rows.iterrows(), less.drop(columns=PLACE).to_dict("records"), strict=True):
        numbers[f"L={row['side']}"][row["method"]][row["sweeps"]]["less_last"] = differences_of
    return numbers


def compare_text(chains: Sequence[Chain]) -> str:
    """Tables in Markdown, two a size."""
    parts, last = [NOTE], chains[-1]
    place = {"method": "", "sweeps": "sweeps"}
    alone = {"c10_excess": "c10", **{key: ALONE[key] for key in ("c11", "exponent", "square")}, **SYMMETRIES}
    rows, less = (frame.replace({"method": METHODS}) for frame in compared_tables(chains))
    rows = rows.assign(missed=[missed(row) for row in rows.to_dict("records")])
    columns = {**place, "c10_excess": "c10 - exact", "c11_excess": "c11 - exact", **SYMMETRIES}
    columns |= {"exponent": "exponent of G", **PAIRED, "missed": "missed"}
    for side, own in rows.groupby("side"):
        parts.append(text_of(f"L = {side}, {len(last.sizes[0])} seeds each", own, columns))
        title = f"L = {side}: less {METHODS.get(last.method, last.method)} with {last.sweeps} sweeps, in pairs"
        parts.append(text_of(title, less[less["side"] == side].iloc[:-1], {**place, **alone}))
    return "\n".join(parts)
