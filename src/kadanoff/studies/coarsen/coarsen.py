"""Stage `coarsen`: train one network to apply a block rule; models/coarsen/VARIANT.safetensors."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from torch import nn

from kadanoff.data.store import open_dataset
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.learning.coarse import CoarseTask, coarse_task, errors
from kadanoff.learning.fit import fit
from kadanoff.learning.parameters import TrainingParams
from kadanoff.learning.predict import predict
from kadanoff.learning.randomness import derived_seed, seeded
from kadanoff.learning.training import Settings
from kadanoff.networks.registry import build
from kadanoff.project.records import Recorder, recorded
from kadanoff.runtime.files import working_folder
from kadanoff.studies import variants
from kadanoff.studies.coarsen.figures import draw_history, draw_predictions
from kadanoff.validation import Name, Section

REPORT_TASK = ("threshold", 2)  # rule and block of the report's published code; its best network is the champion


class Variant(Section):
    """What is trained on what; the other keys of an entry override `coarsen.training`."""

    network: str
    dataset: Name
    rule: str
    block: int = Field(gt=1)


def read_variant(root: Path, name: str) -> tuple[Variant, TrainingParams]:
    """The entry `name` of coarsen.variants, and its training parameters; KadanoffError if a key breaks a rule."""
    return variants.read_variant(root, "coarsen", name, Variant)


def weights_path(root: Path, name: str) -> Path:
    """Where the weights of a variant lie."""
    return root / "models" / "coarsen" / f"{name}.safetensors"


def coarsen(root: Path, name: str) -> None:
    """Train a coarse-graining network into models/coarsen/VARIANT.safetensors."""
    variant, training = read_variant(root, name)
    source, weights = root / "data" / "coarsen" / f"{variant.dataset}.zarr", weights_path(root, name)
    parameters = variant.model_dump() | training.model_dump()
    task = coarse_task(open_dataset(source), variant.rule, variant.block, training.seed)
    arguments = {"block": variant.block, "size": task.spins.shape[-1]}
    with seeded(derived_seed(training.seed)):
        network = build(variant.network, **arguments)
    with (
        working_folder("coarsen", name, parameters) as folder,
        recorded("coarsen", name, parameters=parameters, inputs=[source]) as record,
    ):
        trained = fit(
            network,
            task.pair(task.split.train),
            task.pair(task.split.validation),
            Settings(**training.model_dump()),
            on_epoch=lambda epoch: record.epoch(**asdict(epoch)),
            checkpoint=folder,
        )
        record.metrics({"parameters": sum(each.numel() for each in network.parameters())} | trained.metrics())
        draw_history(record, name, trained.history, (variant.rule, variant.block) == REPORT_TASK)
        _measure(name, network, task, record)
        save_model(weights, network, Recipe(variant.network, arguments, parameters))  # last: it changes with its record
        record.model(weights, metric="test/mse", **_description(variant, network))


def _measure(name: str, network: nn.Module, task: CoarseTask, record: Recorder) -> None:
    """Errors on the validation and the test configurations, and three of the latter as a figure."""
    for part in ("validation", "test"):
        rows = getattr(task.split, part)
        record.metrics({part: errors(predict(network, task.spins[rows]), task.target[rows])})
    shown = np.sort(task.split.test)[:: max(1, len(task.split.test) // 3)][:3]
    predictions = {"prediction": predict(network, task.spins[shown])}
    caption = f"Spins, targets, predictions of {name} and their errors, for three test configurations"
    draw_predictions(record, task.spins[shown], task.target[shown], predictions, caption)


def _description(variant: Variant, network: nn.Module) -> dict[str, Any]:
    """The task within which networks compete for champion, and the lattices that this one takes and gives."""
    side = getattr(network, "size", None)  # of a network that is bound to one lattice
    return {
        "task": f"{variant.rule} of {variant.block} x {variant.block} blocks",
        "contender": (variant.rule, variant.block) == REPORT_TASK,
        "takes": [-1, side, side] if side else [-1, -1, -1],
        "gives": [-1, side // variant.block, side // variant.block] if side else [-1, -1, -1],
    }
