"""One trial: an image model is tuned to one system, and predicts test sets that it has never seen.

A finished trial is a small file in the working folder, so that a stage resumes in the middle of any of them.
"""

import json
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from kadanoff.data.store import open_dataset
from kadanoff.learning.checkpoints import Recipe, load_model, save_model, save_weights
from kadanoff.learning.fit import Fit
from kadanoff.learning.parameters import TunedParams
from kadanoff.learning.pretrained import NONE, PHYSICS, initial
from kadanoff.learning.processor import fast_precision, torch_threads
from kadanoff.learning.randomness import derived_seed, seeded
from kadanoff.learning.training import Epoch, Settings
from kadanoff.phases.classifiers import check, regions_of, tune
from kadanoff.phases.microstates import Microstates, draw, draw_tests
from kadanoff.phases.models import FineTuning, Model
from kadanoff.phases.probe import probe
from kadanoff.phases.regions import REGIONS, TRAIN
from kadanoff.validation import validated

NETWORK, RESULT = "network.safetensors", "result.safetensors"
LABELLED = sum(TRAIN)


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
    """What all trials of a model share: where its data and weights are, and how it is trained."""

    root: Path
    folder: Path
    model: Model
    training: FineTuning
    physics: Path
    systems: tuple[str, ...]
    sizes: Mapping[str, tuple[str, ...]]
    tests: int
    seed: int

    def dataset(self, system: str, protocol: str) -> Path:
        """The dataset of a system as a protocol makes it."""
        return self.root / "data" / "classify" / f"classify_{system}_{protocol}.zarr"

    def microstates(self, system: str, protocol: str) -> Microstates:
        """Its sets: the same for all models and trials."""
        return _drawn(self.dataset(system, protocol), self.tests, self.seed)

    def size_test(self, name: str) -> Any:
        """One test set of a dataset of another size."""
        path = self.root / "data" / "classify" / f"{name}.zarr"
        return draw_tests(path, open_dataset(path), 1, self.seed)[0]


@lru_cache(maxsize=4)  # trials of a process take turns among few datasets
def _drawn(path: Path, tests: int, seed: int) -> Microstates:
    return draw(path, open_dataset(path), tests, seed)


@dataclass(frozen=True)
class Trial:
    """What a trained network predicts, int8: `tests` (tests, n), and (n,) for every other system and size."""

    tests: NDArray[np.int8]
    others: dict[str, NDArray[np.int8]]
    fit: Fit
    parameters: int


def run(setup: Setup, task: Task) -> Trial:
    """Run a trial, or read what an earlier run of it has left."""
    folder = setup.folder / task.name
    if (found := _read(folder)) is not None:
        return found
    folder.mkdir(exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch_threads(1 if device.type == "cpu" else torch.get_num_threads()):  # a process a core
        trial = _trained(setup, task, folder, device)
    _write(folder, trial, keep=task.kept)
    return trial


def _trained(setup: Setup, task: Task, folder: Path, device: torch.device) -> Trial:
    states = setup.microstates(task.system, task.protocol)
    train = states.train.first(task.images)
    seed = derived_seed(setup.training.seed, zlib.crc32(task.name.encode()))
    with seeded(seed):
        arguments = setup.model.arguments(len(REGIONS), train.spins.shape[-1])
        network, recipe = initial(setup.model.library, arguments, task.weights, setup.physics)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third less time for convolutions
    check(network, train, states.validation)
    for name in setup.sizes.get(task.system, ()) if task.kept else ():
        network.check(*open_dataset(setup.root / "data" / "classify" / f"{name}.zarr").spins.shape[2:])
    if task.weights != NONE:
        network.keep_statistics = task.weights == PHYSICS
        reader = load_model(setup.physics) if task.weights == PHYSICS else None
        with _inference(setup, device):
            probe(network, train, states.validation, derived_seed(seed, 0, 3), device, reader)
    fitted = tune(network, train, states.validation, _settings(setup, task, seed, device), device.type, folder)
    made = task._asdict() | {"dataset": setup.dataset(task.system, task.protocol).name, "seed": seed}
    save_model(folder / NETWORK, network, Recipe(recipe.network, recipe.arguments, made))
    network.to(device)
    with _inference(setup, device):
        tests = np.stack([regions_of(network, images.spins, device) for images in states.tests])
        others = _elsewhere(setup, task, network, device) if task.kept else {}
    return Trial(tests, others, fitted, sum(item.numel() for item in network.parameters()))


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


def _elsewhere(setup: Setup, task: Task, network: Any, device: torch.device) -> dict[str, NDArray[np.int8]]:
    systems = (system for system in setup.systems if system != task.system)
    images = {f"system/{system}": setup.microstates(system, task.protocol).tests[0] for system in systems}
    if task.protocol == "equilibrium":
        images |= {f"size/{name}": setup.size_test(name) for name in setup.sizes.get(task.system, ())}
    return {name: regions_of(network, found.spins, device) for name, found in images.items()}


def _write(folder: Path, trial: Trial, keep: bool) -> None:
    """Put the result in place of everything that was needed to make it."""
    tensors = {"tests": trial.tests} | trial.others
    known = json.dumps(asdict(trial.fit) | {"parameters": trial.parameters})
    save_weights(
        folder / RESULT, {name: torch.from_numpy(values) for name, values in tensors.items()}, {"trial": known}
    )
    for path in folder.iterdir():
        if path.name != RESULT and not (keep and path.name == NETWORK):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _read(folder: Path) -> Trial | None:
    try:
        with safe_open(folder / RESULT, "np") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            known = json.loads(file.metadata()["trial"])
    except (OSError, SafetensorError):  # not there yet, or cut short by a power failure
        return None
    fitted = Fit(tuple(Epoch(**epoch) for epoch in known["history"]), Epoch(**known["best"]))
    return Trial(tensors.pop("tests"), tensors, fitted, known["parameters"])
