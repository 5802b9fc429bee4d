"""One trial: an image model is tuned to one system, and tested on sets that it has never seen.

A finished trial is a small file in the working folder, so that a stage resumes in the middle of any of them.
"""

import json
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from kadanoff.data.store import open_dataset
from kadanoff.learning.checkpoints import Recipe, load_model, save_model
from kadanoff.learning.fit import Fit
from kadanoff.learning.parameters import TunedParams
from kadanoff.learning.pretrained import NONE, PHYSICS, initial
from kadanoff.learning.processor import fast_precision, torch_threads
from kadanoff.learning.randomness import derived_seed, seeded
from kadanoff.learning.training import Epoch, Settings
from kadanoff.phases.classifiers import check, regions_of, tune
from kadanoff.phases.microstates import Datasets
from kadanoff.phases.models import FineTuning, Model
from kadanoff.phases.probe import probe
from kadanoff.phases.regions import EQUILIBRIUM, LABELLED, REGIONS
from kadanoff.phases.scores import confusion, score_rows
from kadanoff.runtime.files import write_atomic
from kadanoff.validation import validated

NETWORK, RESULT = "network.safetensors", "result.json"


class Task(NamedTuple):
    """What a trial is trained on, and from which weights."""

    protocol: str
    system: str
    weights: str
    images: int
    trial: int

    @property
    def name(self) -> str:
        """As a folder: a hash stands for what a path of weights may hold."""
        return f"{self.protocol}-{self.system}-{zlib.crc32(self.weights.encode()):08x}-{self.images}-{self.trial}"

    @property
    def kept(self) -> bool:
        """Whether its network is kept, and tested on other systems and sizes too: the first trial with all images."""
        return self.trial == 0 and self.images == LABELLED


@dataclass(frozen=True)
class Setup:
    """What all trials of a model share: where its data and weights are, and how it is trained.

    `sizes` are datasets of another size, by their system.
    """

    data: Datasets
    folder: Path
    model: Model
    training: FineTuning
    physics: Path
    systems: tuple[str, ...]
    sizes: Mapping[str, list[str]]


@dataclass(frozen=True)
class Trial:
    """What a trained network scores, as `score_rows` makes it, `tested_on` its own test sets, other systems and sizes.

    `confusion` (4, 4) counts the images [true region, predicted region] of its own test sets.
    """

    scores: list[dict[str, Any]]
    confusion: list[list[int]]
    fit: Fit
    parameters: int


def run(setup: Setup, task: Task) -> Trial:
    """Run a trial, or read what an earlier run of it has left."""
    folder = setup.folder / task.name
    if (found := _read(folder / RESULT)) is not None:
        return found
    folder.mkdir(exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch_threads(1 if device.type == "cpu" else torch.get_num_threads()):  # a process a core
        trial = _trained(setup, task, folder, device)
    write_atomic(folder / RESULT, json.dumps(asdict(trial)))
    for path in folder.iterdir():  # the result takes the place of everything that was needed to make it
        if path.name != RESULT and not (task.kept and path.name == NETWORK):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return trial


def _trained(setup: Setup, task: Task, folder: Path, device: torch.device) -> Trial:
    states = setup.data.sets(task.system, task.protocol)
    train = states.train[: task.images]
    seed = derived_seed(setup.training.seed, zlib.crc32(task.name.encode()))
    with seeded(seed):
        arguments = setup.model.arguments(len(REGIONS), train.spins.shape[-1])
        network, recipe = initial(setup.model.library, arguments, task.weights, setup.physics)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third less time for convolutions
    check(network, train, states.validation)
    sizes = setup.sizes.get(task.system, []) if task.kept else []
    for name in sizes:
        network.check(*open_dataset(setup.data.size(name)).spins.shape[2:])
    if task.weights != NONE:
        network.keep_statistics = task.weights == PHYSICS
        reader = load_model(setup.physics) if task.weights == PHYSICS else None
        with _inference(setup, device):
            probe(network, train, states.validation, derived_seed(seed, 0, 3), device, reader)
    fitted = tune(network, train, states.validation, _settings(setup, task, seed, device), device.type, folder)
    made = task._asdict() | {"dataset": setup.data.path(task.system, task.protocol).name, "seed": seed}
    save_model(folder / NETWORK, network, Recipe(recipe.network, recipe.arguments, made))
    network.to(device)
    others = {}
    if task.kept:
        systems = (system for system in setup.systems if system != task.system)
        others = {system: setup.data.sets(system, task.protocol).tests[:1] for system in systems}
    if task.kept and task.protocol == EQUILIBRIUM:
        others |= {name: [setup.data.test(name)] for name in sizes}
    with _inference(setup, device):
        own, *elsewhere = (
            [regions_of(network, images.spins, device) for images in tests]
            for tests in (states.tests, *others.values())
        )
    scores = score_rows(states.tests, own, tested_on=task.system)
    for (name, tests), predicted in zip(others.items(), elsewhere, strict=True):
        scores += score_rows(tests, predicted, tested_on=name)
    counts = confusion(np.concatenate([images.labels for images in states.tests]), np.concatenate(own))
    return Trial(scores, counts.tolist(), fitted, sum(item.numel() for item in network.parameters()))


def _inference(setup: Setup, device: torch.device) -> torch.autocast:
    """What learns nothing: on a GPU in float16, with as many bits as TF32; else as the network is trained.

    Training must not be inside: autocast would go on with the weights that it has cast first.
    """
    if device.type == "cuda":
        return torch.autocast("cuda", torch.float16)
    reduced = fast_precision(setup.training.precision, device) == "bfloat16"
    return torch.autocast("cpu", torch.bfloat16, enabled=reduced)


def _settings(setup: Setup, task: Task, seed: int, device: torch.device) -> Settings:
    own = setup.model.scratch if task.weights == NONE else {}
    training = validated(TunedParams if own else FineTuning, setup.training.model_dump() | own, "scratch")
    given = training.model_dump() | {"seed": seed, "optimizer": "adamw"}
    return Settings(**given | {"precision": fast_precision(training.precision, device)})


def _read(path: Path) -> Trial | None:
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError):  # not there yet, or cut short by a power failure
        return None
    fit = known.pop("fit")
    return Trial(**known, fit=Fit(tuple(Epoch(**epoch) for epoch in fit["history"]), Epoch(**fit["best"])))
