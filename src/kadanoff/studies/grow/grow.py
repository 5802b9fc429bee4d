"""Stage `grow`: are lattices that grow by three, again and again, critical? What CNN-RG-Fast 2026 leaves open.

Seeds of Monte Carlo are enlarged by a network of `upsample`. At each size the lattices as drawn (`raw`) and after some
Metropolis sweeps (`refined`), from which the next size grows, are validated against exact results, against
Swendsen-Wang lattices of the same size, and against the lattices that they grew from. The published kernel, and ours
without Gibbs sweeps of the coarse lattice, are compared on the same seeds, each with several numbers of sweeps.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from kadanoff.data.pyramid import FACTOR
from kadanoff.data.zoom import means_of, nested_pictures, zoom_page
from kadanoff.inverse.critical import critical_seeds, network_of
from kadanoff.inverse.growth import Enlargement, Rows, enlarge, refine
from kadanoff.inverse.measurement import Measurements, measure_lattice
from kadanoff.inverse.renormalized import RenormalizedGibbs
from kadanoff.inverse.superresolve import tables
from kadanoff.montecarlo import swendsen_wang
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Blocks, SeedKernel
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.runtime.progress import Advance, progress
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C
from kadanoff.studies.grow.compare import Compare, compare, compare_text, compared_table
from kadanoff.studies.grow.figures import draw_cascade, draw_correlations
from kadanoff.studies.grow.tables import PLACE, Grown, grown_table, metrics, tables_text
from kadanoff.validation import Name, Section, Seed, WeightsName

COMPARED = ["c10_excess", "c11_excess", "exponent", "paired_ratio_off", "between_minus_inside"]


class Truth(Section):
    """The key `truth`: Swendsen-Wang chains from random spins, so many of each size."""

    chains: list[Annotated[int, Field(gt=3)]]
    sweeps: int = Field(gt=0)


class Params(Section):
    """The section `grow`; `seeds` are lattices that grow to each size, the smallest first."""

    model: WeightsName
    published: WeightsName
    dataset: Name
    seeds: list[Annotated[int, Field(gt=3)]] = Field(min_length=1)
    sweeps: int = Field(gt=0)
    compare: Compare
    truth: Truth
    seed: Seed

    @model_validator(mode="after")
    def _sizes(self) -> "Params":
        if self.seeds != sorted(self.seeds, reverse=True):
            raise ValueError(
                f"seeds is {self.seeds}; a lattice of one size grew from one of the size before, so the "
                "numbers do not rise"
            )
        if len(self.truth.chains) != len(self.seeds):
            raise ValueError(f"truth.chains is {self.truth.chains}; give one number a size, as many as seeds")
        return self


def grow(root: Path) -> None:
    """Grow critical lattices by three again and again; compare with exact energies and Monte Carlo of their size.

    Raises
    ------
    KadanoffError
        If a parameter breaks its rule, or the weights or the seeds are missing or not critical.
    """
    params = entry(root, Params, "grow")
    paths = [root / "models" / f"{name}.safetensors" for name in (params.model, params.published)]
    paths.append(root / "data" / "grow" / f"{params.dataset}.zarr")
    network, block = network_of(paths[0], "grow.model", params.model, Blocks)
    published, _ = network_of(paths[1], "grow.published", params.published, SeedKernel)
    seeds, _ = critical_seeds(paths[2], "grow", params.dataset, "seeds", params.seeds[0])
    enlargement = Enlargement(tables(network), block, params.sweeps, params.seed, RenormalizedGibbs.of(network))
    with recorded("grow", parameters=params.model_dump(), inputs=paths) as record:
        found, largest = _grow_all(enlargement, seeds, params)
        chains = compare(enlargement, published, seeds, found.seeds, params.compare)
        known, compared = grown_table(found), compared_table(chains)
        labels = [f"sweeps={sweeps}" for sweeps in compared.sweeps]
        others = metrics(compared.assign(sweeps=labels), PLACE)
        record.metrics(metrics(known, ["side", "method"]) | {"compare": others})
        largest_raw = f"L={len(largest)}/raw"
        record.summary(
            f"Lattices grown to {len(largest):,} x {len(largest):,}, as drawn: c10 = <s_i s_j> of neighbours exceeds "
            "that of the exact torus by {c10_excess}, and G(r) falls with an exponent of {decay_exponent}.",
            "correlations",
            ["c10_excess"],
            c10_excess=f"{largest_raw}/c10_excess",
            c11_excess=f"{largest_raw}/c11_excess",
            decay_exponent=f"{largest_raw}/exponent",
            between_minus_inside=f"{largest_raw}/between_minus_inside",
        )
        own = known.assign(sweeps=known.method.map({"raw": 0, "refined": params.sweeps}).astype("Int64").astype(object))
        every = pd.concat([own, compared], ignore_index=True).rename(columns={"side": "L"})
        record.comparison(every, ["L", "method", "sweeps"], COMPARED)
        record.text("tables.md", f"{tables_text(found, known, params.sweeps)}\n{compare_text(compared)}")
        draw_correlations(record, found)
        draw_cascade(record, largest)
        pictures = nested_pictures(means_of(largest), len(largest))
        title = f"A critical lattice grown to {len(largest):,} × {len(largest):,}"
        record.text("zoom.html", zoom_page(pictures, FACTOR, title))


def _grow_all(enlargement: Enlargement, seeds: list[Rows], params: Params) -> tuple[Grown, Rows]:
    """Measurements at all sizes, Monte Carlo among them, and the largest lattice of the first seed."""
    sides = [len(seeds[0]) * enlargement.block**level for level in range(1, len(params.seeds) + 1)]
    counts = [grown + chains for grown, chains in zip(params.seeds, params.truth.chains, strict=True)]
    sites = sum(count * side**2 for count, side in zip(counts, sides, strict=True))
    with progress("grow", sites) as advance, ThreadPoolExecutor(os.cpu_count()) as pool:
        one = partial(_grown, enlargement, params, advance)
        raw, refined, (largest, *_) = zip(*pool.map(one, range(len(seeds)), seeds), strict=True)
        truth = [_truth(side, level, params, pool, advance) for level, side in enumerate(sides)]

    def at(runs: Sequence[list[Measurements]], level: int) -> Measurements:
        return Measurements.joined([run[level] for run in runs if level < len(run)])

    levels = range(1, len(params.seeds) + 1)
    grown, swept = ([at(runs, level) for level in levels] for runs in (raw, refined))
    return Grown(at(raw, 0), grown, swept, truth), largest


def _grown(
    enlargement: Enlargement, params: Params, advance: Advance, number: int, seed: Rows
) -> tuple[list[Measurements], list[Measurements], Rows]:
    """What one seed grows into: measurements as drawn and refined, the seed first, and the largest lattice."""
    spins, start = seed, measure_lattice(seed)
    raw, refined = [start], [start]
    for level in range(1, sum(number < count for count in params.seeds) + 1):
        own = level + (len(params.seeds) + 1) * number  # random bits of its own for every seed
        drawn = enlarge(replace(enlargement, sweeps=0), spins, own)
        raw.append(measure_lattice(drawn))
        spins = refine(enlargement, drawn, own)
        refined.append(measure_lattice(spins))
        advance(spins.size)
    return raw, refined, spins if number == 0 else seed  # one picture is enough


def _truth(side: int, level: int, params: Params, pool: ThreadPoolExecutor, advance: Advance) -> Measurements:
    """Monte Carlo at T_c from random spins."""
    lattice, key = Lattice.of(side), stream_key(params.seed, "truth", side)

    def chain(number: int) -> Measurements:
        bits = np.random.Generator(np.random.Philox(int(stream_key(params.seed, "start", side, number))))
        spins = 2 * bits.integers(0, 2, (1, side, side), np.int8) - 1
        swendsen_wang.advance(spins, lattice, float(T_C), 0.0, key, number, 0, params.truth.sweeps)
        advance(spins.size)
        return measure_lattice(spins[0])

    return Measurements.joined(list(pool.map(chain, range(params.truth.chains[level]))))
