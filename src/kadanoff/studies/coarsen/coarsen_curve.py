"""Stage `coarsen_curve`: the same networks on more and more configurations. Does the perceptron fail, or starve?"""

import math
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from kadanoff.data.store import open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.learning.data import CoarseTask, coarse_task
from kadanoff.learning.fit import fit
from kadanoff.learning.metrics import site_errors
from kadanoff.learning.parameters import TrainingParams
from kadanoff.learning.predict import predict
from kadanoff.learning.randomness import derived_seed, seeded
from kadanoff.learning.training import Settings
from kadanoff.networks.registry import build
from kadanoff.project.params import entry
from kadanoff.project.records import recorded
from kadanoff.runtime.executor import in_processes
from kadanoff.runtime.files import working_folder
from kadanoff.studies.coarsen.figures import draw_curve
from kadanoff.validation import Name, Section

VALIDATION = 160  # configurations, as in the report


class Curve(Section):
    """The section `coarsen_curve`."""

    dataset: Name
    rule: str
    block: int = Field(gt=1)
    configurations: list[Annotated[int, Field(gt=1)]] = Field(min_length=1)
    steps: dict[str, Annotated[int, Field(gt=0)]] = Field(min_length=1)


Point = tuple[Estimate, Estimate]  # mean squared error per site on the training and the test configurations


def coarsen_curve(root: Path) -> None:
    """Train on more and more configurations: does the perceptron fail, or is it data-limited?"""
    curve = entry(root, Curve, "coarsen_curve")
    training = entry(root, TrainingParams, "coarsen", "training")
    source = root / "data" / f"{curve.dataset}.zarr"
    parameters = curve.model_dump() | training.model_dump()
    task = coarse_task(open_dataset(source), curve.rule, curve.block, training.seed)
    for name in curve.steps:
        build(name, block=curve.block, size=task.spins.shape[-1])  # refuses now what it would refuse later
    available = len(task.split.train)
    if max(curve.configurations) > available:
        raise KadanoffError(
            f"coarsen_curve.configurations asks for {max(curve.configurations)} configurations, but {source} has "
            f"{available} to train on. Raise datasets.{curve.dataset}.samples, or ask for fewer."
        )
    with (
        working_folder("coarsen_curve", "all", parameters) as folder,
        recorded("coarsen_curve", parameters=parameters, inputs=[source]) as record,
    ):
        # the longest first, so that no core waits for the last of them
        tasks = [(name, count) for count in sorted(curve.configurations, reverse=True) for name in curve.steps]
        found = in_processes("coarsen_curve", partial(_train, task, curve, training, folder), tasks)
        points: dict[str, dict[int, Point]] = {name: {} for name in curve.steps}
        for (name, count), point in sorted(zip(tasks, found, strict=True), key=lambda item: item[0]):
            points[name][count] = point
        record.metrics({name: _numbers(line) for name, line in points.items()})
        draw_curve(record, points)


def _train(task: CoarseTask, curve: Curve, training: TrainingParams, folder: Path, name: str, count: int) -> Point:
    """Train one network on the first `count` configurations, for at most the same number of steps at every count."""
    rows = task.split.train[:count]
    epochs = math.ceil(curve.steps[name] / math.ceil(count / training.batch_size))
    # epochs differ in length: the schedule waits for shares of the whole training, as in 50 epochs of the report
    shares = training.plateau_patience / training.epochs, training.early_stopping_patience / training.epochs
    plateau, stop = (max(1, math.ceil(share * epochs)) for share in shares)
    steps = {"epochs": epochs, "plateau_patience": plateau, "early_stopping_patience": stop}
    settings = Settings(**(training.model_dump() | steps))
    with seeded(derived_seed(training.seed)):
        network = build(name, block=curve.block, size=task.spins.shape[-1])
    checkpoint = folder / f"{name}-{count}"
    checkpoint.mkdir(exist_ok=True)
    validation = task.pair(task.split.validation[:VALIDATION])
    fit(network, task.pair(rows), validation, settings, checkpoint=checkpoint)
    seen, unseen = (
        site_errors(predict(network, task.spins[chosen]), task.target[chosen])["mse"]
        for chosen in (rows, task.split.test)
    )
    return seen, unseen


def _numbers(points: dict[int, Point]) -> dict[str, Any]:
    return {
        f"configurations={count}": {"train_mse": seen, "test_mse": unseen} for count, (seen, unseen) in points.items()
    }
