"""The published kernel, ours, and ours on coarse lattices that are not dressed: what each makes of the same seeds."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import Annotated, Any

from pydantic import Field

from kadanoff.inverse.growth import Enlargement, Rows, enlarge, refine
from kadanoff.inverse.measurement import Survey, survey, together
from kadanoff.inverse.superresolve import independent_spins, probabilities
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import SeedKernel
from kadanoff.project.tables import Cell, table
from kadanoff.runtime.progress import progress
from kadanoff.studies.grow.tables import PAIRED, SYMMETRIES, apart, missed, paired, percent, row
from kadanoff.validation import Section

Draw = Callable[[Rows, int], Rows]
"""(a coarse lattice, number of its random bits) -> the lattice that is drawn from it, before any sweep."""
APART = {"c10_excess": "c10", "c11": "c11", "exponent": "exponent of G", "square": "&lt;m²&gt; L^(1/4)"} | SYMMETRIES
LOCK = Lock()  # PyTorch's number of threads, on which its rounding depends, is one for the process
NOTE = """What other ways make of the same seeds, by the number of Metropolis sweeps after each enlargement; the targets
are the same for every row. Rows share seeds and random numbers, so that they differ by less than their errors: below
each table is what they differ by from the last row, in pairs.
"""


class Compare(Section):
    """The key `compare`: enlargements, and the numbers of sweeps after each."""

    levels: int = Field(gt=0)
    sweeps: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)


@dataclass(frozen=True)
class Chain:
    """What one way, with a number of sweeps, made of the seeds: surveys of the seeds and of every larger size."""

    name: str
    sweeps: int
    sizes: list[Survey]


def draws(way: Enlargement, published: SeedKernel) -> dict[str, Draw]:
    """The ways by their names."""

    def work(coarse: Rows, number: int) -> Rows:
        with LOCK:
            chances = probabilities(published, coarse[None])
        return independent_spins(chances, (stream_key(way.seed, "enlarge", number), 0))[0]

    raw = replace(way, sweeps=0)
    return {
        "seed_kernel (published)": work,
        "kernel, not dressed": partial(enlarge, replace(raw, gibbs=None)),
        "kernel": partial(enlarge, raw),
    }


def compare(
    way: Enlargement, published: SeedKernel, seeds: Sequence[Rows], start: Survey, given: Compare
) -> list[Chain]:
    """All ways and numbers of sweeps; `start` is the survey of the seeds."""

    def grown(draw: Draw, number: int) -> list[list[Survey]]:
        first = 1 + (given.levels + 1) * number
        drawn = draw(seeds[number], first)  # once for all numbers of sweeps
        found = []
        for sweeps in given.sweeps:
            own = replace(way, sweeps=sweeps)
            spins = refine(own, drawn, first)
            sizes = [survey(spins)]
            for level in range(first + 1, first + given.levels):
                spins = refine(own, draw(spins, level), level)
                sizes.append(survey(spins))
            found.append(sizes)
        advance(1)
        return found

    chains, ways = [], draws(way, published)
    with ThreadPoolExecutor(os.cpu_count()) as pool, progress("compare", len(ways) * len(seeds)) as advance:
        for name, draw in ways.items():
            runs = list(pool.map(partial(grown, draw), range(len(seeds))))
            for place, sweeps in enumerate(given.sweeps):
                sizes = [together([run[place][level] for run in runs]) for level in range(given.levels)]
                chains.append(Chain(name, sweeps, [start, *sizes]))
    return chains


def compare_metrics(chains: Sequence[Chain]) -> dict[str, Any]:
    """Metrics of the record: by way, sweeps and size."""
    numbers: dict[str, Any] = {}
    for chain in chains:
        name = chain.name.split(" (")[0].replace(", ", "_").replace(" ", "_")
        for level in range(1, len(chain.sizes)):
            at = numbers.setdefault(f"L={chain.sizes[level].side}", {}).setdefault(name, {})
            less = apart(chain.sizes[level], chains[-1].sizes[level])
            at[f"sweeps={chain.sweeps}"] = _row(chain, level) | {"less_last": less}
    return numbers


def _row(chain: Chain, level: int) -> dict[str, Any]:
    return row(chain.sizes[level]) | paired(chain.sizes[level - 1], chain.sizes[level], chain.sizes[0])


def compare_text(chains: Sequence[Chain]) -> str:
    """Tables in Markdown, one a size."""
    columns = ["", "sweeps", "c10 - exact", "c11 - exact", *SYMMETRIES.values(), "exponent of G", *PAIRED, "missed"]
    parts, last = [NOTE], chains[-1]
    for level in range(1, len(chains[0].sizes)):
        rows: list[Sequence[Cell]] = []
        for chain in chains:
            found = _row(chain, level)
            keys = [found[key] for key in ("c10_excess", "c11_excess", *SYMMETRIES, "exponent")]
            ratios = [percent(found[key]) for key in ("paired_square_off", "paired_ratio_off")]
            by_chance = 100 * found["paired_ratio_off_by_chance"]
            rows.append([chain.name, chain.sweeps, *keys, *ratios, by_chance, missed(found)])
        side = last.sizes[level].side
        parts.append(table(f"L = {side}, {len(last.sizes[0])} seeds each", columns, rows))
        less = [(chain, apart(chain.sizes[level], last.sizes[level])) for chain in chains[:-1]]
        rows = [[chain.name, chain.sweeps, *(found[key] for key in APART)] for chain, found in less]
        title = f"L = {side}: less {last.name} with {last.sweeps} sweeps, in pairs"
        parts.append(table(title, ["", "sweeps", *APART.values()], rows))
    return "\n".join(parts)
