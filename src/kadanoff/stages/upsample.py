"""Stage `upsample`: networks that enlarge critical lattices by three; models/upsample/VARIANT.safetensors.

They are trained as those of `superres` are, and then calibrated: the log-probabilities of block states are multiplied
by the one number for which enlarged critical lattices have the exact energy of the larger torus.
"""

from functools import partial
from pathlib import Path
from typing import cast

import torch

from kadanoff.errors import KadanoffError
from kadanoff.inverse.calibration import calibrate
from kadanoff.inverse.superresolve import Spins
from kadanoff.lab.params import Name, Section, section, validated
from kadanoff.lab.records import Recorder
from kadanoff.lab.store import open_dataset
from kadanoff.networks.superres import Blocks, Conditional, Superresolution
from kadanoff.spins.exact import T_C
from kadanoff.stages.superres import Finish, train_study
from kadanoff.stages.superres_data import check_physics
from kadanoff.stages.superres_variants import read_variant

NETWORKS = ("blocks", "symmetric_blocks")


class Calibrating(Section):
    """The key `calibration` of the section `upsample`."""

    dataset: Name
    seed: int


def upsample(root: Path, name: str) -> None:
    """Write models/upsample/NAME.safetensors and the record reports/upsample/NAME.

    Raises
    ------
    KadanoffError
        If a parameter breaks its rule, or the network does not draw whole blocks at T_c.
    """
    network = read_variant(root, name, "upsample")[0].network
    if network not in NETWORKS:
        raise KadanoffError(
            f"upsample.variants.{name}.network is {network}, but lattices grow by whole blocks; "
            f"take {' or '.join(NETWORKS)}."
        )
    train_study(root, "upsample", name, partial(_calibration, root))


def _calibration(root: Path) -> Finish:
    given = validated(Calibrating, section(root, "upsample", "calibration"), "upsample.calibration")
    ensemble = open_dataset(root / "data" / f"{given.dataset}.zarr")
    check_physics(given.dataset, ensemble)
    if ensemble.spins.ndim != 4 or abs(ensemble.temperatures[0] - float(T_C)) > 1e-6:
        raise KadanoffError(
            f"upsample.calibration.dataset is {given.dataset}, with T = {ensemble.temperatures[0]:g}; it needs square "
            f"lattices at the critical temperature, {float(T_C):.15g}."
        )
    return partial(_calibrated, ensemble.read(0), given.seed)


def _calibrated(seeds: Spins, seed: int, model: Superresolution, record: Recorder) -> None:
    """Multiply the log-probabilities of the network at T_c by the sharpness that the criterion gives."""
    network = model.at(float(T_C))
    assert isinstance(network, Blocks)  # the stage has checked it
    found = calibrate(network, seeds, float(T_C), seed, model.block)
    with torch.no_grad():
        for part in network.parts:
            cast(Conditional, part).sharpen(found.sharpness.mean)
    record.metrics({"calibration": {"sharpness": found.sharpness, "before": found.before, "after": found.after}})
