"""What the stages share that train networks to undo a block rule, one a temperature: parameters, data and training."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator

from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.inverse.critical import FERROMAGNET, model_of
from kadanoff.inverse.reconstruction import Reconstruction, losses, reconstruct
from kadanoff.inverse.superresolve import Spins
from kadanoff.inverse.training import coarsened, train_network
from kadanoff.learning.checkpoints import Recipe, load_model, read_recipe, save_model
from kadanoff.learning.fit import Fit
from kadanoff.learning.parameters import TrainingParams
from kadanoff.learning.randomness import derived_seed, seeded
from kadanoff.learning.training import Settings
from kadanoff.networks.registry import build
from kadanoff.networks.superres import Superresolution
from kadanoff.project.records import Recorder, recorded
from kadanoff.runtime.executor import in_processes
from kadanoff.runtime.files import working_folder
from kadanoff.spins.statistics import independent_mean
from kadanoff.spins.surroundings import coarse_spins
from kadanoff.studies import variants
from kadanoff.studies.superresolution_figures import LINES, draw_configurations, draw_losses, nearest
from kadanoff.validation import Name, Section

TASKS = (("majority", 2, "superres_three16"), ("majority", 3, "upsample_critical"))
"""Rule, block and dataset at which networks compete: the champion of a study is the best at them."""
FEWEST = 2  # test configurations: one has no error bar
PIXELWISE = ("pixels", "seed_kernel")

Weights = dict[str, NDArray[np.float32]]
Finish = Callable[[Superresolution, Recorder], None]


class Variant(Section):
    """What is trained on what; the other keys of an entry override `STUDY.training`.

    `train` configurations of each temperature train, the others are the test set.
    """

    network: str
    dataset: Name
    rule: str
    block: int = Field(gt=1)
    width: int | None = Field(default=None, gt=0)
    layers: int | None = Field(default=None, gt=1)
    energy_weight: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    train: int = Field(gt=1)

    @model_validator(mode="after")
    def _rules(self) -> "Variant":
        if self.energy_weight and self.network not in PIXELWISE:
            raise ValueError(
                f"energy_weight is {self.energy_weight:g}; it is a part of the loss of {' and '.join(PIXELWISE)} only"
            )
        return self

    def arguments(self, dimension: int, temperatures: Iterable[float]) -> dict[str, Any]:
        """Arguments of the network's builder."""
        values = {key: getattr(self, key) for key in ("rule", "block", "width", "layers")}
        place = {"dimension": dimension, "temperatures": [float(value) for value in temperatures]}
        return place | {key: value for key, value in values.items() if value is not None}

    def built(self, dimension: int, temperatures: Iterable[float]) -> Superresolution:
        """The network with random initialization."""
        model = build(self.network, **self.arguments(dimension, temperatures))
        assert isinstance(model, Superresolution)  # no other network takes these arguments
        return model


def read_variant(root: Path, name: str, study: str = "superres") -> tuple[Variant, TrainingParams]:
    """The entry `name` of STUDY.variants, and its training parameters; KadanoffError if a key breaks a rule."""
    return variants.read_variant(root, study, name, Variant)


def open_data(root: Path, study: str, where: str, variant: Variant) -> tuple[Path, Ensemble]:
    """The dataset of STUDY that the entry `where` of params.yaml names: its path, and itself, opened lazily.

    Raises
    ------
    KadanoffError
        If it is missing, `check_physics` refuses it, or too few configurations are left to test on.
    """
    path = root / "data" / study / f"{variant.dataset}.zarr"
    fine = open_dataset(path)
    check_physics(variant.dataset, fine)
    samples = fine.spins.shape[1]
    if samples - variant.train < FEWEST:
        raise KadanoffError(
            f"{where}.train is {variant.train}, but {variant.dataset} has {samples} configurations of each "
            f"temperature; at least {FEWEST} must be left to test on. Train on fewer, or raise "
            f"datasets.{study}.{variant.dataset}.samples."
        )
    return path, fine


def reconstructions(model: Superresolution, fine: Ensemble, train: int, seed: int) -> list[Reconstruction]:
    """What the networks make of the configurations of each temperature that trained nothing: all but the first."""
    indices = range(len(fine.temperatures))
    return [reconstruct(model, index, fine.read(index, slice(train, None)), seed) for index in indices]


def check_physics(name: str, ensemble: Ensemble) -> None:
    """Refuse what is no periodic ferromagnet without a field, and temperatures that do not ascend."""
    physics = model_of(ensemble)
    if physics != FERROMAGNET:
        raise KadanoffError(
            f"dataset {name} has boundary {physics['boundary']}, coupling {physics['coupling']:g} and field "
            f"{physics['field']:g}; super-resolution takes periodic ferromagnets without a field. Take another dataset."
        )
    if (np.diff(ensemble.temperatures) <= 0).any():
        raise KadanoffError(
            f"dataset {name} has the temperatures {ensemble.temperatures.tolist()}; list them in ascending order."
        )


def train_at(
    variant: Variant, training: TrainingParams, temperature: float, fine: Spins, seed: int, folder: Path
) -> tuple[Superresolution, list[Fit]]:
    """Train the network of one temperature on fine configurations (n, y, x) or (n, x); it resumes from `folder`."""
    settings = Settings(**(training.model_dump() | {"seed": seed, "threads": 1}))
    with seeded(seed):
        model = variant.built(fine.ndim - 1, [temperature])
    folder.mkdir(exist_ok=True)
    task = fine, variant.rule, variant.block, settings, variant.energy_weight, folder
    return model, train_network(model.networks[0], *task)


def trained(root: Path, name: str, variant: Variant, training: TrainingParams) -> Superresolution:
    """The networks of the entry NAME of superres.variants.

    Raises
    ------
    KadanoffError
        If they are missing, or were trained with other than the present parameters.
    """
    weights = root / "models" / "superres" / f"{name}.safetensors"
    remedy = f"run `dvc repro superres@{name}` first."
    if not weights.is_file():
        raise KadanoffError(f"there are no weights {weights}; {remedy}")
    model = load_model(weights)
    if not isinstance(model, Superresolution) or read_recipe(weights).training != recipe(variant, training):
        raise KadanoffError(f"{weights} was trained with other parameters; {remedy}")
    return model


def recipe(variant: Variant, training: TrainingParams) -> dict[str, Any]:
    """All parameters of a training."""
    return variant.model_dump() | training.model_dump()


def train_variant(
    root: Path, study: str, stage: str, name: str, finish: Finish | None = None, more: Sequence[Path] = ()
) -> None:
    """Train the entry NAME of STAGE.variants on data of STUDY: models/STAGE/NAME.safetensors, reports/STAGE/NAME.

    `finish`, which reads `more` datasets, is called with the trained and tested networks before they are saved.
    """
    variant, training = read_variant(root, name, stage)
    weights, parameters = root / "models" / stage / f"{name}.safetensors", recipe(variant, training)
    path, fine = open_data(root, study, f"{stage}.variants.{name}", variant)
    with working_folder(stage, name, parameters, fine.provenance) as folder:
        dimension = fine.spins.ndim - 2
        model = variant.built(dimension, fine.temperatures)
        coarse_spins(model.rule, model.block, dimension)  # refuses what leaves no spins
        model.check(coarsened(fine.read(0, slice(0, 1)), model.rule, model.block).shape)
        with recorded(stage, name, parameters=parameters, inputs=[path, *more]) as record:
            task = partial(_trained, variant, training, path, folder)
            found = in_processes(stage, task, [(index,) for index in range(len(fine.temperatures))], folder)
            for network, (values, _) in zip(model.networks, found, strict=True):
                network.load_state_dict({key: torch.from_numpy(array) for key, array in values.items()})
            tests = reconstructions(model.eval(), fine, variant.train, training.seed)
            _record_quality(model, tests, [fits for _, fits in found], record)
            if finish is not None:
                finish(model, record)
            arguments = variant.arguments(dimension, fine.temperatures)
            save_model(weights, model, Recipe(variant.network, arguments, parameters))  # last, as their record changes
            record.model(weights, metric="test/nats_per_site", **_competition(variant, dimension))


def _trained(
    variant: Variant, training: TrainingParams, source: Path, folder: Path, index: int
) -> tuple[Weights, list[Fit]]:
    """Weights and histories of the network of one temperature, in a process of its own."""
    ensemble = open_dataset(source)
    fine = ensemble.read(index, slice(0, variant.train))
    digest = hashlib.blake2b(fine.tobytes(), digest_size=6).hexdigest()  # other data, other checkpoints
    seed, folder = derived_seed(training.seed, index), folder / f"at-{index}-{digest}"
    model, fits = train_at(variant, training, float(ensemble.temperatures[index]), fine, seed, folder)
    return {key: tensor.numpy() for key, tensor in model.networks[0].state_dict().items()}, fits


def _record_quality(
    model: Superresolution, tests: list[Reconstruction], fits: list[list[Fit]], record: Recorder
) -> None:
    """Put what the networks make of the test configurations, and figures, into the record."""
    sites, first = model.block**model.dimension, model.networks[0]
    best = [losses(network, each, sites) for network, each in zip(model.networks, fits, strict=True)]
    nats = [independent_mean(item.nats) for item in tests]
    metrics: dict[str, Any] = {
        "test": {"nats_per_site": sum(nats[1:], nats[0]) / len(nats)},  # by which networks compete
        "parameters": sum(item.numel() for item in first.parameters()),
    }
    for item, value, loss in zip(tests, nats, best, strict=True):
        made = {"drawn": item.drawn, "rounded": item.rounded}
        differences = {key: item.differences(spins) for key, spins in made.items() if spins is not None}
        metrics[f"T={item.temperature:g}"] = {**loss, "nats_per_site": value, **differences}
    record.metrics(metrics)
    at = f"T={tests[nearest(model.temperatures)].temperature:g}/drawn"
    names = ("energy_difference", "broken_blocks")
    record.summary(
        f"{metrics['parameters']:,} weights a temperature give {{nats_per_site}} nats per site to fine lattices, given "
        "the coarse ones; nearest to T_c the drawn energy per site differs from Monte Carlo's by {energy_difference}.",
        "configurations" if model.dimension == 2 else "losses",
        nats_per_site="test/nats_per_site",
        weights="parameters",
        **{name: f"{at}/{name}" for name in names},
    )
    middle = fits[nearest(model.temperatures)]
    _history(record, middle)
    draw_losses(record, middle, tests, best, first)
    if model.dimension == 2:
        draw_configurations(record, tests)


def _history(record: Recorder, fits: Sequence[Fit]) -> None:
    """Losses over the epochs; those of each part of a draw if parts are trained one by one."""
    rows: dict[int, dict[str, float]] = {}
    alone = len(fits) == 1
    for number, fit in enumerate(fits):
        prefix = "" if alone else f"part{number}_"
        for epoch in fit.history:
            row = rows.setdefault(epoch.epoch, {})
            for key in (*LINES, "learning_rate") if alone else LINES:
                row[prefix + key] = getattr(epoch, key)
    for number, row in rows.items():
        record.epoch(number, **row)


def _competition(variant: Variant, dimension: int) -> dict[str, Any]:
    """What its metric can be compared with, and the lattices it takes."""
    blocks = f"{variant.block} x {variant.block} blocks" if dimension == 2 else f"blocks of {variant.block} sites"
    shape = [-1, -1 if dimension == 2 else 1, -1]
    return {
        "task": f"{variant.rule} of {blocks} inverted, {variant.dataset}",
        "contender": (variant.rule, variant.block, variant.dataset) in TASKS,
        "takes": shape,
        "gives": shape,
    }
