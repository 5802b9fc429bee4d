"""How the networks that undo a block rule are trained: from pairs of a coarse lattice and the fine one it came from."""

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from kadanoff.inverse.superresolve import Spins, count
from kadanoff.learning.fit import Fit, fit
from kadanoff.learning.training import Pair, Settings
from kadanoff.networks.superres import Blocks, Conditional, Orbit, Pixels, SeedKernel
from kadanoff.spins.blocking import RULES
from kadanoff.spins.surroundings import rows

NEAREST = 0.7066  # c10 that CNN-RG-Fast demands of its enlarged lattices; that of an infinite one is 0.7071
VALIDATION = 0.1  # share of the training configurations, the last ones


def coarsened(fine: Spins, rule: str, block: int) -> Spins:
    """What the rule makes of fine lattices (n, y, x) or (n, x)."""
    return RULES[rule](fine, block, fine.ndim - 1)


def split(fine: Spins) -> tuple[Spins, Spins]:
    """Training and validation configurations; at least one of each."""
    count = max(1, int(len(fine) * VALIDATION))
    return fine[:-count], fine[-count:]


def train_network(
    network: nn.Module,
    fine: Spins,
    rule: str,
    block: int,
    settings: Settings,
    energy_weight: float = 0.0,
    folder: Path | None = None,
) -> list[Fit]:
    """Train one network in place, whatever its kind, on fine configurations (n, y, x) or (n, x); returns its history.

    That of `Blocks` has one `Fit` for each part of a draw, trained by maximum likelihood. What a part can see has few
    values, so that the counts of (seen, state) are all that the data say about it. `energy_weight` is a part of the
    loss of independent pixels. An interrupted training resumes from checkpoints in `folder`.
    """
    sets = split(fine)
    if isinstance(network, Blocks):
        fits = []
        for number, part in enumerate(network.parts):
            train, validation = (_counted(spins, number, rule, block, network) for spins in sets)
            inner = None if folder is None else folder / f"part-{number}"
            if inner:
                inner.mkdir(exist_ok=True)
            fits.append(fit(part, train, validation, settings, loss=likelihood_loss, checkpoint=inner))
        return fits
    if isinstance(network, SeedKernel):  # from block averages, as CNN-RG-Fast is
        train, validation = (_pair(coarsened(spins, "average", block).astype(np.float32), spins) for spins in sets)
        loss = partial(mean_loss, energy_weight=energy_weight)
        return [fit(network, train, validation, settings, loss=loss, checkpoint=folder)]
    train, validation = (_pair(coarsened(spins, rule, block), spins) for spins in sets)
    loss = partial(pixel_loss, energy_weight=energy_weight)
    return [fit(_Logits(cast(Pixels, network)), train, validation, settings, loss=loss, checkpoint=folder)]


class _Logits(nn.Module):
    """A `Pixels` network before its sigmoid: where that is 0 or 1 to all digits, it passes no gradient on."""

    def __init__(self, network: Pixels) -> None:
        super().__init__()
        self.network = network

    def forward(self, spins: Tensor) -> Tensor:
        return self.network.logits(spins)


def _pair(coarse: NDArray, fine: Spins) -> Pair:
    return torch.from_numpy(coarse).unsqueeze(1), torch.from_numpy(fine).unsqueeze(1)


def pixel_loss(logits: Tensor, spins: Tensor, energy_weight: float) -> Tensor:
    """Cross-entropy per site (Efthymiou et al. 2019, eq. 4), and `energy_weight` times the energy's squared error."""
    loss = binary_cross_entropy_with_logits(logits, (spins + 1) / 2)
    if not energy_weight:
        return loss
    difference = torus_energy(torch.tanh(logits / 2)) - torus_energy(spins)  # of the mean spins
    return loss + energy_weight * (difference**2).mean()


def mean_loss(probabilities: Tensor, spins: Tensor, energy_weight: float) -> Tensor:
    """Squared error of the mean spins, and `energy_weight` times that of the c10 of independent spins from 0.7066."""
    means = 2 * probabilities - 1
    nearest = -torus_energy(means) / 2
    return ((means - spins) ** 2).mean() + energy_weight * ((nearest - NEAREST) ** 2).mean()


def torus_energy(spins: Tensor) -> Tensor:
    """Energy per site of (real) spins (B, 1, ...) on the periodic lattice: (B,)."""
    axes = tuple(range(2, spins.ndim))
    bonds = sum(spins * spins.roll(1, axis) for axis in axes)
    return -torch.as_tensor(bonds).mean(dim=(1, *axes))


def likelihood_loss(log_probability: Tensor, weights: Tensor) -> Tensor:
    """-sum of weights log P a surrounding; states that are forbidden never occur."""
    return -(weights * log_probability.masked_fill(weights == 0, 0.0)).sum(1).mean()


def _counted(fine: Spins, number: int, rule: str, block: int, network: Blocks) -> Pair:
    """Surroundings that occur (n, inputs), and how often each state did (n, states), scaled to 1 a surrounding."""
    part = network.scheme[number]
    counts: NDArray[Any] = over_origins(lambda moved, coarse: count(coarse, moved, part), fine, rule, block)
    if network.odd:  # the flip of all spins reverses the order of both rows and states: all that is known, seen from +1
        counts = (counts + counts[::-1, ::-1]) * (np.arange(len(counts)) & 1)[:, None]
    if (orbit := cast(Conditional, network.parts[number]).orbit) is not None:  # all that is known, seen from one side
        counts = turned(counts, orbit)
    seen = counts.sum(1) > 0
    weights = counts[seen] * (seen.sum() / counts.sum())
    return torch.from_numpy(rows(part.inputs)[seen]), torch.from_numpy(weights.astype(np.float32))


def turned(counts: NDArray[np.int64], orbit: Orbit) -> NDArray[np.float64]:
    """Counts (row, state) of what was seen in all positions, in the first row of its orbit; their sum is the same."""
    moved, numbers = orbit.moved.numpy(), np.arange(len(counts))
    total = np.zeros(counts.shape)
    for row, states in zip(moved, orbit.states.numpy(), strict=True):
        total[row[:, None], states] += counts
    total[orbit.first.numpy() != numbers] = 0
    own = (moved == numbers).sum(0)  # symmetries that a row has itself: it was added once for each
    return total / own[:, None]


def over_origins(
    counts_of: Callable[[Spins, Spins], NDArray[np.int64]], fine: Spins, rule: str, block: int
) -> NDArray[np.int64]:
    """Sum of `counts_of(fine, coarse)` over all origins of the blocks, each of which a torus looks the same from."""
    axes = tuple(range(1, fine.ndim))

    def counted(shift: tuple[int, ...]) -> NDArray[np.int64]:
        moved = np.roll(fine, shift, axes)
        return counts_of(moved, coarsened(moved, rule, block))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return functools.reduce(np.add, pool.map(counted, np.ndindex(*(block,) * len(axes))))
