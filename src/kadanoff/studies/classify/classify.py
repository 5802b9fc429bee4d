"""Stage `classify`: an image model learns the temperature regions of every system; models/classify/MODEL."""

import shutil
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pydantic import Field

from kadanoff.data.store import open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.learning.parameters import TunedParams
from kadanoff.phases.models import Model, physics_weights
from kadanoff.phases.regions import REGIONS
from kadanoff.phases.scores import confusion
from kadanoff.phases.trials import LABELLED, NETWORK, Setup, Task, Trial, run
from kadanoff.project.params import section
from kadanoff.project.records import Recorder, recorded
from kadanoff.project.records.dvclock import file_md5
from kadanoff.runtime.executor import in_processes
from kadanoff.runtime.files import disk_errors, fingerprint, replace_folder, working_folder
from kadanoff.studies.classify.figures import draw_confusions, draw_curve, draw_history
from kadanoff.studies.classify.models import read_model, read_systems
from kadanoff.studies.classify.scores import (
    EQUILIBRIUM,
    Labels,
    curves,
    main,
    mean_score,
    nested,
    network_rows,
    on_own_system,
    scatter_of_trials,
    transfer,
)
from kadanoff.validation import Name, Section, Seed, validated

SCORES = "scores.csv"
LOSSES = ("train_loss", "validation_loss")


class Curve(Section):
    """Where the learning curve is measured, and with how many labelled images; the last point is Table 1's 600."""

    protocol: Name
    system: Name
    images: list[int] = Field(min_length=1, max_length=1000)


class Params(Section):
    """The section `classify`, but for `systems`, `models` and `training`; `at_once` trials share a GPU."""

    protocols: list[Name] = Field(min_length=1)
    trials: int = Field(gt=0, le=1000)
    at_once: int = Field(gt=0, le=1000)
    tests: int = Field(gt=0, le=1000)
    sizes: dict[Name, list[Name]]
    curve: Curve
    seed: Annotated[Seed, Field(lt=1 << 32)]  # which scikit-learn takes


def read_params(root: Path) -> Params:
    """What all models share; KadanoffError if a key breaks a rule."""
    apart = ("systems", "models", "training")
    raw = {key: value for key, value in section(root, "classify").items() if key not in apart}
    given = validated(Params, raw, "classify")
    if max(given.curve.images) >= LABELLED or min(given.curve.images) < len(REGIONS):
        raise KadanoffError(
            f"classify.curve.images is {given.curve.images}; each is at least {len(REGIONS)} and below {LABELLED}, the "
            "last point in any case."
        )
    systems = read_systems(root)
    for key, names in (("curve.system", [given.curve.system]), ("sizes", list(given.sizes))):
        for name in names:
            if name not in systems:
                raise KadanoffError(f"classify.{key} has {name!r}; take one of classify.systems: {', '.join(systems)}.")
    return given


def parameters_of(root: Path, model: Model, training: TunedParams, given: Params) -> dict[str, Any]:
    """Everything that the result depends on."""
    systems = {name: system.model_dump() for name, system in read_systems(root).items()}
    return model.model_dump() | given.model_dump() | training.model_dump() | {"systems": systems}


def classify(root: Path, name: str) -> None:
    """Train an image model on the temperature regions of every system into models/classify/MODEL."""
    model, training = read_model(root, name)
    given = read_params(root)
    parameters, systems = parameters_of(root, model, training, given), tuple(read_systems(root))
    protocols = model.protocols or given.protocols
    target = root / "models" / "classify" / name
    with working_folder("classify", name, parameters) as folder:
        setup = Setup(
            root=root,
            folder=folder,
            model=model,
            training=training,
            physics=physics_weights(root, name),
            systems=systems,
            sizes={system: tuple(names) for system, names in given.sizes.items()},
            tests=given.tests,
            seed=given.seed,
        )
        inputs = _inputs(setup, protocols, given.curve)
        setup = replace(setup, folder=folder / _origin(inputs))
        setup.folder.mkdir(exist_ok=True)
        with recorded("classify", name, parameters=parameters, inputs=inputs) as record:
            trials = _run_all(setup, _tasks(setup, given, protocols), given.at_once)
            labels = _labels(setup, protocols, given.curve)
            scores = pd.DataFrame(network_rows(name, trials, labels))
            _record(record, setup, trials, labels, scores, given, protocols[0])
            _save(setup, trials, scores, target)
            record.model(
                target / f"{protocols[0]}_{systems[0]}.safetensors",
                metric=f"{protocols[0]}/mean_error",
                task=f"regions of {len(systems)} systems, {protocols[0]}",
                contender=protocols[0] == EQUILIBRIUM,
                takes=[-1, -1, -1],
                gives=[-1, len(REGIONS)],
            )


def _inputs(setup: Setup, protocols: list[str], curve: Curve) -> list[Path]:
    """Datasets, and the pre-trained weights if they are there."""
    sizes = [setup.root / "data" / "classify" / f"{name}.zarr" for names in setup.sizes.values() for name in names]
    data = [setup.dataset(system, protocol) for protocol in protocols for system in setup.systems]
    data = list(dict.fromkeys([*data, setup.dataset(curve.system, curve.protocol)]))
    return [*data, *sizes, *([setup.physics] if setup.physics.exists() else [])]


def _origin(inputs: list[Path]) -> str:
    """Names a folder of trials: those of other data or weights must not be resumed."""
    known = [file_md5(path) if path.is_file() else open_dataset(path).provenance for path in inputs]
    return fingerprint(known)


def _tasks(setup: Setup, given: Params, protocols: list[str]) -> list[Task]:
    """All trials, the longest first, so that no core waits for the last of them."""
    model, curve, trials = setup.model, given.curve, range(given.trials)
    main = [Task(p, s, model.weights, LABELLED, t) for p in protocols for s in setup.systems for t in trials]
    learning = [
        Task(curve.protocol, curve.system, weights, images, t)
        for images in sorted({*curve.images, LABELLED}, reverse=True)
        for weights in model.compare
        for t in trials
    ]
    return list(dict.fromkeys([*main, *learning]))


def _run_all(setup: Setup, tasks: list[Task], at_once: int) -> dict[Task, Trial]:
    """A process a core; on a GPU `at_once` of them, each with its share."""
    count = min(at_once, len(tasks)) if torch.cuda.is_available() else len(tasks)
    shares = [tasks[number::count] for number in range(count)]
    found = in_processes("classify", partial(_run_share, setup), [(share,) for share in shares])
    known: dict[Task, Trial] = {}
    for share, trials in zip(shares, found, strict=True):
        known |= zip(share, trials, strict=True)
    return {task: known[task] for task in tasks}


def _run_share(setup: Setup, tasks: list[Task]) -> list[Trial]:
    return [run(setup, task) for task in tasks]


def _record(
    record: Recorder,
    setup: Setup,
    trials: dict[Task, Trial],
    labels: Labels,
    scores: pd.DataFrame,
    given: Params,
    protocol: str,
) -> None:
    learning = curves(scores, given.curve.protocol, given.curve.system)
    record.metrics(_metrics(scores, setup, trials, learning))
    first = {s: trials[Task(protocol, s, setup.model.weights, LABELLED, 0)].fit.history for s in setup.systems}
    for number, epochs in enumerate(zip(*first.values(), strict=False), 1):
        losses = zip(setup.systems, epochs, strict=True)
        record.epoch(number, **{f"{s}_{key}": getattr(epoch, key) for s, epoch in losses for key in LOSSES})
    if max(map(len, first.values())) > 1:
        draw_history(record, first)
    draw_confusions(record, {s: _confusions(setup, trials, labels, protocol, s) for s in setup.systems})
    if learning.images.nunique() > 1:
        draw_curve(record, learning)


def _labels(setup: Setup, protocols: list[str], curve: Curve) -> dict[tuple[str, str], NDArray[np.int64]]:
    pairs = {*product(protocols, setup.systems), (curve.protocol, curve.system)}
    found = {pair: np.array([each.labels for each in setup.microstates(*pair[::-1]).tests]) for pair in sorted(pairs)}
    sizes = {
        (EQUILIBRIUM, name): setup.size_test(name).labels[None] for names in setup.sizes.values() for name in names
    }
    return found | sizes


def _metrics(scores: pd.DataFrame, setup: Setup, trials: dict[Task, Trial], learning: pd.DataFrame) -> dict[str, Any]:
    starts = dict.fromkeys(scores.model, setup.model.weights)
    moved = transfer(scores, starts)
    moved = moved[moved.system != moved.tested_on]
    resized = moved.tested_on.isin([name for names in setup.sizes.values() for name in names])
    found: dict[str, Any] = {}
    for (protocol, system), group in main(on_own_system(scores), starts).groupby(["protocol", "system"], sort=False):
        task = Task(str(protocol), str(system), setup.model.weights, LABELLED, 0)
        found.setdefault(protocol, {})[system] = {
            "macro_f1": mean_score(group),
            "scatter_of_trials": scatter_of_trials(group),
            "training": trials[task].fit.metrics(),
        }
    for protocol, systems in found.items():
        mean = sum(row["macro_f1"] for row in systems.values()) / len(systems)
        here = moved[(moved.protocol == protocol) & ~resized]
        found[protocol] = systems | {"mean_error": 1 - mean, "transfer": nested(here, ["system", "tested_on"])}
    points = learning.assign(
        start=learning.start.str.replace("/", "_"), images=[f"images={count}" for count in learning.images]
    )
    return found | {
        "sizes": nested(moved[resized], ["tested_on"]),
        "curve": nested(points, ["start", "images"]),
        "parameters": next(trial.parameters for trial in trials.values()),
    }


def _confusions(setup: Setup, trials: dict[Task, Trial], labels: Labels, protocol: str, system: str) -> NDArray:
    """Of all main trials and test sets."""
    wanted = {"protocol": protocol, "system": system, "weights": setup.model.weights, "images": LABELLED}
    predicted = [trial.tests for task, trial in trials.items() if wanted.items() <= task._asdict().items()]
    return confusion(np.broadcast_to(labels[protocol, system], np.shape(predicted)), predicted)


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
