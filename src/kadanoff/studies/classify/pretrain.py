"""Stage `pretrain`: an image model learns to read temperatures off lattices; models/pretrain/MODEL.safetensors."""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from kadanoff.estimate import Estimate
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.learning.fit import Fit, fit
from kadanoff.learning.parameters import TunedParams
from kadanoff.learning.predict import predict
from kadanoff.learning.pretrained import NONE, initial
from kadanoff.learning.processor import fast_precision
from kadanoff.learning.randomness import derived_seed, seeded
from kadanoff.learning.training import Epoch, Pair, Settings
from kadanoff.phases.models import BATCH, Model, System, physics_weights
from kadanoff.phases.stream import BLOCK, OUTPUTS, Sample, Stream, exact_log_odds, log_odds, surprise, surprises
from kadanoff.project.figures import figure
from kadanoff.project.params import section
from kadanoff.project.records import Recorder, recorded
from kadanoff.runtime.files import working_folder
from kadanoff.runtime.progress import progress
from kadanoff.spins.statistics import independent_mean
from kadanoff.studies.classify.params import read_model, read_params
from kadanoff.validation import Section, validated


class Params(Section):
    """The section `pretrain`, but for `training`.

    `validation` lattices are evaluated after every epoch, `held` of them, the same among them, for the record.
    """

    sizes: list[Annotated[int, Field(ge=4, le=4096)]] = Field(min_length=1, max_length=1000)
    lattices: int = Field(gt=0, le=100_000)
    validation: int = Field(gt=0, le=100_000)
    held: int = Field(gt=1, le=100_000)
    threads: int = Field(gt=0, le=1024)


def read(root: Path, name: str) -> tuple[Model, Params, TunedParams, dict[str, System]]:
    """What the stage is given for a model; KadanoffError if a key breaks a rule."""
    model, _ = read_model(root, name)
    raw = section(root, "pretrain")
    given = validated(Params, {key: value for key, value in raw.items() if key != "training"}, "pretrain")
    training = section(root, "pretrain", "training") | model.pretrain
    return model, given, validated(TunedParams, training, f"classify.models.{name}.pretrain"), read_params(root).systems


def pretrain(root: Path, name: str) -> None:
    """Train an image model on simulated lattices, without labels, to infer their temperature."""
    model, given, training, systems = read(root, name)
    parameters = {"library": model.library, "model": model.model, "options": model.options, "scale": model.scale}
    parameters |= given.model_dump() | training.model_dump()
    parameters |= {"systems": {name: system.model_dump() for name, system in systems.items()}}
    stream = Stream(systems, tuple(given.sizes), given.lattices, given.held, training.seed)
    with seeded(derived_seed(training.seed)):
        network, recipe = initial(model.library, model.arguments(OUTPUTS, max(given.sizes)), NONE)
    for size in given.sizes:
        network.check(size, size)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings = training.model_dump() | {"optimizer": "adamw", "threads": given.threads}
    settings["precision"] = fast_precision(training.precision, device)
    with (
        working_folder("pretrain", name, parameters) as folder,
        recorded("pretrain", name, parameters=parameters) as record,
    ):
        held = stream.sample(0)
        shown = slice(None, None, -(-given.held // given.validation))  # spread: a block shares a system
        first = held.seen[shown], held.hidden[shown]
        found = _train(network, stream, first, Settings(**settings), record, folder)
        couplings = predict(network.to(device), held.seen[:, 0].numpy(), BATCH, device).reshape(-1, OUTPUTS)
        network.to("cpu")
        exact = _nats(exact_log_odds(held), held)
        own = _nats(log_odds(torch.from_numpy(couplings)), held)
        # of lattices that were not trained on, but those of `validation` among them have chosen the best epoch
        nats = {"nats_per_spin": _mean(own), "exact_nats_per_spin": _mean(exact), "surplus": _mean(own - exact)}
        size = sum(item.numel() for item in network.parameters())
        record.metrics({"parameters": size} | found.metrics() | nats)
        record.summary(
            f"{size:,} weights predict hidden spins of unseen lattices with {{surplus}} nats per spin more than the "
            "exact conditional probabilities, which know the temperature.",
            "reading",
            **{name: name for name in nats},
            best_epoch="best_epoch",
            weights="parameters",
        )
        _draw_history(record, found, float(exact[shown].mean()))
        _draw_reading(record, couplings[:, 0], held)
        weights = physics_weights(root, name)
        save_model(weights, network, Recipe(recipe.network, recipe.arguments, parameters))
        task, shape = "hidden spins of lattices of all systems", [-1, -1, -1]
        record.model(weights, metric="nats_per_spin", task=task, contender=False, takes=shape, gives=[-1, OUTPUTS])


def _train(network: nn.Module, stream: Stream, held: Pair, settings: Settings, record: Recorder, folder: Path) -> Fit:
    with progress("pretrain", settings.epochs) as advance:

        def on_epoch(epoch: Epoch) -> None:
            losses = {"train_loss": epoch.train_loss, "validation_loss": epoch.validation_loss}
            record.epoch(epoch.epoch, **losses, learning_rate=epoch.learning_rate)
            advance()

        return fit(network, stream, held, settings, loss=surprise, on_epoch=on_epoch, checkpoint=folder)


def _nats(odds: Tensor, held: Sample) -> NDArray[np.float64]:
    return surprises(odds, held.hidden).numpy().astype(float)


def _mean(values: NDArray[np.float64]) -> Estimate:
    """Over blocks: quarters of a lattice, and lattices that share a temperature, are not independent."""
    firsts = np.arange(0, len(values), BLOCK)
    return independent_mean(np.add.reduceat(values, firsts) / np.diff([*firsts, len(values)]))


def _draw_history(record: Recorder, found: Fit, exact: float) -> None:
    with figure(figsize=(5.2, 3.6)) as (drawn, axis):
        losses = [(epoch.epoch, epoch.train_loss, epoch.validation_loss) for epoch in found.history]
        epochs, trained, validation = zip(*losses, strict=True)
        axis.plot(epochs, trained, color="0.7", label="training, all sizes, weighted")
        axis.plot(epochs, validation, color="C0", label="validation")
        axis.axvline(found.best.epoch, color="C0", lw=0.8, ls="--", label="best epoch")
        axis.axhline(exact, color="k", lw=0.8, ls=":", label="exact conditional, validation")
        axis.set(xlabel="epoch", ylabel="-log P of hidden spins (nats per spin)")
        axis.legend()
        record.figure("history", drawn, "Loss over epochs, with that of the exact conditional probabilities")


def _draw_reading(record: Recorder, read: NDArray[np.float32], held: Sample) -> None:
    """The coupling K = J / T that is read, beside the true one; a spin of a large lattice is reversed by exp(-8 K)."""
    few = float(np.log(np.prod(held.seen.shape[-2:])) / 8)
    with figure(figsize=(6, 4.6)) as (drawn, axis):
        axis.axline((0, 0), slope=1, color="0.5", lw=1, label="read = true")
        axis.scatter(held.couplings, read, s=12, color="C0", alpha=0.4, lw=0)
        (low, high), (bottom, top) = axis.get_xlim(), axis.get_ylim()
        axis.axvspan(few, 9, color="0.92", zorder=0, label="less than one reversed spin expected in a lattice")
        axis.axvspan(-9, -few, color="0.92", zorder=0)
        axis.set(xlim=(low, high), ylim=(bottom, top), xlabel=r"true coupling $J / k_B T$", ylabel="coupling read")
        drawn.legend(loc="outside lower center", ncols=2)
        caption = "The coupling that the network reads off unseen lattices, beside the true one"
        record.figure("reading", drawn, f"{caption}; shaded where almost all spins are alike, which tells no coupling")
