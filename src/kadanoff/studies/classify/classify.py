"""Stage `classify`: an image model learns the temperature regions of every system; models/classify/MODEL."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import ConfusionMatrixDisplay

from kadanoff.data.store import open_dataset
from kadanoff.phases.models import Model, physics_weights
from kadanoff.phases.regions import EQUILIBRIUM, LABELLED, REGIONS
from kadanoff.phases.trials import NETWORK, Setup, Task, Trial, run
from kadanoff.project.figures import figure
from kadanoff.project.records import Recorder, recorded
from kadanoff.project.records.dvclock import file_md5
from kadanoff.runtime.executor import in_processes
from kadanoff.runtime.files import disk_errors, replace_folder, working_folder
from kadanoff.studies.classify import scores as of
from kadanoff.studies.classify.params import Params, read_model, read_params

SCORES = "scores.csv"


def classify(root: Path, name: str) -> None:
    """Train an image model on the temperature regions of every system into models/classify/MODEL."""
    (model, training), given = read_model(root, name), read_params(root)
    protocols, systems, data = model.protocols or given.protocols, tuple(given.systems), given.data(root)
    parameters = model.model_dump() | given.model_dump() | training.model_dump()
    physics, target = physics_weights(root, name), root / "models" / "classify" / name
    pairs = [(system, protocol) for protocol in protocols for system in systems]
    paths = [data.path(*pair) for pair in dict.fromkeys([*pairs, (given.curve.system, given.curve.protocol)])]
    paths += [data.size(size) for sizes in given.sizes.values() for size in sizes]
    weights = [physics] if physics.exists() else []
    # trials of other data or weights must not be resumed
    origins = [open_dataset(path).provenance for path in paths], [file_md5(path) for path in weights]
    with (
        working_folder("classify", name, parameters, origins) as folder,
        recorded("classify", name, parameters=parameters, inputs=[*paths, *weights]) as record,
    ):
        setup = Setup(data, folder, model, training, physics, systems, given.sizes)
        trials = _run_all(setup, _tasks(model, given, protocols), given.at_once)
        scores = of.scores_of(name, trials)
        record.metrics(_metrics(scores, model, given, trials))
        places = {f"{system}_macro_f1": f"{protocols[0]}/{system}/macro_f1" for system in systems}
        each = ", ".join(f"{system} {{{place}}}" for system, place in zip(systems, places, strict=True))
        record.summary(f"Macro-F1 of the four temperature regions, {protocols[0]}: {each}.", "confusions", **places)
        first = [trials[Task(protocols[0], system, model.weights, LABELLED, 0)].fit.history for system in systems]
        for epochs in zip(*first, strict=False):
            means = {
                key: np.mean([getattr(epoch, key) for epoch in epochs]) for key in ("train_loss", "validation_loss")
            }
            record.epoch(epochs[0].epoch, **means)
        _draw_confusions(record, {s: _confusion(trials, (protocols[0], s, model.weights, LABELLED)) for s in systems})
        _save(setup, trials, scores, target)
        record.model(
            target / f"{protocols[0]}_{systems[0]}.safetensors",
            metric=f"{protocols[0]}/mean_error",
            task=f"regions of {len(systems)} systems, {protocols[0]}",
            contender=protocols[0] == EQUILIBRIUM,
            takes=[-1, -1, -1],
            gives=[-1, len(REGIONS)],
        )


def _confusion(trials: dict[Task, Trial], group: tuple[str, str, str, int]) -> NDArray[np.int64]:
    """Of all test sets of the trials that have protocol, system, weights and images in common."""
    return np.sum([trial.confusion for task, trial in trials.items() if task[:4] == group], axis=0)


def _tasks(model: Model, given: Params, protocols: list[str]) -> list[Task]:
    """All trials, the longest first, so that no core waits for the last of them."""
    curve, trials = given.curve, range(given.trials)
    tasks = [Task(p, s, model.weights, LABELLED, t) for p in protocols for s in given.systems for t in trials]
    tasks += [
        Task(curve.protocol, curve.system, weights, images, t)
        for images in sorted({*curve.images, LABELLED}, reverse=True)
        for weights in model.compare
        for t in trials
    ]
    return list(dict.fromkeys(tasks))


def _run_all(setup: Setup, tasks: list[Task], at_once: int) -> dict[Task, Trial]:
    """A process a core; on a GPU `at_once` of them, each with its share."""
    count = min(at_once, len(tasks)) if torch.cuda.is_available() else len(tasks)
    shares = [tasks[number::count] for number in range(count)]
    found = in_processes("classify", partial(_run_share, setup), [(share,) for share in shares], setup.folder)
    known = {task: trial for share in found for task, trial in share.items()}
    return {task: known[task] for task in tasks}


def _run_share(setup: Setup, tasks: list[Task]) -> dict[Task, Trial]:
    return {task: run(setup, task) for task in tasks}


def _metrics(scores: pd.DataFrame, model: Model, given: Params, trials: dict[Task, Trial]) -> dict[str, Any]:
    starts = dict.fromkeys(scores.model, model.weights)
    moved = of.transfer(scores, starts)
    moved = moved[moved.system != moved.tested_on]
    resized = ~moved.tested_on.isin(given.systems)
    found: dict[str, Any] = {}
    own = of.main(of.on_own_system(scores), starts)
    for (protocol, system), group in own.groupby(["protocol", "system"], sort=False):
        first = trials[Task(str(protocol), str(system), model.weights, LABELLED, 0)]
        known = {"macro_f1": of.mean_score(group), "scatter_of_trials": of.scatter_of_trials(group)}
        found.setdefault(protocol, {})[system] = known | {"training": first.fit.metrics()}
    for protocol, systems in found.items():
        mean = sum(row["macro_f1"] for row in systems.values()) / len(systems)
        here = moved[(moved.protocol == protocol) & ~resized]
        found[protocol] = systems | {"mean_error": 1 - mean, "transfer": of.nested(here, ["system", "tested_on"])}
    points = of.curves(scores, given.curve.protocol, given.curve.system)
    points = points.assign(start=points.start.str.replace("/", "_"), images=[f"images={n}" for n in points.images])
    return found | {
        "sizes": of.nested(moved[resized], ["tested_on"]),
        "curve": of.nested(points, ["start", "images"]),
        "parameters": next(iter(trials.values())).parameters,
    }


def _save(setup: Setup, trials: dict[Task, Trial], scores: pd.DataFrame, target: Path) -> None:
    """The networks of first trials, and the scores of all."""
    finished = setup.folder / "finished"
    with disk_errors(target):
        shutil.rmtree(finished, ignore_errors=True)  # left by a run that was killed while writing
        finished.mkdir()
        for task in trials:
            if task.kept and task.weights == setup.model.weights:
                shutil.copy(setup.folder / task.name / NETWORK, finished / f"{task.protocol}_{task.system}.safetensors")
        scores.to_csv(finished / SCORES, index=False)
        replace_folder(finished, target)


def _draw_confusions(record: Recorder, confusions: dict[str, NDArray[np.int64]]) -> None:
    """Figure `confusions`: images (4, 4) [true, predicted] in per cent of each true region, a panel per system."""
    names = [name.replace("-critical", "-\ncritical") for name in REGIONS]  # in the width of a cell
    columns, rows = min(2, len(confusions)), -(-len(confusions) // 2)
    with figure(rows, columns, figsize=(1 + 3.3 * columns, 0.6 + 3.3 * rows), squeeze=False) as (drawn, axes):
        for axis in axes.flat[len(confusions) :]:
            axis.axis("off")
        for axis, (system, counts) in zip(axes.flat, confusions.items(), strict=False):
            shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
            shown = ConfusionMatrixDisplay(shares, display_labels=names)
            shown.plot(ax=axis, cmap="Blues", colorbar=False, values_format=".1f", im_kw={"vmin": 0, "vmax": 100})
            axis.set(title=system, xlabel="predicted region", ylabel="true region, %")
            axis.tick_params(labelsize=9)
            axis.label_outer()
        record.figure("confusions", drawn, "Predicted against true temperature region, all trials and test sets")
