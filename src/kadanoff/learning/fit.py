"""The one training loop: Adam or AdamW, a plateau schedule, and the best validation weights kept.

The same settings give the same bytes of weights on the same machine, also after the training was killed and resumed
from its checkpoint. The initial weights are the caller's: build the network under `randomness.seeded`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import mse_loss

from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import load_state, save_state
from kadanoff.learning.training import Epoch, Loss, Pair, Settings, Source, Training

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
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
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
        A training resumes from the state that lies there, after telling `on_epoch` the epochs that it holds.

    Raises
    ------
    KadanoffError
        If the data are empty or of unequal lengths, a loss is no longer a number, a batch does not fit into the
        memory of the GPU, or the state in `checkpoint` is of another training.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    training = Training(network, settings, loss, torch.device(device))
    validation = _placed(validation, training.device, "validation")
    if not callable(train):
        train = _placed(train, training.device, "training")
    if checkpoint is not None and (state := load_state(checkpoint, training.device)) is not None:
        training.restore(state)
    for epoch in training.history:
        on_epoch(epoch)
    saved, pause = time.monotonic(), checkpoint_seconds
    while not training.finished:
        number = len(training.history) + 1
        pair = _placed(train(number), training.device, "training") if callable(train) else train
        on_epoch(training.advance(pair, validation))
        if checkpoint is not None and (training.finished or time.monotonic() - saved >= pause):
            began = time.monotonic()
            save_state(checkpoint, training.state())
            saved = time.monotonic()
            pause = checkpoint_seconds * min(max(1.0, saved - began), SHARE)
    network.load_state_dict(training.best_weights)
    network.to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    return Fit(tuple(training.history), training.best)


def _placed(pair: Pair, device: torch.device, name: str) -> Pair:
    inputs, targets = pair
    if not len(inputs) or len(inputs) != len(targets):
        raise KadanoffError(
            f"the {name} set has {len(inputs)} inputs and {len(targets)} targets; it needs at least one, and as many "
            "of both. Simulate more samples, or check the split."
        )
    return inputs.to(device), targets.to(device)
