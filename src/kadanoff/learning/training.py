"""One epoch of training, and everything it changes: what a checkpoint has to hold.

The batches and the dropout of an epoch depend on (seed, epoch) alone, so nothing random is carried along.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW
from torch.optim.lr_scheduler import LinearLR, LRScheduler, ReduceLROnPlateau

from kadanoff.errors import KadanoffError
from kadanoff.learning.processor import prepared, repeatable, torch_threads
from kadanoff.learning.randomness import derived_seed, seeded

Pair = tuple[Tensor, Tensor]
"""Inputs (n, ...) and targets (n, ...) of any type, int8 spins for one: batches are cast to float32."""

Source = Pair | Callable[[int], Pair]
"""What trains: the same pair in every epoch, or a new one by the number of the epoch, as endless data come."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""(outputs, targets) of a batch -> their mean loss, a scalar."""


@dataclass(frozen=True)
class Settings:
    """How to train; the defaults are those of the coarse-graining report (section 3.1) and its code."""

    seed: int
    epochs: int = 50
    batch_size: int = 32  # at most: an epoch is cut into ceil(n / batch_size) batches of nearly equal sizes
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    plateau_patience: int = 5  # after more epochs than these without improvement, the factor lowers the learning rate
    plateau_factor: float = 0.5
    early_stopping_patience: int = 15  # training ends after so many epochs without improvement
    schedule: str = "plateau"  # or "linear": the learning rate falls evenly, to a hundredth in the last epoch
    optimizer: str = "adam"  # or "adamw", whose weight decay is no part of the gradient (Loshchilov and Hutter 2019)
    precision: str = "float32"  # or "bfloat16" for what autocast computes in it; weights and optimizer stay float32
    compile: bool = False  # by torch.compile, on a GPU: faster there after a minute
    threads: int = 1  # of the CPU: the rounding of a sum depends on their number, and small networks gain little


@dataclass(frozen=True)
class Epoch:
    """One line of a history: mean losses, and the learning rate that the epoch used. Epochs count from 1."""

    epoch: int
    train_loss: float
    validation_loss: float
    learning_rate: float


class Training:
    """A network on its way: weights, optimizer, schedule, history and the best weights so far."""

    def __init__(self, network: nn.Module, settings: Settings, loss: Loss, device: torch.device) -> None:
        self.settings, self.loss, self.device = settings, loss, device
        self.network = network
        self._forward = prepared(network, device, settings.precision, settings.compile)
        kind = {"adam": Adam, "adamw": AdamW}[settings.optimizer]
        self.optimizer = kind(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.schedule: LRScheduler = (
            LinearLR(self.optimizer, 1.0, 0.01, max(1, settings.epochs - 1))
            if settings.schedule == "linear"
            else ReduceLROnPlateau(self.optimizer, factor=settings.plateau_factor, patience=settings.plateau_patience)
        )
        self.history: list[Epoch] = []
        self.best_weights: dict[str, Tensor] = {}

    @property
    def best(self) -> Epoch:
        """The first epoch with the lowest validation loss."""
        return min(self.history, key=lambda epoch: epoch.validation_loss)

    @property
    def finished(self) -> bool:
        """All epochs are done, or too many passed without improvement."""
        done = len(self.history)
        return done > 0 and (
            done >= self.settings.epochs or done - self.best.epoch >= self.settings.early_stopping_patience
        )

    def advance(self, train: Pair, validation: Pair) -> Epoch:
        """Run the next epoch on data that lie on the device; KadanoffError if it diverges or a batch does not fit."""
        number, rate = len(self.history) + 1, self.optimizer.param_groups[0]["lr"]
        try:
            with torch_threads(self.settings.threads), repeatable(self.device):
                epoch = Epoch(number, self._train(train, number), self._validate(validation), rate)
        except torch.OutOfMemoryError as error:
            size = self.settings.batch_size
            raise KadanoffError(f"batch_size is {size}: the memory of {self.device} is too small. Lower it.") from error
        for name, loss in (("training", epoch.train_loss), ("validation", epoch.validation_loss)):
            if not math.isfinite(loss):
                raise KadanoffError(
                    f"the {name} loss is {loss} in epoch {number}: the training diverged. Lower learning_rate (it is "
                    f"{rate:g})."
                )
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(epoch.validation_loss)
        else:
            self.schedule.step()
        self.history.append(epoch)
        if self.best is epoch:
            self.best_weights = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        return epoch

    def _train(self, pair: Pair, number: int) -> float:
        self.network.train()
        shuffling, dropout = (derived_seed(self.settings.seed, number, use) for use in (0, 1))
        order = torch.randperm(len(pair[0]), generator=torch.Generator().manual_seed(shuffling))
        losses = []
        with seeded(dropout, self.device):
            for inputs, targets in self._batches(pair, order):
                self.optimizer.zero_grad()
                loss = self._loss(inputs, targets)
                loss.backward()
                self.optimizer.step()
                losses.append(loss.detach() * len(inputs))
        return sum(torch.stack(losses).tolist()) / len(order)  # once an epoch: the GPU need not wait for it

    def _loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        reduced = self.settings.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=reduced):
            outputs = self._forward(inputs)
        return self.loss(outputs.float() if reduced else outputs, targets)

    @torch.no_grad()
    def _validate(self, pair: Pair) -> float:
        self.network.eval()
        order = torch.arange(len(pair[0]))
        losses = [self._loss(inputs, targets) * len(inputs) for inputs, targets in self._batches(pair, order)]
        return sum(torch.stack(losses).tolist()) / len(order)

    def _batches(self, pair: Pair, order: Tensor) -> Iterator[Pair]:
        inputs, targets = pair
        # equal sizes: batch normalization refuses a last batch of one
        for rows in order.to(self.device).tensor_split(math.ceil(len(order) / self.settings.batch_size)):
            yield inputs[rows].float(), targets[rows].float()

    def state(self) -> dict[str, Any]:
        """Everything from which `restore` resumes as if nothing had happened."""
        return {
            "settings": asdict(self.settings),
            "network": self.network.state_dict(),
            "best_weights": self.best_weights,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "history": [astuple(epoch) for epoch in self.history],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a `state`; KadanoffError if it belongs to other settings."""
        if state["settings"] != asdict(self.settings):
            raise KadanoffError(
                f"the checkpoint is of another training, with the settings {state['settings']}; these are "
                f"{asdict(self.settings)}. Remove it to train from the start, or take another folder."
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.best_weights = state["best_weights"]
        self.history = [Epoch(*epoch) for epoch in state["history"]]
