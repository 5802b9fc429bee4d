"""Endless simulated lattices for self-supervised training: a window of spins is hidden, and has to be foretold.

In equilibrium the probability of a spin given its four neighbours is 1 / (1 + exp(-2 K h)), h their sum and K = J / T,
on any lattice: it depends on K alone. So a network that sees the rest of a lattice and must say how likely the hidden
spins are has to read K there; their product is Besag's pseudo-likelihood (J. R. Stat. Soc. D 24, 179, 1975). No label
or temperature enters. Every lattice comes from chains of its own, named after this stream.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

from kadanoff.lab.params import Dataset
from kadanoff.learning.randomness import derived_seed
from kadanoff.learning.training import Pair
from kadanoff.montecarlo.samplers import SAMPLERS, first_configurations, key_of
from kadanoff.phases.features import neighbourhood_counts
from kadanoff.phases.systems import System

OUTPUTS = 1
"""The reduced coupling K = J / T, negative in an antiferromagnet."""
COLDEST, HOTTEST = 0.1, 4.0
LEAST = 1 / 800  # share of bonds, so that a lattice without any does not outweigh all
BLOCK = 32  # lattices that share a system
SAMPLED: dict[Literal["hybrid", "swendsen_wang"], tuple[int, int]] = {"swendsen_wang": (4, 32), "hybrid": (BLOCK, 16)}
"""Lattices that share a temperature, and sweeps: single-spin updates of few chains cost as much as those of many."""


@dataclass(frozen=True)
class Sample:
    """Lattices of one size: what is seen, int8 (n, 1, y, x) with zeros in the window, and what is hidden.

    `hidden` is float32 (n, 5, 2): shares of the spins in the window by the sum of their neighbours and by their own
    sign; `areas` int64 (n,) is how many; `temperatures` float64 (n,) and `couplings` (n,) are for the record alone.
    """

    seen: Tensor
    hidden: Tensor
    areas: Tensor
    temperatures: NDArray[np.float64]
    couplings: NDArray[np.int64]


@dataclass
class Stream:
    """Lattices by the number of the epoch; sizes take turns, systems are mixed.

    An epoch has `lattices` of the largest size, or as many spins in more lattices of a smaller one; epoch 0, of `held`
    lattices, is for validation. The next epoch is simulated while the network learns from this one.
    """

    systems: Mapping[str, System]
    sizes: tuple[int, ...]
    lattices: int
    held: int
    seed: int
    _next: dict = field(default_factory=dict)
    _ahead: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def __call__(self, epoch: int) -> Pair:
        """(seen, hidden) of an epoch, from 1; `hidden` times the weight of each lattice."""
        found = self._next.pop(epoch, None)
        self._next = {epoch + 1: self._ahead.submit(self.sample, epoch + 1)}
        sample = found.result() if found is not None else self.sample(epoch)
        return sample.seen, sample.hidden * weights(sample.seen, sample.areas)[:, None, None]

    def sample(self, epoch: int) -> Sample:
        """The lattices of an epoch; 0 is for validation, at the largest size. A pure function of seed and epoch."""
        largest = max(self.sizes)
        size = self.sizes[(epoch - 1) % len(self.sizes)] if epoch else largest
        count = self.lattices * largest**2 // size**2 if epoch else self.held
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence(derived_seed(self.seed, epoch))))
        systems = list(self.systems.values())
        groups: list[tuple[System, float]] = []
        for _ in range(-(-count // BLOCK)):
            system = systems[random.integers(len(systems))]
            share = SAMPLED[_sampler(system)][0]
            groups += [(system, temperature) for temperature in random.uniform(COLDEST, HOTTEST, BLOCK // share)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            parts = list(pool.map(partial(self._group, epoch, size), range(len(groups)), groups))
        shares = [len(part) for part in parts]
        temperatures = np.repeat([temperature for _, temperature in groups], shares)
        couplings = np.repeat([system.coupling for system, _ in groups], shares)
        blocks, widest = -(-count // BLOCK), size // 2
        # a network that has seen nothing but wide windows is at a loss with whole lattices
        sides = random.integers(max(1, size // 8), widest + 1, blocks) if epoch else np.full(blocks, widest)
        return _hide(np.concatenate(parts)[:count], temperatures[:count], couplings[:count], sides, random)

    def _group(self, epoch: int, size: int, number: int, group: tuple[System, float]) -> NDArray[np.int8]:
        system, temperature = group
        sampler = _sampler(system)
        share, sweeps = SAMPLED[sampler]
        dataset = Dataset(
            size=size,
            temperatures=[temperature],
            samples=share,
            boundary=system.boundary,
            coupling=float(system.coupling),
            sampler=sampler,
            seed=self.seed,
            start=system.start,
        )
        name = f"pretrain {epoch} {number}"
        spins = first_configurations(dataset, name, temperature, 0, share)
        key = key_of(dataset, name, temperature, sampler)
        SAMPLERS[sampler](spins, dataset.lattice, temperature, 0.0, key, 0, 0, sweeps)
        return spins


def _sampler(system: System) -> Literal["hybrid", "swendsen_wang"]:
    """Clusters alone would leave the wall that a boundary forces flat."""
    return "hybrid" if system.start == "ground" else "swendsen_wang"


def _hide(
    spins: NDArray[np.int8],
    temperatures: NDArray[np.float64],
    couplings: NDArray[np.int64],
    sides: NDArray[np.int64],
    random: np.random.Generator,
) -> Sample:
    """Put zeros into a window of each lattice, anywhere but at the edges; the lattices of a block share its side."""
    parts = [
        _hide_block(spins[first : first + BLOCK], side, random)
        for first, side in zip(range(0, len(spins), BLOCK), sides.tolist(), strict=True)
    ]
    seen, hidden = (np.concatenate(part) for part in zip(*parts, strict=True))
    areas = torch.from_numpy(np.repeat(sides, BLOCK)[: len(spins)] ** 2)
    return Sample(torch.from_numpy(seen).unsqueeze(1), torch.from_numpy(hidden), areas, temperatures, couplings)


def _hide_block(
    spins: NDArray[np.int8], side: int, random: np.random.Generator
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    count, size = spins.shape[:2]
    top, left = random.integers(1, size - side, (2, count))
    counts = neighbourhood_counts(spins, top, left, side, side)
    rows = np.arange(size)
    inside = (
        (rows >= top[:, None]) & (rows < top[:, None] + side),
        (rows >= left[:, None]) & (rows < left[:, None] + side),
    )
    seen = np.where(inside[0][:, :, None] & inside[1][:, None, :], 0, spins).astype(np.int8)
    return seen, (counts / side**2).astype(np.float32)


def weights(seen: Tensor, areas: Tensor) -> Tensor:
    """How much each lattice (n, 1, y, x) of an epoch counts, by what is seen of it and how much is not: float32 (n,).

    The mean is 1. A cold lattice hides few spins that surprise: the slope of its loss, and the noise of that slope, are
    small beside those of hot ones, and regions below T_c would be learned last. The fourth root of the share of bonds
    that differ from most evens out half of it. The spins that are hidden have no part in it, so the same couplings
    foretell best. A wide window says more than a narrow one.
    """
    spins = seen[:, 0]
    bonds = torch.cat([(spins[:, 1:] * spins[:, :-1]).flatten(1), (spins[:, :, 1:] * spins[:, :, :-1]).flatten(1)], 1)
    unlike, alike = (bonds == -1).sum(1), (bonds == 1).sum(1)
    share = torch.minimum(unlike, alike) / (unlike + alike)
    found = areas * (share + LEAST) ** -0.25
    return found / found.mean()


def surprises(log_odds: Tensor, hidden: Tensor) -> Tensor:
    """-log P of a hidden spin given its neighbours, in nats, averaged over the spins of each lattice: (B,).

    `log_odds` is (B, 5), `hidden` (B, 5, 2) as in `Sample`.
    """
    down, up = hidden.unbind(-1)
    return -(up * logsigmoid(log_odds) + down * logsigmoid(-log_odds)).sum(1)


def surprise(outputs: Tensor, hidden: Tensor) -> Tensor:
    """Mean of `surprises` for the couplings (B, 1) that a network reads: the loss of pre-training."""
    return surprises(log_odds(outputs), hidden).mean()


def log_odds(couplings: Tensor) -> Tensor:
    """2 K h for h = -4, -2, 0, 2, 4: (B, 1) reduced couplings -> (B, 5)."""
    return 2 * couplings * torch.arange(-4, 5, 2, device=couplings.device)


def exact_log_odds(sample: Sample) -> Tensor:
    """What the true temperatures say: float32 (n, 5)."""
    return log_odds(torch.from_numpy((sample.couplings / sample.temperatures).astype(np.float32))[:, None])
