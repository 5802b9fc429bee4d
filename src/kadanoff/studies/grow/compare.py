"""The published kernel, ours, and ours without Gibbs sweeps of the coarse lattice, on the same seeds."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import Annotated

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
from kadanoff.project.tables import frame_table
from kadanoff.runtime.progress import progress
from kadanoff.studies.grow.tables import ALONE, PAIRED, PLACE, SYMMETRIES, in_percent, missed
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


def compared_table(chains: Sequence[Chain]) -> pd.DataFrame:
    """One row per size, method and number of sweeps: estimates, and `less_last`: less the last chain's, in pairs."""
    rows, last = [], chains[-1]
    for level in range(1, len(last.sizes)):
        for chain in chains:
            own = chain.sizes[level]
            row = dict(zip(PLACE, (own.side, chain.method, chain.sweeps), strict=True)) | estimates(own)
            row |= compared_with_source(chain.sizes[level - 1], own, chain.sizes[0])
            known = {"lattices": len(own), "missed": missed(row), "less_last": differences(own, last.sizes[level])}
            rows.append(row | known)
    return pd.DataFrame(rows)


def compare_text(found: pd.DataFrame) -> str:
    """Tables of `compared_table` in Markdown, two a size."""
    parts, place = [NOTE], {"method": "", "sweeps": "sweeps"}
    alone = {"c10_excess": "c10", **{key: ALONE[key] for key in ("c11", "exponent", "square")}, **SYMMETRIES}
    columns = {**place, "c10_excess": "c10 - exact", "c11_excess": "c11 - exact", **SYMMETRIES}
    columns |= {"exponent": "exponent of G", **PAIRED, "missed": "missed"}
    for (side, seeds), own in in_percent(found).replace({"method": METHODS}).groupby(["side", "lattices"]):
        parts.append(frame_table(f"L = {side}, {seeds} seeds each", own, columns))
        less = own[[*place]].join(pd.DataFrame(own.less_last.tolist(), own.index))
        last = own.iloc[-1]
        title = f"L = {side}: less {last.method} with {last.sweeps} sweeps, in pairs"
        parts.append(frame_table(title, less.iloc[:-1], {**place, **alone}))
    return "\n".join(parts)
