"""Stage `coarsen_curve`: the same networks on more and more configurations: does the perceptron fail, or lack data?"""

import math
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from kadanoff.data.store import open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.learning.coarse import coarse_task, site_errors
from kadanoff.learning.fit import fit
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


def coarsen_curve(root: Path) -> None:
    """Train on more and more configurations: does the perceptron fail, or is it data-limited?"""
    curve = entry(root, Curve, "coarsen_curve")
    training = entry(root, TrainingParams, "coarsen", "training")
    source = root / "data" / "coarsen" / f"{curve.dataset}.zarr"
    parameters = curve.model_dump() | training.model_dump()
    ensemble = open_dataset(source)
    task = coarse_task(ensemble, curve.rule, curve.block, training.seed)
    for name in curve.steps:
        build(name, block=curve.block, size=task.spins.shape[-1])  # refuses now what it would refuse later
    available = len(task.split.train)
    if max(curve.configurations) > available:
        raise KadanoffError(
            f"coarsen_curve.configurations asks for {max(curve.configurations)} configurations, but {source} has "
            f"{available} to train on. Raise datasets.coarsen.{curve.dataset}.samples, or ask for fewer."
        )
    with (
        working_folder("coarsen_curve", "all", parameters, ensemble.provenance) as folder,
        recorded("coarsen_curve", parameters=parameters, inputs=[source]) as record,
    ):
        # the longest first, so that no core waits for the last of them
        tasks = list(product(sorted(curve.steps, key=curve.steps.__getitem__, reverse=True), curve.configurations))
        points = pd.DataFrame(
            in_processes("coarsen_curve", partial(_train, source, curve, training, folder), tasks, folder)
        )
        points = points.sort_values(["network", "configurations"])
        errors = points.set_index("configurations").rename("configurations={}".format).drop(columns="network")
        record.metrics({name: rows.to_dict("index") for name, rows in errors.groupby(points.network.to_numpy())})
        most = f"configurations={max(curve.configurations)}/test_mse"
        places = {f"{name}_test_mse": f"{name}/{most}" for name in curve.steps}
        each = ", ".join(f"{name} {{{place}}}" for name, place in zip(curve.steps, places, strict=True))
        record.summary(
            f"Mean squared error per site after training on {max(curve.configurations):,} configurations: {each}.",
            "learning_curve",
            **places,
        )
        record.comparison(points, ["network", "configurations"], ["test_mse", "train_mse"])
        draw_curve(record, points)


def _train(source: Path, curve: Curve, training: TrainingParams, folder: Path, name: str, count: int) -> dict[str, Any]:
    """Train one network on the first `count` configurations, for at most the same number of steps at every count."""
    task = coarse_task(open_dataset(source), curve.rule, curve.block, training.seed)
    rows = task.split.train[:count]
    epochs = math.ceil(curve.steps[name] / math.ceil(count / training.batch_size))
    # epochs differ in length: the schedule waits for the same shares of the whole training as in the report
    waits = {
        key: max(1, math.ceil(getattr(training, key) / training.epochs * epochs))
        for key in ("plateau_patience", "early_stopping_patience")
    }
    settings = Settings(**(training.model_dump() | waits | {"epochs": epochs}))
    with seeded(derived_seed(training.seed)):
        network = build(name, block=curve.block, size=task.spins.shape[-1])
    checkpoint = folder / f"{name}-{count}"
    checkpoint.mkdir(exist_ok=True)
    validation = task.pair(task.split.validation[:VALIDATION])
    fit(network, task.pair(rows), validation, settings, checkpoint=checkpoint)
    parts = {"train_mse": rows, "test_mse": task.split.test}
    return {"network": name, "configurations": count} | {
        part: site_errors(predict(network, task.spins[chosen]), task.target[chosen])["mse"]
        for part, chosen in parts.items()
    }
