"""Stage `exponents`: critical exponents from chains of lattices that grow from 16 x 16 seeds.

Efthymiou, Beach and Melko (2019), section IV A. A repetition trains on its own share of the configurations, calibrates,
and grows its chains.
"""

import hashlib
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.inverse.calibration import calibrate
from kadanoff.inverse.chains import Doubling, Levels, doubled, doubling_by_blocks, doubling_by_pixels, grow, measure
from kadanoff.inverse.critical import critical_index
from kadanoff.inverse.superresolve import Spins, tables
from kadanoff.learning.parameters import TrainingParams
from kadanoff.learning.randomness import derived_seed
from kadanoff.networks.superres import Blocks, Pixels
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.runtime.executor import in_processes
from kadanoff.runtime.files import disk_errors, working_folder, write_atomic
from kadanoff.spins.exact import T_C
from kadanoff.studies.superres.exponents_figures import draw_lattices, draw_scaling
from kadanoff.studies.superres.exponents_tables import BLOCKS, PIXELS, Repetition, summarize, tables_text
from kadanoff.studies.superresolution import Variant, read_variant, recipe, train_at
from kadanoff.validation import Name, Section, Seed

FEWEST = 100  # lattices that calibrate a repetition
LARGEST = 16  # side of the largest lattice that a chain may learn from
Recipes = dict[str, tuple[Variant, TrainingParams]]


class Params(Section):
    """The section `exponents`."""

    dataset: Name
    smaller: Name
    finite_size: list[Name] = Field(min_length=2)
    truth: list[Name] = Field(min_length=1)
    repetitions: int = Field(gt=0)
    seeds: int = Field(gt=1)
    pixel_seeds: int = Field(gt=1)
    levels: int = Field(gt=0)
    refinement: list[Annotated[int, Field(gt=0)]] = Field(min_length=1)
    seed: Seed


def exponents(root: Path) -> None:
    """Double 16 x 16 seeds again and again, and fit critical exponents.

    Raises
    ------
    KadanoffError
        If a parameter breaks its rule, or data are missing, too few, or not critical square lattices of the sizes.
    """
    params = entry(root, Params, "exponents")
    recipes = {name: read_variant(root, name) for name in (PIXELS, BLOCKS)}
    for name, (variant, _) in recipes.items():
        if variant.network != name or (variant.rule, variant.block) != ("majority", 2):
            raise KadanoffError(
                f"superres.variants.{name} has network {variant.network}, rule {variant.rule}, block {variant.block}; "
                f"the stage exponents needs network {name}, rule majority and block 2."
            )
    parameters = params.model_dump() | {name: recipe(*own) for name, own in recipes.items()}
    names = list(dict.fromkeys([params.dataset, params.smaller, *params.finite_size, *params.truth]))
    paths = {name: root / "data" / "superres" / f"{name}.zarr" for name in names}
    data = {name: open_dataset(path) for name, path in paths.items()}
    origins = [ensemble.provenance for ensemble in data.values()]
    with working_folder("exponents", "all", parameters, origins) as folder:
        index = {name: critical_index(f"dataset {name}", ensemble) for name, ensemble in data.items()}
        sources = [(paths[name], index[name]) for name in (params.dataset, params.smaller)]
        _check(params, *(data[name].spins.shape[1:] for name in (params.dataset, params.smaller)))
        with recorded("exponents", parameters=parameters, inputs=list(paths.values())) as record:
            tasks = [(number,) for number in range(params.repetitions)]
            found = in_processes("exponents", partial(repeat, params, recipes, sources, folder), tasks, folder)
            finite, truth = (
                [measured(data[name], index[name]) for name in group]
                for group in (params.finite_size, (params.dataset, *params.truth))
            )
            summary = summarize(found, finite, truth)
            record.metrics(summary.metrics())
            best = f"blocks_{params.refinement[-1]}_sweeps"
            record.summary(
                f"Chains of `blocks` with {params.refinement[-1]} Metropolis sweeps a doubling give gamma/nu = "
                "{gamma_over_nu} (exact 1.75), beta = {beta} (exact 0.125) and eta = {eta} (exact 0.25).",
                "figure6_scaling",
                ["gamma_over_nu"],
                gamma_over_nu=f"{best}/gamma",
                beta=f"{best}/beta",
                eta=f"{best}/eta_half",
            )
            record.comparison(*summary.comparison())
            record.text("tables.md", tables_text(summary))
            draw_lattices(record, found[0].lattices)
            draw_scaling(record, summary)


def _check(params: Params, fine: tuple[int, ...], small: tuple[int, ...]) -> None:
    """Refuse lattices that are too large to learn from, or too few."""
    if fine[-1] > LARGEST or 2 * small[-1] != fine[-1]:
        raise KadanoffError(
            f"exponents.dataset and exponents.smaller have sides {fine[-1]} and {small[-1]}; the first is at most "
            f"{LARGEST}, the second half of it."
        )
    needed = ((params.dataset, fine, max(params.seeds, params.pixel_seeds)), (params.smaller, small, FEWEST))
    for name, shape, least in needed:
        if shape[0] // params.repetitions < least:
            raise KadanoffError(
                f"{name} has {shape[0]} configurations for {params.repetitions} repetitions, of which each needs at "
                f"least {least} of its own. Raise datasets.superres.{name}.samples, or ask for fewer seeds or "
                "repetitions."
            )


def measured(ensemble: Ensemble, index: int = 0, step: int = 4096) -> Levels:
    """A Monte Carlo ensemble as a chain of one level; step x step sites go through memory at a time."""
    count, side = ensemble.spins.shape[1], ensemble.spins.shape[-1]
    rows = max(1, step * step // side**2)
    parts = [measure(ensemble.read(index, slice(start, start + rows))) for start in range(0, count, rows)]
    return Levels((side,), *np.concatenate(parts, axis=1)[:, None])


def repeat(params: Params, recipes: Recipes, sources: list[tuple[Path, int]], folder: Path, number: int) -> Repetition:
    """Run repetition `number` on its share of two datasets, each a path and the index of T_c.

    The first one's lattices train and seed, the smaller ones of the second calibrate. A chain whose file lies in
    `folder` is not grown again, and a network resumes from its checkpoint.
    """
    fine, small = (
        np.array_split(open_dataset(path).read(index), params.repetitions)[number] for path, index in sources
    )
    seed, temperature = derived_seed(params.seed, number), float(T_C)
    known = hashlib.blake2b(fine.tobytes() + small.tobytes(), digest_size=6).hexdigest()  # other data, other files
    blocks, pixels = (
        train_at(*recipes[name], temperature, fine, seed, folder / f"{number}-{name}-{known}")[0].at(temperature)
        for name in (BLOCKS, PIXELS)
    )
    assert isinstance(blocks, Blocks)  # the stage has checked both
    assert isinstance(pixels, Pixels)
    calibration = calibrate(blocks, small, temperature, seed)
    scheme = tables(blocks, calibration.sharpness.mean)
    doublings: dict[str, Doubling] = {
        PIXELS: doubling_by_pixels(pixels, seed),
        BLOCKS: doubling_by_blocks(scheme, seed),
    }
    for sweeps in params.refinement:  # Metropolis sweeps at T_c after each doubling
        doublings[f"{BLOCKS} + {sweeps} sweeps"] = doubling_by_blocks(scheme, seed, temperature, sweeps)
    chains = {}
    for kind, double in doublings.items():
        seeds = fine[: params.pixel_seeds if kind == PIXELS else params.seeds]
        chains[kind] = _kept(folder / f"{number}-{kind}-{known}.npz", partial(grow, seeds, params.levels, double, 1))
    lattices = {kind: _first(fine, params.levels, double) for kind, double in doublings.items()}
    return Repetition(calibration, chains, lattices)


def _first(seeds: Spins, levels: int, double: Doubling) -> list[Spins]:
    """The lattices (L, L) of the chain of the first seed."""
    return [spins[0] for spins in doubled(seeds[:1], levels, double, 0)]


def _kept(path: Path, run: Callable[[], Levels]) -> Levels:
    """What `run` gives, or gave before the stage was interrupted."""
    if not path.exists():
        buffer = io.BytesIO()
        np.savez(buffer, **vars(run()))
        with disk_errors(path):
            write_atomic(path, buffer.getvalue())
    with np.load(path) as stored:
        found = dict(stored)
    return Levels(tuple(found.pop("sizes").tolist()), **found)
