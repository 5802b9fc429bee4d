"""The one training loop: Adam or AdamW, a plateau schedule, and the best validation weights kept.

The same settings give the same bytes of weights on the same machine, also after the training was killed and went on
from its checkpoint. The initial weights are the caller's: build the network under `randomness.seeded`.
"""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import mse_loss

from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import load_state, save_state, save_weights
from kadanoff.learning.training import DivergedError, Epoch, Loss, Pair, Settings, Source, Training

LAST_GOOD = "last-good.safetensors"
SHARE = 20  # a large state takes seconds to write: for each of them the next is later, up to this many times


@dataclass(frozen=True)
class Fit:
    """What a training gives: every epoch that it ran, and the one whose weights the network holds."""

    history: tuple[Epoch, ...]
    best: Epoch

    def metrics(self) -> dict[str, float]:
        """For the record: when the best epoch was, and how its validation loss compares with that of the last one."""
        return {
            "epochs": len(self.history),
            "best_epoch": self.best.epoch,
            "best_validation_loss": self.best.validation_loss,
            "last_validation_loss": (*self.history[-1:], self.best)[0].validation_loss,
        }


def fit(
    network: nn.Module,
    train: Source,
    validation: Pair,
    settings: Settings,
    *,
    loss: Loss = mse_loss,
    device: str = "auto",
    on_epoch: Callable[[Epoch], None] | None = None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 5.0,
) -> Fit:
    """Train `network` in place; it ends in evaluation mode, on the CPU, with its best validation weights.

    Parameters
    ----------
    network, train, validation, settings
        Module, its data in memory (to train on, also a function of the epoch's number), and how to train it.
    loss
        Mean loss of a batch; by default the squared error per site.
    device
        ``cpu``, ``cuda`` (or ``cuda:1``, ...), or ``auto``: a CUDA GPU if there is one, else the CPU.
    on_epoch
        Called with every finished epoch, for logs and progress.
    checkpoint, checkpoint_seconds
        Folder for the training state, and how often it is written (at the end as well, always after `on_epoch`).
        A state that lies there is gone on from, after telling `on_epoch` the epochs that it holds.

    Raises
    ------
    KadanoffError
        If the data are empty or of unequal lengths; if a loss is no longer a number, or a batch does not fit into the
        memory of the GPU (the network then holds its best weights so far, and so does `last-good.safetensors` in
        `checkpoint`); or if the state in `checkpoint` is damaged or of another training.
    """
    training = Training(network, settings, loss, _device(device))
    epochs = _epochs(train, training.device)
    validation = _placed(validation, training.device, "validation")
    if checkpoint is not None:
        _resume(training, checkpoint)
    if on_epoch is not None:
        for epoch in training.history:
            on_epoch(epoch)
    saved, pause = time.monotonic(), checkpoint_seconds
    while not training.finished:
        epoch = _next(training, epochs, validation, checkpoint)
        if on_epoch is not None:
            on_epoch(epoch)
        if checkpoint is not None and (training.finished or time.monotonic() - saved >= pause):
            began = time.monotonic()
            save_state(checkpoint, training.state())
            saved = time.monotonic()
            pause = checkpoint_seconds * min(max(1.0, saved - began), SHARE)
    network.load_state_dict(training.best_weights)
    network.to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    return Fit(tuple(training.history), training.best)


def _epochs(train: Source, device: torch.device) -> Callable[[int], Pair]:
    """The pair of each epoch, on the device."""
    if callable(train):
        return lambda number: _placed(train(number), device, "training")
    placed = _placed(train, device, "training")
    return lambda number: placed


def _next(training: Training, epochs: Callable[[int], Pair], validation: Pair, folder: Path | None) -> Epoch:
    pair = epochs(len(training.history) + 1)
    try:
        return training.advance(pair, validation)
    except DivergedError as error:
        rate = training.optimizer.param_groups[0]["lr"]
        raise KadanoffError(
            f"{error}: the training diverged. Lower learning_rate (it is {rate:g}). {_kept(training, folder)}"
        ) from error
    except torch.OutOfMemoryError as error:
        traceback.clear_frames(error.__traceback__)  # they hold what did not fit
        size, fits = training.settings.batch_size, _fitting(training, pair)
        remedy = f"batch_size: {fits} would fit" if fits else "not even one configuration fits: take a smaller network"
        raise KadanoffError(
            f"batch_size is {size}, for which the memory of {training.device} is too small; {remedy}. "
            f"{_kept(training, folder)}"
        ) from error


def _kept(training: Training, folder: Path | None) -> str:
    """Put the last good weights back, and the sentence that says so."""
    if not training.history:
        return "No epoch had ended before."
    training.network.load_state_dict(training.best_weights)
    if folder is None:
        return f"The network holds its weights after epoch {training.best.epoch}."
    save_weights(folder / LAST_GOOD, training.best_weights)
    return f"The weights after epoch {training.best.epoch} are kept in {folder / LAST_GOOD}."


def _fitting(training: Training, pair: Pair) -> int:
    """The largest half, quarter, .. of the batch that a step has room for; 0 if there is none."""
    size = min(training.settings.batch_size, len(pair[0])) // 2
    while size:
        try:
            training.step(pair[0][:size].float(), pair[1][:size].float())
            return size
        except (torch.OutOfMemoryError, ValueError):  # batch normalization refuses a single one
            training.optimizer.zero_grad()
            if training.device.type == "cuda":
                torch.cuda.empty_cache()  # pieces of what was too large would leave no whole
            size //= 2
    return 0


def _placed(pair: Pair, device: torch.device, name: str) -> Pair:
    inputs, targets = pair
    if not len(inputs) or len(inputs) != len(targets):
        raise KadanoffError(
            f"the {name} set has {len(inputs)} inputs and {len(targets)} targets; it needs at least one, and as many "
            "of both. Simulate more samples, or check the split."
        )
    return inputs.to(device), targets.to(device)


def _resume(training: Training, folder: Path) -> None:
    state = load_state(folder, training.device)
    if state is None:
        return
    try:
        training.restore(state)
    except KadanoffError as error:
        raise KadanoffError(
            f"{folder} holds another training: {error} Remove it to train from the start, or take another folder."
        ) from error


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # a build without CUDA asserts
        reason = str(error).splitlines()[0]
        raise KadanoffError(f"device is {name!r}, which cannot be used here: {reason} Take 'auto' or 'cpu'.") from error
    if device.type not in ("cpu", "cuda"):
        raise KadanoffError(f"device is {name!r}; training is repeatable on 'cpu' and 'cuda' only. Take one of them.")
    return device
