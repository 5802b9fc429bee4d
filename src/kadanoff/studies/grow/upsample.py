"""Stage `upsample`: networks that enlarge critical lattices by three; models/upsample/VARIANT.safetensors.

They are trained as those of `superres` are. Whole blocks also learn to dress coarse lattices as the rule makes them
(`kadanoff.inverse.renormalized`), and both are calibrated: two numbers for which critical lattices that are dressed and
enlarged have the exact energy and <m^2> of the larger torus (`kadanoff.inverse.growth_calibration`).
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch

from kadanoff.data.store import open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.inverse.critical import critical_index
from kadanoff.inverse.growth_calibration import calibrate_growth
from kadanoff.inverse.quality import asymmetries
from kadanoff.inverse.renormalized import STEP, RenormalizedGibbs, conditional_log_odds
from kadanoff.inverse.superresolve import Spins, draw_blocks, tables
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Blocks, Conditional, Superresolution
from kadanoff.project.params import section
from kadanoff.project.records import Recorder
from kadanoff.project.tables import Cell, table
from kadanoff.spins.exact import T_C
from kadanoff.spins.statistics import independent_mean
from kadanoff.studies.superresolution import Finish, Variant, read_variant, train_variant
from kadanoff.studies.targets import vanishes
from kadanoff.validation import Name, Section, Seed, validated

SYMMETRY = 2e-4  # the error with which a broken symmetry is to be seen
TITLE = f"Symmetries of the torus: 0 within 3 standard errors of {SYMMETRY} or less"


class Calibrating(Section):
    """The key `calibration` of the section `upsample`."""

    dataset: Name
    seed: Seed


def upsample(root: Path, name: str) -> None:
    """Train networks that enlarge critical lattices by three into models/upsample/VARIANT.safetensors.

    Raises
    ------
    KadanoffError
        If a parameter breaks its rule, or the network is none that enlarges critical lattices.
    """
    variant = read_variant(root, name, "upsample")[0]
    if variant.network == "seed_kernel":  # the work calibrates nothing
        return train_variant(root, "upsample", name)
    if variant.network != "symmetric_blocks":
        raise KadanoffError(
            f"upsample.variants.{name}.network is {variant.network}, but lattices grow by whole blocks with the "
            "symmetries of the square; take symmetric_blocks, or seed_kernel for the published one."
        )
    given = validated(Calibrating, section(root, "upsample", "calibration"), "upsample.calibration")
    path = root / "data" / f"{given.dataset}.zarr"
    train_variant(root, "upsample", name, partial(_calibration, root, variant, given, path), [path])


def _calibration(root: Path, variant: Variant, given: Calibrating, path: Path) -> Finish:
    ensemble = open_dataset(path)
    index = critical_index(f"upsample.calibration.dataset is {given.dataset}, which", ensemble)
    side = ensemble.spins.shape[-1]
    if side % STEP:
        raise KadanoffError(
            f"upsample.calibration.dataset is {given.dataset}, whose lattices have the side {side}; dressing needs a "
            f"multiple of {STEP}. Take another dataset."
        )
    fine = open_dataset(root / "data" / f"{variant.dataset}.zarr").read(0, slice(0, variant.train))
    return partial(_calibrated, fine, ensemble.read(index), given.seed)


def _calibrated(fine: Spins, seeds: Spins, seed: int, model: Superresolution, record: Recorder) -> None:
    """Learn how lattices are dressed, and multiply the log-odds and log-probabilities by what the criterion gives."""
    network = model.at(float(T_C))
    assert isinstance(network, Blocks)  # the stage has checked it
    assert network.log_odds is not None
    odds = conditional_log_odds(fine, model.rule, model.block)
    found = calibrate_growth(network, odds, seeds, float(T_C), seed, model.block)
    dressing = RenormalizedGibbs((found.factor.mean * odds).astype(np.float32))
    with torch.no_grad():
        network.log_odds.copy_(torch.from_numpy(dressing.log_odds))
        for part in network.parts:
            cast(Conditional, part).sharpen(found.sharpness.mean)
    numbers = {"factor": found.factor, "sharpness": found.sharpness}
    for when, (excess, square) in (("before", found.before), ("after", found.after)):
        numbers |= {f"energy_{when}": excess, f"square_{when}": square}
    numbers["drift"] = dressing.energy_drift(fine, model.rule, model.block, seed)
    symmetries = _symmetries(network, dressing, seeds, seed, model.block)
    record.metrics({"calibration": numbers | symmetries})
    rows: list[Sequence[Cell]] = [[name, value, vanishes(value, SYMMETRY)] for name, value in symmetries.items()]
    record.text("tables.md", table(TITLE, ["c10", "seeds, dressed and enlarged", "met"], rows))


def _symmetries(
    network: Blocks, dressing: RenormalizedGibbs, seeds: Spins, seed: int, block: int
) -> dict[str, Estimate]:
    """What the symmetries of the torus make 0, of seeds that are dressed and enlarged with random bits of their own."""
    keys = [stream_key(seed, "symmetries", name) for name in ("dress", "draw")]
    fine = draw_blocks(dressing.sweep(seeds, (keys[0], 0)), tables(network), block, (keys[1], 0))
    found = map(independent_mean, asymmetries(fine, block))
    return dict(zip(("between_minus_inside", "x_minus_y"), found, strict=True))
