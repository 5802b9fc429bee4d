"""Stage `coarsen_curve`: the same networks on more and more configurations. Does the perceptron fail, or starve?"""

import math
from pathlib import Path
from typing import Any

from pydantic import Field

from kadanoff.errors import KadanoffError
from kadanoff.lab.figures import figure
from kadanoff.lab.files import working_folder
from kadanoff.lab.params import Section, Training, entry
from kadanoff.lab.progress import progress
from kadanoff.lab.records import Recorder, recorded
from kadanoff.lab.store import open_dataset
from kadanoff.learning.apply import predict
from kadanoff.learning.data import CoarseTask, coarse_task
from kadanoff.learning.fit import Settings, fit
from kadanoff.learning.metrics import site_errors
from kadanoff.learning.randomness import derived_seed, seeded
from kadanoff.networks.registry import build
from kadanoff.spins.statistics import Estimate

VALIDATION = 160  # configurations, as in the report


class Curve(Section):
    """The section `coarsen_curve`."""

    dataset: str
    networks: list[str] = Field(min_length=1)
    block: int = Field(gt=1)
    configurations: list[int] = Field(min_length=1)
    steps: int = Field(gt=0)


Point = tuple[Estimate, Estimate]  # mean squared error per site on the training and the test configurations


def coarsen_curve(root: Path) -> None:
    """Write the record reports/coarsen_curve."""
    curve = entry(root, Curve, "coarsen_curve")
    training = entry(root, Training, "coarsen", "training")
    source = root / "data" / f"{curve.dataset}.zarr"
    parameters = curve.model_dump() | training.model_dump()
    task = coarse_task(open_dataset(source), curve.block, training.seed)
    available = len(task.split.train)
    if max(curve.configurations) > available:
        raise KadanoffError(
            f"coarsen_curve.configurations asks for {max(curve.configurations)} configurations, but {source} has "
            f"{available} to train on. Raise datasets.{curve.dataset}.samples, or ask for fewer."
        )
    with (
        working_folder("coarsen_curve", "all", parameters) as folder,
        recorded("coarsen_curve", parameters=parameters, inputs=[source]) as record,
        progress("coarsen_curve", len(curve.networks) * len(curve.configurations)) as advance,
    ):
        points: dict[str, dict[int, Point]] = {name: {} for name in curve.networks}
        for count in curve.configurations:
            for name in curve.networks:
                points[name][count] = _train(name, count, task, curve, training, folder)
                advance()
            record.epoch(count, **{f"{name}_test_mse": points[name][count][1].mean for name in curve.networks})
        record.metrics({name: _numbers(found) for name, found in points.items()})
        _draw(record, points)


def _train(name: str, count: int, task: CoarseTask, curve: Curve, training: Training, folder: Path) -> Point:
    """Train one network on the first `count` configurations, for the same number of steps whatever the count."""
    rows = task.split.train[:count]
    per_epoch = math.ceil(len(rows) / training.batch_size)
    # epochs differ in length: the schedule waits for the same number of steps, and nothing stops early
    patience = max(1, curve.steps // (10 * per_epoch))
    epochs = math.ceil(curve.steps / per_epoch)
    steps = {"epochs": epochs, "plateau_patience": patience, "early_stopping_patience": epochs}
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


def _draw(record: Recorder, points: dict[str, dict[int, Point]]) -> None:
    with figure(figsize=(5.4, 3.8)) as (drawn, axis):
        for colour, (name, found) in enumerate(points.items()):
            for part, (label, style) in enumerate((("training", "o--"), ("test", "o-"))):
                values = [point[part].mean for point in found.values()]
                bars = [point[part].error for point in found.values()]
                filled = {} if part else {"mfc": "white"}
                axis.errorbar(
                    list(found), values, bars, fmt=style, ms=5, color=f"C{colour}", label=f"{name}, {label}", **filled
                )
        axis.set(xscale="log", yscale="log", xlabel="training configurations", ylabel="mean squared error per site")
        axis.legend(ncols=2)
        record.figure("learning_curve", drawn)
