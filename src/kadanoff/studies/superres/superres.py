"""Stage `superres`: networks that undo a block rule, one a temperature; models/superres/VARIANT.safetensors."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kadanoff.data.store import open_dataset
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.learning.fit import Fit
from kadanoff.learning.parameters import TrainingParams
from kadanoff.learning.randomness import derived_seed
from kadanoff.networks.superres import Blocks, SeedKernel, Superresolution
from kadanoff.project.records import Recorder, recorded
from kadanoff.runtime.executor import in_processes
from kadanoff.runtime.files import working_folder
from kadanoff.studies.superres.data import Data, open_data
from kadanoff.studies.superres.figures import draw_configurations, draw_losses
from kadanoff.studies.superres.measure import losses, metrics, nearest, test
from kadanoff.studies.superres.variants import Variant, built, read_variant, train

STUDIES = (("majority", 2, "superres_three16"), ("majority", 3, "upsample_critical"))
"""Rule, block and dataset at which networks compete: the champion of a study is the best at them."""

Weights = dict[str, NDArray[np.float32]]
Finish = Callable[[Superresolution, Recorder], None]


def superres(root: Path, name: str) -> None:
    """Train networks that undo a block rule, one a temperature, into models/superres/VARIANT.safetensors."""
    train_study(root, "superres", name)


def train_study(
    root: Path, study: str, name: str, prepare: Callable[[], Finish] | None = None, more: Sequence[Path] = ()
) -> None:
    """Train the entry NAME of STUDY.variants: models/STUDY/NAME.safetensors and the record reports/STUDY/NAME.

    What `prepare` returns before the training is done with the trained and tested networks before they are saved; it
    reads `more` datasets.
    """
    variant, training = read_variant(root, name, study)
    weights = root / "models" / study / f"{name}.safetensors"
    parameters = variant.model_dump() | training.model_dump()
    with working_folder(study, name, parameters) as folder:
        data = open_data(root, f"{study}.variants.{name}", variant.dataset, variant.train)
        arguments = variant.arguments(data.dimension, data.temperatures)
        model = built(variant.network, arguments)  # refuses now what it would refuse later
        data.check(model)
        finish = prepare() if prepare is not None else None
        with recorded(study, name, parameters=parameters, inputs=[*data.paths, *more]) as record:
            work = partial(_trained, variant, training, data.paths[0], folder)
            found = in_processes(study, work, [(index,) for index in range(len(data.temperatures))])
            for network, (trained, _) in zip(model.networks, found, strict=True):
                network.load_state_dict({key: torch.from_numpy(values) for key, values in trained.items()})
            measure(model.eval(), data, [fits for _, fits in found], training.seed, record)
            if finish is not None:
                finish(model, record)
            save_model(weights, model, Recipe(variant.network, arguments, parameters))  # last, as their record changes
            record.model(weights, metric="test/nats_per_site", **_competition(variant, data.dimension))


def _trained(
    variant: Variant, training: TrainingParams, source: Path, folder: Path, index: int
) -> tuple[Weights, list[Fit]]:
    """Weights and histories of the network of one temperature, in a process of its own."""
    ensemble = open_dataset(source)
    fine = ensemble.read(index, slice(0, variant.train))
    seed = derived_seed(training.seed, index)
    model, fits = train(
        variant,
        training,
        float(ensemble.temperatures[index]),
        fine,
        seed,
        folder / f"at-{index}-{hashlib.blake2b(fine.tobytes(), digest_size=6).hexdigest()}",
    )
    return {key: tensor.numpy() for key, tensor in model.networks[0].state_dict().items()}, fits


def measure(model: Superresolution, data: Data, fits: list[list[Fit]], seed: int, record: Recorder) -> None:
    """Put what the networks make of the test configurations, and figures, into the record."""
    tested = [test(model, index, data.test(index), seed) for index in range(len(data.temperatures))]
    best = [losses(model, index, found) for index, found in enumerate(fits)]
    record.metrics(metrics(tested, best) | {"parameters": sum(item.numel() for item in model.networks[0].parameters())})
    _history(record, fits[nearest(data.temperatures)])
    draw_losses(record, fits[nearest(data.temperatures)], tested, best, _loss_label(model.networks[0]))
    if data.dimension == 2:
        draw_configurations(record, tested)


def _loss_label(network: nn.Module) -> str:
    if isinstance(network, SeedKernel):
        return "squared error per site + energy term"
    return f"loss per {'block' if isinstance(network, Blocks) else 'site'} (nats)"


def _history(record: Recorder, fits: Sequence[Fit]) -> None:
    """Losses over the epochs; those of each part of a draw if parts are trained one by one."""
    rows: dict[int, dict[str, float]] = {}
    for number, found in enumerate(fits):
        prefix = f"part{number}_" if len(fits) > 1 else ""
        for epoch in found.history:
            row = rows.setdefault(epoch.epoch, {})
            for key in ("train_loss", "validation_loss", "learning_rate"):
                row[prefix + key] = getattr(epoch, key)
    for number, row in rows.items():
        record.epoch(number, **row)


def _competition(variant: Variant, dimension: int) -> dict[str, Any]:
    """What its metric can be compared with, and the lattices it takes."""
    what = f"{variant.block} x {variant.block} blocks" if dimension == 2 else f"blocks of {variant.block} sites"
    return {
        "task": f"{variant.rule} of {what} inverted, {variant.dataset}",
        "contender": (variant.rule, variant.block, variant.dataset) in STUDIES,
        "takes": [-1, -1 if dimension == 2 else 1, -1],
        "gives": [-1, -1 if dimension == 2 else 1, -1],
    }
