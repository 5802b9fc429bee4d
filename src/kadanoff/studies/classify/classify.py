"""Stage `classify`: an image model learns the temperature regions of every system; models/classify/MODEL."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field

from kadanoff.data.store import open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.learning.parameters import TunedParams
from kadanoff.phases.models import Model, physics_weights
from kadanoff.phases.regions import REGIONS
from kadanoff.phases.trials import LABELLED, NETWORK, Bench, Task, Trial, run, save_predictions
from kadanoff.project.params import section
from kadanoff.project.records import Recorder, recorded
from kadanoff.project.records.dvclock import file_md5
from kadanoff.runtime.executor import in_processes
from kadanoff.runtime.files import disk_errors, fingerprint, replace_folder, working_folder
from kadanoff.studies.classify.figures import draw_confusions, draw_curve, draw_history
from kadanoff.studies.classify.models import read_model, read_systems
from kadanoff.studies.classify.scores import Scores, score
from kadanoff.validation import Name, Section, Seed, validated

PREDICTIONS = "predictions.safetensors"


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
        bench = Bench(
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
        inputs = _inputs(bench, protocols, given.curve)
        bench = replace(bench, folder=folder / _origin(inputs))
        bench.folder.mkdir(exist_ok=True)
        with recorded("classify", name, parameters=parameters, inputs=inputs) as record:
            trials = _run_all(bench, _tasks(bench, given, protocols), given.at_once)
            scores = score(bench, trials, (given.curve.protocol, given.curve.system))
            _record(record, bench, trials, scores, protocols)
            _save(bench, trials, target)
            record.model(
                target / f"{protocols[0]}_{systems[0]}.safetensors",
                metric=f"{protocols[0]}/mean_error",
                task=f"regions of {len(systems)} systems, {protocols[0]}",
                contender=protocols[0] == "equilibrium",
                takes=[-1, -1, -1],
                gives=[-1, len(REGIONS)],
            )


def _inputs(bench: Bench, protocols: list[str], curve: Curve) -> list[Path]:
    """Datasets, and the pre-trained weights if they are there."""
    sizes = [bench.root / "data" / f"{name}.zarr" for names in bench.sizes.values() for name in names]
    data = [bench.dataset(system, protocol) for protocol in protocols for system in bench.systems]
    data = list(dict.fromkeys([*data, bench.dataset(curve.system, curve.protocol)]))
    return [*data, *sizes, *([bench.physics] if bench.physics.exists() else [])]


def _origin(inputs: list[Path]) -> str:
    """Names a folder of trials: those of other data or weights must not be gone on from."""
    known = [file_md5(path) if path.is_file() else open_dataset(path).provenance for path in inputs]
    return fingerprint(known)


def _tasks(bench: Bench, given: Params, protocols: list[str]) -> list[Task]:
    """All trials, the longest first, so that no core waits for the last of them."""
    model, curve, trials = bench.model, given.curve, range(given.trials)
    main = [Task(p, s, model.weights, LABELLED, t) for p in protocols for s in bench.systems for t in trials]
    learning = [
        Task(curve.protocol, curve.system, weights, images, t)
        for images in sorted({*curve.images, LABELLED}, reverse=True)
        for weights in model.compare
        for t in trials
    ]
    return list(dict.fromkeys([*main, *learning]))


def _run_all(bench: Bench, tasks: list[Task], at_once: int) -> dict[Task, Trial]:
    """A process a core; on a GPU `at_once` of them, each with its share."""
    count = min(at_once, len(tasks)) if torch.cuda.is_available() else len(tasks)
    shares = [tasks[number::count] for number in range(count)]
    found = in_processes("classify", partial(_run_share, bench), [(share,) for share in shares])
    known: dict[Task, Trial] = {}
    for share, trials in zip(shares, found, strict=True):
        known |= zip(share, trials, strict=True)
    return {task: known[task] for task in tasks}


def _run_share(bench: Bench, tasks: list[Task]) -> list[Trial]:
    return [run(bench, task) for task in tasks]


def _record(record: Recorder, bench: Bench, trials: dict[Task, Trial], scores: Scores, protocols: list[str]) -> None:
    first = next(task for task in trials if task.shown)
    for number, rows in enumerate(
        zip(*(_history(bench, trials, protocols[0], s) for s in bench.systems), strict=False)
    ):
        losses = {f"{s}_{key}": value for s, row in zip(bench.systems, rows, strict=True) for key, value in row.items()}
        record.epoch(number + 1, **losses)
    record.metrics(scores.metrics() | {"parameters": trials[first].parameters})
    draw_history(record, {system: _history(bench, trials, protocols[0], system) for system in bench.systems})
    draw_confusions(record, scores.confusions[protocols[0]])
    draw_curve(record, scores.curve)


def _history(bench: Bench, trials: dict[Task, Trial], protocol: str, system: str) -> list[dict[str, float]]:
    """Losses of the first trial."""
    epochs = trials[Task(protocol, system, bench.model.weights, LABELLED, 0)].fit.history
    return [{"train_loss": epoch.train_loss, "validation_loss": epoch.validation_loss} for epoch in epochs]


def _save(bench: Bench, trials: dict[Task, Trial], target: Path) -> None:
    """The networks of first trials, and what all of them said of the test sets."""
    finished = bench.folder / "finished"
    with disk_errors(target):
        shutil.rmtree(finished, ignore_errors=True)  # left by a run that was killed while writing
        finished.mkdir()
        for task in trials:
            if task.shown and task.weights == bench.model.weights:
                shutil.copy(bench.folder / task.name / NETWORK, finished / f"{task.protocol}_{task.system}.safetensors")
        save_predictions(finished / PREDICTIONS, trials)
        replace_folder(finished, target)
