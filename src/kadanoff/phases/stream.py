"""Endless simulated lattices for self-supervised training: a quarter is seen, and the rest has to be predicted.

In equilibrium the probability of a spin given its four neighbours is 1 / (1 + exp(-2 K h)), h their sum and K = J / T,
on any lattice: it depends on K alone. So a network that sees a quarter of a lattice and must say how likely the spins
of the others are has to read K there; their product is Besag's pseudo-likelihood (J. R. Stat. Soc. D 24, 179, 1975).
No label or temperature enters. Every lattice comes from chains of its own, named after this stream.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid
from torch import Tensor
from torch.nn.functional import logsigmoid

from kadanoff.data.description import Dataset
from kadanoff.learning.randomness import derived_seed
from kadanoff.learning.training import Pair
from kadanoff.montecarlo.samplers import SAMPLERS, first_configurations, key_of
from kadanoff.phases.features import neighbourhood_counts
from kadanoff.phases.models import System
from kadanoff.spins.exact import onsager

OUTPUTS = 1
"""The reduced coupling K = J / T, negative in an antiferromagnet."""
COLDEST, HOTTEST = 0.4, 4.0
"""Range of temperatures; one of 50,000 lattices of 100 x 100 has an excited spin at 0.4."""
DISTINCT = 0.5
"""Share of temperatures that are drawn evenly in thermodynamic length; the others are even in their logarithm."""
LEAST = 1 / 800  # share of bonds, so that a lattice without any does not outweigh all
BLOCK = 32  # quarters that share a system
SAMPLED: dict[Literal["hybrid", "swendsen_wang"], tuple[int, int]] = {"swendsen_wang": (1, 32), "hybrid": (8, 16)}
"""Lattices that share a temperature, and sweeps: single-spin updates of few chains cost as much as those of many."""


@dataclass(frozen=True)
class Sample:
    """Quarters of lattices: what is seen, int8 (n, 1, y, x), and what is not of the same lattice.

    `hidden` is float32 (n, 5, 2): shares of the spins in the other three quarters by the sum of their neighbours and by
    their own sign; `couplings` float64 (n,) are J / T, for the record alone.
    """

    seen: Tensor
    hidden: Tensor
    couplings: NDArray[np.float64]


@dataclass
class Stream:
    """Quarters of lattices by the number of the epoch; their sizes take turns, systems are mixed.

    An epoch has `lattices` of the largest size, or as many spins in more of a smaller one; epoch 0, of `held`, is for
    validation. The next epoch is simulated while the network learns from this one.
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
        return sample.seen, sample.hidden * weights(sample.seen)[:, None, None]

    def sample(self, epoch: int) -> Sample:
        """The quarters of an epoch; 0 is for validation, at the largest size. A pure function of seed and epoch."""
        largest = max(self.sizes)
        size = self.sizes[(epoch - 1) % len(self.sizes)] if epoch else largest
        count = self.lattices * largest**2 // size**2 if epoch else self.held
        groups = self._groups(epoch, -(-count // BLOCK))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            parts = list(pool.map(partial(self._group, epoch, 2 * size), range(len(groups)), groups))
        couplings = np.repeat([system.coupling / T for system, T in groups], [4 * len(part) for part in parts])
        seen, hidden = (torch.from_numpy(part[:count]) for part in quarters(np.concatenate(parts)))
        return Sample(seen.unsqueeze(1), hidden, couplings[:count])

    def _groups(self, epoch: int, blocks: int) -> list[tuple[System, float]]:
        """Systems and temperatures, of all blocks."""
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence(derived_seed(self.seed, epoch))))
        systems, found = list(self.systems.values()), []
        for _ in range(blocks):
            system = systems[random.integers(len(systems))]
            number = BLOCK // (4 * SAMPLED[_sampler(system)][0])
            shares, temperatures = _temperatures()
            drawn = np.interp(random.uniform(0, 1, number), shares, temperatures)
            found += [(system, temperature) for temperature in drawn.tolist()]
        return found

    def _group(self, epoch: int, size: int, number: int, group: tuple[System, float]) -> NDArray[np.int8]:
        system, temperature = group
        sampler = _sampler(system)
        share, sweeps = SAMPLED[sampler]
        chains: dict[str, Any] = {"sampler": sampler, "samples": share, "seed": self.seed, "start": system.start}
        chains |= {"boundary": system.boundary, "coupling": float(system.coupling)}
        dataset = Dataset(size=size, temperatures=[temperature], **chains)
        name = f"pretrain {epoch} {number}"
        spins = first_configurations(dataset, name, temperature, 0, share)
        key = key_of(dataset, name, temperature, sampler)
        SAMPLERS[sampler](spins, dataset.lattice, temperature, 0.0, key, 0, 0, sweeps)
        return spins


def _sampler(system: System) -> Literal["hybrid", "swendsen_wang"]:
    """Clusters alone would leave the wall that a boundary forces flat."""
    return "hybrid" if system.start == "ground" else "swendsen_wang"


@cache
def _temperatures() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What share of all temperatures lies below each of these.

    Thermodynamic length is the integral of sqrt(c) / T, c the specific heat: a lattice tells temperatures apart as far
    as the length between them goes (c / T^2 is the Fisher information of T a spin), which is most near T_c.
    """
    temperatures = np.geomspace(COLDEST, HOTTEST, 500)
    density = np.sqrt([onsager(temperature).specific_heat for temperature in temperatures.tolist()]) / temperatures
    lengths = cumulative_trapezoid(density, temperatures, initial=0)
    return DISTINCT * lengths / lengths[-1] + (1 - DISTINCT) * np.linspace(0, 1, len(temperatures)), temperatures


def quarters(spins: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quarters (4 m, y, x) of lattices (m, 2 y, 2 x), and shares (4 m, 5, 2) of the other three, off their edges."""
    count, height, width = len(spins), spins.shape[1] // 2, spins.shape[2] // 2
    parts = spins.reshape(count, 2, height, 2, width).swapaxes(2, 3).reshape(4 * count, height, width)
    counts = neighbourhood_counts(parts).reshape(count, 4, 5, 2)
    others = (counts.sum(1, keepdims=True) - counts) / (3 * (height - 2) * (width - 2))
    return parts, others.reshape(-1, 5, 2).astype(np.float32)


def weights(seen: Tensor) -> Tensor:
    """How much each lattice (n, 1, y, x) of an epoch counts, by what is seen of it: float32 (n,).

    The mean is 1. A cold lattice hides few spins that surprise: the slope of its loss, and the noise of that slope, are
    small beside those of hot ones, and regions below T_c would be learned last. The fourth root of the share of bonds
    that differ from most evens out half of it. The spins that are hidden have no part in it, so the same couplings
    predict best.
    """
    spins = seen[:, 0]
    bonds = torch.cat([(spins[:, 1:] * spins[:, :-1]).flatten(1), (spins[:, :, 1:] * spins[:, :, :-1]).flatten(1)], 1)
    unlike, alike = (bonds == -1).sum(1), (bonds == 1).sum(1)
    share = torch.minimum(unlike, alike) / (unlike + alike)
    found = (share + LEAST) ** -0.25
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
    return log_odds(torch.from_numpy(sample.couplings.astype(np.float32))[:, None])
