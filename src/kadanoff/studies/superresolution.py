"""What the stages share that train networks to undo a block rule, one a temperature: parameters, data and training."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
from kadanoff.learning.checkpoints import Recipe, save_model
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
from kadanoff.studies.superresolution_figures import draw_configurations, draw_losses, nearest
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


@dataclass(frozen=True)
class Data:
    """Fine lattices of several temperatures, of which the first `train` of each train."""

    path: Path
    fine: Ensemble
    train: int

    @property
    def dimension(self) -> int:
        """1 for chains, 2 for square lattices."""
        return self.fine.spins.ndim - 2

    @property
    def temperatures(self) -> NDArray[np.float64]:
        """Of the fine lattices, ascending, in |J|/k_B."""
        return self.fine.temperatures

    def test(self, index: int) -> Spins:
        """Fine configurations (n, y, x) or (n, x) of one temperature that trained nothing."""
        return self.fine.read(index, slice(self.train, None))

    def check(self, model: Superresolution) -> None:
        """Refuse a rule that cannot coarsen these lattices, or a coarse lattice that cannot be refined.

        Raises
        ------
        KadanoffError
            Then.
        """
        coarse_spins(model.rule, model.block, self.dimension)  # refuses what leaves no spins
        model.check(coarsened(self.fine.read(0, slice(0, 1)), model.rule, model.block).shape)


def open_data(root: Path, study: str, where: str, dataset: str, train: int) -> Data:
    """The dataset of STUDY that the entry `where` of params.yaml names, opened lazily.

    Raises
    ------
    KadanoffError
        If it is missing; is not of periodic ferromagnets without a field; its temperatures do not ascend; or too few
        configurations are left to test on.
    """
    path = root / "data" / study / f"{dataset}.zarr"
    fine = open_dataset(path)
    check_physics(dataset, fine)
    samples = fine.spins.shape[1]
    if samples - train < FEWEST:
        raise KadanoffError(
            f"{where}.train is {train}, but {dataset} has {samples} configurations of each "
            f"temperature; at least {FEWEST} must be left to test on. Train on fewer, or raise "
            f"datasets.{study}.{dataset}.samples."
        )
    return Data(path, fine, train)


def check_physics(name: str, ensemble: Ensemble) -> None:
    """Refuse what is no periodic ferromagnet without a field, and temperatures that do not ascend.

    Raises
    ------
    KadanoffError
        Then.
    """
    physics = model_of(ensemble)
    if physics != FERROMAGNET:
        raise KadanoffError(
            f"dataset {name} has boundary {physics['boundary']}, coupling {physics['coupling']:g} and field "
            f"{physics['field']:g}; super-resolution takes periodic ferromagnets without a field. Take another dataset."
        )
    if len(ensemble.temperatures) < 1 or (np.diff(ensemble.temperatures) <= 0).any():
        raise KadanoffError(
            f"dataset {name} has the temperatures {ensemble.temperatures.tolist()}; list them in ascending order."
        )


def train_at(
    variant: Variant, training: TrainingParams, temperature: float, fine: Spins, seed: int, folder: Path
) -> tuple[Superresolution, list[Fit]]:
    """Train the network of one temperature on fine configurations (n, y, x) or (n, x).

    An interrupted training resumes from a checkpoint in `folder`.
    """
    settings = Settings(**(training.model_dump() | {"seed": seed, "threads": 1}))
    with seeded(seed):
        model = variant.built(fine.ndim - 1, [temperature])
    folder.mkdir(exist_ok=True)
    task = fine, variant.rule, variant.block, settings, variant.energy_weight, folder
    return model, train_network(model.networks[0], *task)


def train_variant(
    root: Path,
    study: str,
    stage: str,
    name: str,
    prepare: Callable[[], Finish] | None = None,
    more: Sequence[Path] = (),
) -> None:
    """Train the entry NAME of STAGE.variants on data of STUDY: models/STAGE/NAME.safetensors, reports/STAGE/NAME.

    What `prepare` returns before the training is done with the trained and tested networks before they are saved; it
    reads `more` datasets.
    """
    variant, training = read_variant(root, name, stage)
    weights = root / "models" / stage / f"{name}.safetensors"
    parameters = variant.model_dump() | training.model_dump()
    with working_folder(stage, name, parameters) as folder:
        data = open_data(root, study, f"{stage}.variants.{name}", variant.dataset, variant.train)
        model = variant.built(data.dimension, data.temperatures)  # refuses now what it would refuse later
        data.check(model)
        finish = prepare() if prepare is not None else None
        with recorded(stage, name, parameters=parameters, inputs=[data.path, *more]) as record:
            task = partial(_trained, variant, training, data.path, folder)
            trained = in_processes(stage, task, [(index,) for index in range(len(data.temperatures))])
            for network, (values, _) in zip(model.networks, trained, strict=True):
                network.load_state_dict({key: torch.from_numpy(array) for key, array in values.items()})
            _record_quality(model.eval(), data, [fits for _, fits in trained], training.seed, record)
            if finish is not None:
                finish(model, record)
            arguments = variant.arguments(data.dimension, data.temperatures)
            save_model(weights, model, Recipe(variant.network, arguments, parameters))  # last, as their record changes
            record.model(weights, metric="test/nats_per_site", **_competition(variant, data.dimension))


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


def _record_quality(model: Superresolution, data: Data, fits: list[list[Fit]], seed: int, record: Recorder) -> None:
    """Put what the networks make of the test configurations, and figures, into the record."""
    tests = [reconstruct(model, index, data.test(index), seed) for index in range(len(data.temperatures))]
    sites = model.block**model.dimension
    best = [losses(network, each, sites) for network, each in zip(model.networks, fits, strict=True)]
    parameters = sum(item.numel() for item in model.networks[0].parameters())
    record.metrics(_metrics(tests, best) | {"parameters": parameters})
    middle = fits[nearest(data.temperatures)]
    _history(record, middle)
    draw_losses(record, middle, tests, best, model.networks[0])
    if data.dimension == 2:
        draw_configurations(record, tests)


def _metrics(tests: Sequence[Reconstruction], best: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Metrics of the record: of each temperature, and their average likelihood, by which networks compete."""
    nats = [independent_mean(item.nats) for item in tests]
    metrics: dict[str, Any] = {"test": {"nats_per_site": sum(nats[1:], nats[0]) / len(nats)}}
    for item, value, loss in zip(tests, nats, best, strict=True):
        made = {"drawn": item.drawn, "rounded": item.rounded}
        differences = {key: item.differences(spins) for key, spins in made.items() if spins is not None}
        metrics[f"T={item.temperature:g}"] = {**loss, "nats_per_site": value, **differences}
    return metrics


def _history(record: Recorder, fits: Sequence[Fit]) -> None:
    """Losses over the epochs; those of each part of a draw if parts are trained one by one."""
    rows: dict[int, dict[str, float]] = {}
    for number, fit in enumerate(fits):
        prefix = f"part{number}_" if len(fits) > 1 else ""
        for epoch in fit.history:
            row = rows.setdefault(epoch.epoch, {})
            for key in ("train_loss", "validation_loss", "learning_rate"):
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
