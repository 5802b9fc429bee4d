"""Stage `coarsen`: train one network to apply a block rule; models/coarsen/VARIANT.safetensors."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kadanoff.data.store import open_dataset
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.learning.coarse import Coarsener, CoarseTask, coarse_task
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
    ensemble = open_dataset(source)
    task = coarse_task(ensemble, variant.rule, variant.block, training.seed)
    arguments = {"block": variant.block, "size": task.spins.shape[-1]}
    contender = (variant.rule, variant.block) == REPORT_TASK
    with seeded(derived_seed(training.seed)):
        network = build(variant.network, **arguments)
    count = sum(each.numel() for each in network.parameters())
    trained = Coarsener(name, variant.rule, variant.block, variant.dataset, partial(predict, network), count)
    with (
        working_folder("coarsen", name, parameters) as folder,
        recorded("coarsen", name, parameters=parameters, inputs=[source]) as record,
    ):
        found = fit(
            network,
            task.pair(task.split.train),
            task.pair(task.split.validation),
            Settings(**training.model_dump()),
            on_epoch=lambda epoch: record.epoch(**asdict(epoch)),
            checkpoint=folder,
        )
        record.metrics({"parameters": count} | found.metrics())
        draw_history(record, name, found.history, contender)
        record.metrics({part: trained.errors(task, part) for part in ("validation", "test")})
        record.summary(
            f"Network {variant.network} ({count:,} weights), rule {variant.rule} of {variant.block} x {variant.block} "
            "blocks: mean squared error {test_mse} per site on test configurations.",
            "predictions",
            test_mse="test/mse",
            test_mae="test/mae",
            validation_mse="validation/mse",
            weights="parameters",
        )
        _draw_some(record, trained, task, ensemble.temperatures)
        save_model(weights, network, Recipe(variant.network, arguments, parameters))  # last: it changes with its record
        side = getattr(network, "size", None)  # of a network that is bound to one lattice
        record.model(
            weights,
            metric="test/mse",
            task=f"{variant.rule} of {variant.block} x {variant.block} blocks",
            contender=contender,
            takes=[-1, side, side] if side else [-1, -1, -1],
            gives=[-1, side // variant.block, side // variant.block] if side else [-1, -1, -1],
        )


def _draw_some(record: Recorder, trained: Coarsener, task: CoarseTask, temperatures: NDArray[np.float64]) -> None:
    """Three of the test configurations as a figure."""
    count = len(task.split.test)
    rows = np.sort(task.split.test)[count // 6 :: max(1, count // 3)][:3]
    spins, known = task.spins[rows], temperatures[rows * len(temperatures) // len(task.spins)]
    caption = f"Spins, targets, predictions of {trained.name} and their errors, for three test configurations"
    draw_predictions(record, known, spins, task.target[rows], trained.apply(spins), caption)
