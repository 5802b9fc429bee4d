"""Endless simulated lattices for self-supervised training: a window of spins is hidden, and has to be foretold.

In equilibrium the probability of a spin given its four neighbours is 1 / (1 + exp(-2 J h / T)), h their sum, on any
lattice: it depends on the temperature alone. So a network that sees the rest of a lattice and must say how likely the
hidden spins are has to read the temperature there. It gives five numbers, the log-odds of a spin for each h; no
label or temperature enters. Every lattice comes from chains of its own, named after this stream.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
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

OUTPUTS = 5
"""Log-odds of a spin whose neighbours sum up to -4, -2, 0, 2, 4, divided by SCALE."""
SCALE = 10.0  # log-odds reach 40 at T = 0.2, and weights of a last layer grow by small steps
COLDEST, HOTTEST = 0.1, 4.0
GROUP = 4  # lattices that share a system and a temperature
SWEEPS = 32


@dataclass(frozen=True)
class Sample:
    """Lattices of one size: what is seen, int8 (n, 1, y, x) with zeros in the window, and what is hidden.

    `hidden` is float32 (n, 5, 2): shares of the spins in the window by the sum of their neighbours and by their own
    sign; `temperatures` float64 (n,) and `couplings` (n,) are for the record alone.
    """

    seen: Tensor
    hidden: Tensor
    temperatures: NDArray[np.float64]
    couplings: NDArray[np.int64]


@dataclass
class Stream:
    """Lattices by the number of the epoch; sizes take turns, systems are mixed.

    An epoch has `lattices` of the largest size, or as many spins in more lattices of a smaller one. The next
    epoch is simulated while the network learns from this one.
    """

    systems: Mapping[str, System]
    sizes: tuple[int, ...]
    lattices: int
    validation: int
    seed: int
    _next: dict = field(default_factory=dict)
    _ahead: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def __call__(self, epoch: int) -> Pair:
        """(seen, hidden) of an epoch, from 1."""
        found = self._next.pop(epoch, None)
        self._next = {epoch + 1: self._ahead.submit(self.sample, epoch + 1)}
        sample = found.result() if found is not None else self.sample(epoch)
        return sample.seen, sample.hidden

    def sample(self, epoch: int) -> Sample:
        """The lattices of an epoch; 0 is for validation, at the largest size. A pure function of seed and epoch."""
        largest = max(self.sizes)
        size = self.sizes[(epoch - 1) % len(self.sizes)] if epoch else largest
        count = self.lattices * largest**2 // size**2 if epoch else self.validation
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence(derived_seed(self.seed, epoch))))
        groups = -(-count // GROUP)
        systems = [list(self.systems.values())[index] for index in random.integers(len(self.systems), size=groups)]
        temperatures = random.uniform(COLDEST, HOTTEST, groups)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            parts = pool.map(self._group, [epoch] * groups, range(groups), systems, temperatures, [size] * groups)
            spins = np.concatenate(list(parts))[:count]
        couplings = np.repeat([system.coupling for system in systems], GROUP)[:count]
        return _hide(spins, np.repeat(temperatures, GROUP)[:count], couplings, random)

    def _group(self, epoch: int, group: int, system: System, temperature: float, size: int) -> NDArray[np.int8]:
        # clusters alone would leave the wall that a boundary forces flat
        sampler: Literal["hybrid", "swendsen_wang"] = "hybrid" if system.start == "ground" else "swendsen_wang"
        dataset = Dataset(
            size=size,
            temperatures=[temperature],
            samples=GROUP,
            boundary=system.boundary,
            coupling=float(system.coupling),
            sampler=sampler,
            seed=self.seed,
            start=system.start,
        )
        name = f"pretrain {epoch} {group}"
        spins = first_configurations(dataset, name, temperature, 0, GROUP)
        key = key_of(dataset, name, temperature, sampler)
        SAMPLERS[sampler](spins, dataset.lattice, temperature, 0.0, key, 0, 0, SWEEPS)
        return spins


def _hide(
    spins: NDArray[np.int8],
    temperatures: NDArray[np.float64],
    couplings: NDArray[np.int64],
    random: np.random.Generator,
) -> Sample:
    """Put zeros into a window of half the side, anywhere but at the edges."""
    count, size = spins.shape[:2]
    side = size // 2
    top, left = random.integers(1, size - side, (2, count))
    counts = neighbourhood_counts(spins, top, left, side, side)
    rows = np.arange(size)
    inside = (
        (rows >= top[:, None]) & (rows < top[:, None] + side),
        (rows >= left[:, None]) & (rows < left[:, None] + side),
    )
    seen = np.where(inside[0][:, :, None] & inside[1][:, None, :], 0, spins).astype(np.int8)
    hidden = torch.from_numpy((counts / side**2).astype(np.float32))
    return Sample(torch.from_numpy(seen).unsqueeze(1), hidden, temperatures, couplings)


def surprises(log_odds: Tensor, hidden: Tensor) -> Tensor:
    """-log P of a hidden spin given its neighbours, in nats, averaged over the spins of each lattice: (B,).

    `log_odds` is (B, 5), `hidden` (B, 5, 2) as in `Sample`.
    """
    down, up = hidden.unbind(-1)
    return -(up * logsigmoid(log_odds) + down * logsigmoid(-log_odds)).sum(1)


def surprise(outputs: Tensor, hidden: Tensor) -> Tensor:
    """Mean of `surprises` for the outputs of a network: the loss of pre-training."""
    return surprises(SCALE * outputs, hidden).mean()


def exact_log_odds(sample: Sample) -> Tensor:
    """What the true temperatures say: 2 J h / T, float32 (n, 5)."""
    scale = 2 * sample.couplings / sample.temperatures
    return torch.from_numpy((scale[:, None] * np.arange(-4, 5, 2)).astype(np.float32))
