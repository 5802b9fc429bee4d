"""One repetition of `exponents`: train on its own share of the configurations, calibrate, grow its chains."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from kadanoff.inverse.calibration import Calibration, calibrate
from kadanoff.inverse.chains import Doubling, Levels, doubled, doubling_by_blocks, doubling_by_pixels, grow
from kadanoff.inverse.superresolve import Spins, tables
from kadanoff.learning.parameters import TrainingParams
from kadanoff.learning.randomness import derived_seed
from kadanoff.networks.superres import Blocks, Pixels
from kadanoff.runtime.files import disk_errors, write_atomic
from kadanoff.studies.superresolution import Variant, train_at

PIXELS = "pixels"
BLOCKS = "blocks"

Recipe = tuple[Variant, TrainingParams]


@dataclass(frozen=True)
class Plan:
    """What all repetitions share; `pixels` and `blocks` are entries of superres.variants."""

    pixels: Recipe
    blocks: Recipe
    temperature: float
    seeds: int
    pixel_seeds: int
    levels: int
    refinement: list[int]
    seed: int


@dataclass(frozen=True)
class Repetition:
    """What one repetition gave; `lattices` holds those that its first seed grew into, at each level."""

    calibration: Calibration
    chains: dict[str, Levels]
    lattices: dict[str, list[Spins]]


def repeat(plan: Plan, fine: Spins, small: Spins, folder: Path, number: int) -> Repetition:
    """Run repetition `number` on its own critical lattices: `fine` (n, L, L) train and seed, `small` calibrate.

    A chain whose file lies in `folder` is not grown again, and a network resumes from its checkpoint.
    """
    seed = derived_seed(plan.seed, number)
    known = hashlib.blake2b(fine.tobytes() + small.tobytes(), digest_size=6).hexdigest()  # other data, other files
    blocks, pixels = (
        train_at(*recipe, plan.temperature, fine, seed, folder / f"{number}-{recipe[0].network}-{known}")[0].at(
            plan.temperature
        )
        for recipe in (plan.blocks, plan.pixels)
    )
    assert isinstance(blocks, Blocks)  # the stage has checked both
    assert isinstance(pixels, Pixels)
    calibration = calibrate(blocks, small, plan.temperature, seed)
    scheme = tables(blocks, calibration.sharpness.mean)
    doublings: dict[str, Doubling] = {
        PIXELS: doubling_by_pixels(pixels, seed),
        BLOCKS: doubling_by_blocks(scheme, seed),
    } | {refined(sweeps): doubling_by_blocks(scheme, seed, plan.temperature, sweeps) for sweeps in plan.refinement}
    chains = {}
    for kind, double in doublings.items():
        seeds = fine[: plan.pixel_seeds if kind == PIXELS else plan.seeds]
        chains[kind] = _kept(folder / f"{number}-{kind}-{known}.npz", partial(grow, seeds, plan.levels, double, 1))
    return Repetition(calibration, chains, {kind: first(fine, plan.levels, doublings[kind]) for kind in doublings})


def refined(sweeps: int) -> str:
    """Name of the chains of blocks with Metropolis sweeps at T_c, with the Hamiltonian, after each doubling."""
    return f"{BLOCKS} + {sweeps} sweeps"


def first(seeds: Spins, levels: int, double: Doubling) -> list[Spins]:
    """The lattices (L, L) of the chain of the first seed."""
    return [spins[0] for spins in doubled(seeds[:1], levels, double, 0)]


def _kept(path: Path, run: Callable[[], Levels]) -> Levels:
    """What `run` gives, or gave before the stage was interrupted."""
    if not path.exists():
        levels, buffer = run(), io.BytesIO()
        np.savez(buffer, **vars(levels))
        with disk_errors(path):
            write_atomic(path, buffer.getvalue())
    with np.load(path) as stored:
        found = {name: stored[name] for name in stored.files}
    return Levels(tuple(found.pop("sizes").tolist()), **found)
