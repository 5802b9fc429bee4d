"""Stage `coarsen`: train one network to apply a block rule; models/coarsen/VARIANT.safetensors."""

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from torch import nn

from kadanoff.data.store import open_dataset
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.learning.coarse import errors
from kadanoff.learning.data import CoarseTask, coarse_task
from kadanoff.learning.fit import Fit, fit
from kadanoff.learning.parameters import TrainingParams
from kadanoff.learning.predict import predict
from kadanoff.learning.randomness import derived_seed, seeded
from kadanoff.learning.training import Epoch, Settings
from kadanoff.networks.registry import build
from kadanoff.project.records import Recorder, recorded
from kadanoff.runtime.files import working_folder
from kadanoff.studies import variants
from kadanoff.studies.coarsen.figures import draw_history, draw_predictions
from kadanoff.validation import Name, Section

REPORT_TASK = ("threshold", 2)  # rule and block of its published code; the study's champion is the best at this


class Variant(Section):
    """What is trained on what; the other keys of an entry override `coarsen.training`."""

    network: str
    dataset: Name
    rule: str
    block: int = Field(gt=1)


def read_variant(root: Path, name: str) -> tuple[Variant, TrainingParams]:
    """The entry `name` of coarsen.variants, and its training parameters; KadanoffError if a key breaks a rule."""
    return variants.read_variant(root, "coarsen", name, Variant)


def coarsen(root: Path, name: str) -> None:
    """Train a coarse-graining network into models/coarsen/VARIANT.safetensors."""
    variant, training = read_variant(root, name)
    source = root / "data" / f"{variant.dataset}.zarr"
    weights = root / "models" / "coarsen" / f"{name}.safetensors"
    parameters = variant.model_dump() | training.model_dump()
    task = coarse_task(open_dataset(source), variant.rule, variant.block, training.seed)
    arguments = {"block": variant.block, "size": task.spins.shape[-1]}
    with seeded(derived_seed(training.seed)):
        network = build(variant.network, **arguments)
    with (
        working_folder("coarsen", name, parameters) as folder,
        recorded("coarsen", name, parameters=parameters, inputs=[source]) as record,
    ):
        found = train(network, task, training, record, folder)
        recipe = Recipe(variant.network, arguments, parameters)
        measure(name, network, task, found, record)
        save_model(weights, network, recipe)  # last, so that the weights and their record change together
        record.model(weights, metric="test/mse", **_competition(variant, network))


def _competition(variant: Variant, network: nn.Module) -> dict[str, Any]:
    """What its error can be compared with, and the lattices it takes."""
    side = getattr(network, "size", None)  # of a network that is bound to one lattice
    return {
        "task": f"{variant.rule} of {variant.block} x {variant.block} blocks",
        "contender": (variant.rule, variant.block) == REPORT_TASK,
        "takes": [-1, side, side] if side else [-1, -1, -1],
        "gives": [-1, side // variant.block, side // variant.block] if side else [-1, -1, -1],
    }


def train(network: nn.Module, task: CoarseTask, training: TrainingParams, record: Recorder, folder: Path) -> Fit:
    """Train in place, with live epochs; an interrupted training goes on from `folder`."""

    def on_epoch(epoch: Epoch) -> None:
        losses = {"train_loss": epoch.train_loss, "validation_loss": epoch.validation_loss}
        record.epoch(epoch.epoch, **losses, learning_rate=epoch.learning_rate)

    settings = Settings(**training.model_dump())
    train_pair, validation_pair = task.pair(task.split.train), task.pair(task.split.validation)
    return fit(network, train_pair, validation_pair, settings, on_epoch=on_epoch, checkpoint=folder)


def measure(name: str, network: nn.Module, task: CoarseTask, found: Fit, record: Recorder) -> None:
    """Put errors on the validation and the test configurations, and figures, into the record."""
    parts = {"validation": task.split.validation, "test": task.split.test}
    for part, rows in parts.items():
        record.metrics({part: errors(predict(network, task.spins[rows]), task.target[rows])})
    parameters = sum(weights.numel() for weights in network.parameters())
    record.metrics({"parameters": parameters} | found.metrics())
    draw_history(record, found.history, name if task.rule == "threshold" else None)
    shown = np.sort(task.split.test)[:: max(1, len(task.split.test) // 3)][:3]
    draw_predictions(record, task.spins[shown], task.target[shown], {"prediction": predict(network, task.spins[shown])})
