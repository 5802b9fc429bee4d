"""Stage `upsample`: networks that enlarge critical lattices by three; models/upsample/VARIANT.safetensors.

They are trained as those of `superres` are. Beside whole blocks a conditional of coarse spins is counted, for Gibbs
sweeps of the coarse lattice (`kadanoff.inverse.renormalized`), and both are calibrated: two numbers for which critical
lattices that are swept and enlarged have the exact energy and <m^2> of the larger torus
(`kadanoff.inverse.calibration`).
"""

from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch

from kadanoff.data.store import open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.inverse.calibration import calibrate_growth, measure_enlarged
from kadanoff.inverse.critical import critical_index
from kadanoff.inverse.quality import asymmetries
from kadanoff.inverse.renormalized import STEP, RenormalizedGibbs, conditional_log_odds
from kadanoff.inverse.superresolve import Spins, tables
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Blocks, Conditional, Superresolution
from kadanoff.project.params import section
from kadanoff.project.records import Recorder
from kadanoff.project.tables import table
from kadanoff.spins.exact import T_C
from kadanoff.spins.statistics import independent_mean
from kadanoff.studies.superresolution import open_data, read_variant, train_variant
from kadanoff.studies.targets import vanishes
from kadanoff.validation import Name, Section, Seed, validated

SYMMETRY = 2e-4  # the error with which a broken symmetry is to be seen
SYMMETRIES = {"between_minus_inside": "between blocks - inside of them", "x_minus_y": "along x - along y"}
TITLE = f"Symmetries of the torus: 0 within 3 standard errors of {SYMMETRY} or less"


class Calibration(Section):
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
    if variant.network == "seed_kernel":  # as published, without calibration
        return train_variant(root, "grow", "upsample", name)
    if variant.network != "symmetric_blocks":
        raise KadanoffError(
            f"upsample.variants.{name}.network is {variant.network}, but lattices grow by whole blocks with the "
            "symmetries of the square; take symmetric_blocks, or seed_kernel for the published one."
        )
    params = validated(Calibration, section(root, "upsample", "calibration"), "upsample.calibration")
    path = root / "data" / "grow" / f"{params.dataset}.zarr"
    ensemble = open_dataset(path)
    index = critical_index(f"upsample.calibration.dataset is {params.dataset}, which", ensemble)
    side = ensemble.spins.shape[-1]
    if side % STEP:
        raise KadanoffError(
            f"upsample.calibration.dataset is {params.dataset}, whose lattices have the side {side}; Gibbs sweeps need "
            f"a multiple of {STEP}. Take another dataset."
        )
    fine = open_data(root, "grow", f"upsample.variants.{name}", variant)[1].read(0, slice(0, variant.train))
    finish = partial(_calibrate, fine, ensemble.read(index), params.seed)
    train_variant(root, "grow", "upsample", name, finish, [path])


def _calibrate(fine: Spins, seeds: Spins, seed: int, model: Superresolution, record: Recorder) -> None:
    """Count the conditional of coarse spins, and multiply its log-odds and the log-probabilities as calibrated."""
    network = model.at(float(T_C))
    assert isinstance(network, Blocks)  # the stage has checked it
    assert network.log_odds is not None
    odds = conditional_log_odds(fine, model.rule, model.block)
    found = calibrate_growth(network, odds, seeds, float(T_C), seed, model.block)
    gibbs = RenormalizedGibbs((found.factor.mean * odds).astype(np.float32))
    with torch.no_grad():
        network.log_odds.copy_(torch.from_numpy(gibbs.log_odds))
        for part in network.parts:
            cast(Conditional, part).sharpen(found.sharpness.mean)
    numbers = {"factor": found.factor, "sharpness": found.sharpness}
    for when, (excess, square) in (("before", found.before), ("after", found.after)):
        numbers |= {f"energy_{when}": excess, f"square_{when}": square}
    numbers["drift"] = gibbs.energy_drift(fine, model.rule, model.block, seed)
    keys = [stream_key(seed, "symmetries", name) for name in ("dress", "draw")]
    broken = measure_enlarged(
        lambda spins: asymmetries(spins, model.block), seeds, gibbs, tables(network), model.block, keys
    )
    symmetries = [independent_mean(values) for values in broken]
    record.metrics({"calibration": numbers | dict(zip(SYMMETRIES, symmetries, strict=True))})
    rows = zip(SYMMETRIES.values(), symmetries, (vanishes(value, SYMMETRY) for value in symmetries), strict=True)
    record.text("tables.md", table(TITLE, ["c10", "seeds, swept and enlarged", "met"], list(rows)))
