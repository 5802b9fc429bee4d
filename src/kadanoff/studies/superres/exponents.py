"""Stage `exponents`: critical exponents from chains of lattices that grow from 16 x 16 seeds.

Efthymiou, Beach and Melko (2019), section IV A.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.inverse.chains import Levels, measure
from kadanoff.inverse.superresolve import Spins
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.runtime.executor import in_processes
from kadanoff.runtime.files import working_folder
from kadanoff.spins.exact import T_C
from kadanoff.studies.superres.exponents_figures import draw_lattices, draw_levels, draw_scaling
from kadanoff.studies.superres.exponents_tables import summarize, tables_text
from kadanoff.studies.superres.repetitions import Plan, Recipe, Repetition, repeat
from kadanoff.studies.superresolution import check_physics, read_variant
from kadanoff.validation import Name, Section, Seed

NETWORKS = ("pixels", "blocks")  # entries of superres.variants
FEWEST = 100  # lattices that calibrate a repetition
LARGEST = 16  # side of the largest lattice that a chain may learn from


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
    recipes = {name: read_variant(root, name) for name in NETWORKS}
    for name, (variant, _) in recipes.items():
        if variant.network != name or (variant.rule, variant.block) != ("majority", 2):
            raise KadanoffError(
                f"superres.variants.{name} has network {variant.network}, rule {variant.rule}, block {variant.block}; "
                f"the stage exponents needs network {name}, rule majority and block 2."
            )
    parameters = given(params, recipes)
    names = list(dict.fromkeys([params.dataset, params.smaller, *params.finite_size, *params.truth]))
    paths = {name: root / "data" / "superres" / f"{name}.zarr" for name in names}
    with working_folder("exponents", "all", parameters) as folder:
        data = {name: _critical(name, open_dataset(path)) for name, path in paths.items()}
        fine, small = (data[name].read(0) for name in (params.dataset, params.smaller))
        _check(params, fine.shape, small.shape)
        with recorded("exponents", parameters=parameters, inputs=list(paths.values())) as record:
            found = _repetitions(params, recipes, fine, small, folder)
            finite = [measured(data[name]) for name in params.finite_size]
            truth = [measured(data[name]) for name in (params.dataset, *params.truth)]
            summary = summarize(found, finite, truth)
            record.metrics(summary.metrics())
            record.text("tables.md", tables_text(summary))
            draw_lattices(record, found[0].lattices)
            draw_scaling(record, summary)
            draw_levels(record, summary)


def given(params: Params, recipes: dict[str, Recipe]) -> dict[str, Any]:
    """All parameters of the stage: its own section, and how its networks are trained."""
    return params.model_dump() | {
        name: variant.model_dump() | training.model_dump() for name, (variant, training) in recipes.items()
    }


def _repetitions(
    params: Params, recipes: dict[str, Recipe], fine: Spins, small: Spins, folder: Path
) -> list[Repetition]:
    """All repetitions, each with its own share of the lattices."""
    plan = Plan(
        recipes["pixels"],
        recipes["blocks"],
        temperature=float(T_C),
        seeds=params.seeds,
        pixel_seeds=params.pixel_seeds,
        levels=params.levels,
        refinement=params.refinement,
        seed=params.seed,
    )
    shares = (np.array_split(spins, params.repetitions) for spins in (fine, small))
    tasks = [(*share, folder, number) for number, share in enumerate(zip(*shares, strict=True))]
    return in_processes("exponents", partial(repeat, plan), tasks)


def _critical(name: str, ensemble: Ensemble) -> Ensemble:
    """A dataset of square tori at T_c."""
    check_physics(name, ensemble)
    shape, temperatures = ensemble.spins.shape, ensemble.temperatures
    if len(shape) != 4 or shape[2] != shape[3] or len(temperatures) != 1 or abs(temperatures[0] - T_C) > 1e-6:
        raise KadanoffError(
            f"dataset {name} has the shape {shape} (temperature, sample, y, x) at T = {temperatures.tolist()}; the "
            f"exponents need square lattices at the critical temperature alone, {T_C:.15g}."
        )
    return ensemble


def _check(params: Params, fine: tuple[int, ...], small: tuple[int, ...]) -> None:
    """Refuse lattices that are too large to learn from, or too few."""
    if fine[-1] > LARGEST or 2 * small[-1] != fine[-1]:
        raise KadanoffError(
            f"exponents.dataset and exponents.smaller have sides {fine[-1]} and {small[-1]}; the first is at most "
            f"{LARGEST}, the second half of it."
        )
    if small[0] // params.repetitions < FEWEST:
        raise KadanoffError(
            f"{params.smaller} has {small[0]} configurations for {params.repetitions} repetitions; each calibrates on "
            f"at least {FEWEST}. Raise datasets.superres.{params.smaller}.samples, or ask for fewer repetitions."
        )
    share = fine[0] // params.repetitions
    most = max(params.seeds, params.pixel_seeds)
    if share < most:
        raise KadanoffError(
            f"exponents.seeds or pixel_seeds is {most}, but each of {params.repetitions} repetitions has {share} "
            f"configurations of its own ({fine[0]} in {params.dataset}). Ask for fewer seeds or repetitions, or "
            f"raise datasets.superres.{params.dataset}.samples."
        )


def measured(ensemble: Ensemble, step: int = 4096) -> Levels:
    """A Monte Carlo ensemble as a chain of one level; step x step sites go through memory at a time."""
    count, side = ensemble.spins.shape[1], ensemble.spins.shape[-1]
    rows = max(1, step * step // side**2)
    parts = [measure(ensemble.read(0, slice(start, start + rows))) for start in range(0, count, rows)]
    return Levels((side,), *np.concatenate(parts, axis=1)[:, None])
