"""Correlations of blocked lattices, streamed from independent Swendsen-Wang chains.

A configuration is blocked again and again, so that all levels of a chain are pairs. Of them only averages over each
chain are kept: of the interactions' sums S(n) after n steps, and of products of these.
"""

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import MOST_WORKERS, KadanoffError, real, shown, whole
from kadanoff.montecarlo import swendsen_wang
from kadanoff.montecarlo.rng import stream_key
from kadanoff.renormalization.couplings import EVEN, ODD, reach, sums
from kadanoff.renormalization.rules import Rule
from kadanoff.runtime.progress import progress
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C

SWEEPS_PER_TAU = 20
BOND = "00 01"
GROUP, GROUP_SITES = 32, 1 << 20  # chains that are blocked at once: few enough for caches
MOST = 1 << 30  # of what is counted
SMALLEST, INFINITE = 1e-3, 1e6  # temperatures
Averages = NDArray[np.float64]


@dataclass(frozen=True)
class Setup:
    """Chains at one temperature, measured every `every` sweeps, and how often each configuration is blocked."""

    size: int
    steps: int
    measurements: int
    interactions: tuple[str, ...] = EVEN + ODD
    temperature: float = float(T_C)
    every: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no number of its kind."""
        for name, least in (("size", 1), ("steps", 0), ("measurements", 1), ("every", 1)):
            whole(getattr(self, name), name, least, MOST)
        real(self.temperature, "temperature", SMALLEST, INFINITE)

    @property
    def burn_in(self) -> int:
        """Sweeps before the first measurement: 20 autocorrelation times of the energy.

        These are 2 L^(1/4) sweeps at T_c at most, and shorter elsewhere.
        """
        return math.ceil(SWEEPS_PER_TAU * 2 * self.size**0.25)

    def groups(self, chains: int) -> list[tuple[int, int]]:
        """First chain and number of chains of each group that is advanced at once: no result depends on them."""
        together = int(np.clip(GROUP_SITES // self.size**2, 1, GROUP))
        return [(first, min(together, chains - first)) for first in range(0, chains, together)]

    def check(self, block: int) -> None:
        """KadanoffError unless blocks divide the lattice in all steps, and the interactions fit on the last one."""
        if self.size % block**self.steps:
            raise KadanoffError(
                f"size is {self.size}, which {self.steps} steps with blocks of {block} do not divide; take a multiple "
                f"of {block**self.steps}, or fewer steps."
            )
        last, needed = self.size // block**self.steps, reach(self.interactions)
        if needed > last:
            raise KadanoffError(
                f"after {self.steps} steps with blocks of {block}, {self.size} x {self.size} is {last} x {last}, and "
                f"the interactions need {needed} x {needed}; take fewer steps, shorter interactions or a larger size."
            )


@dataclass(frozen=True)
class Flow:
    """Averages of each chain under one rule: S(n) are the sums of k interactions after n steps, n = 0, 1, ...

    Parameters
    ----------
    setup, block
        What was simulated, with the names of the interactions, and the side of a block.
    means
        <S(n)>, float64 (chain, level, k).
    squares
        <S(n) S(n)^T>, float64 (chain, level, k, k).
    pairs
        <S(n) S(n-1)^T>, float64 (chain, step, k, k).
    bond, bonds
        <B>, float64 (chain,), and <S(n) B>, float64 (chain, level, k): B is the sum of neighbours' products before the
        first step, so that d<S(n)>/dK = <S(n) B> - <S(n)> <B> with the coupling K = 1/T.
    """

    setup: Setup
    block: int
    means: Averages
    squares: Averages
    pairs: Averages
    bond: Averages
    bonds: Averages

    def __len__(self) -> int:
        """Number of chains."""
        return len(self.means)

    def columns(self, interactions: Sequence[str]) -> list[int]:
        """Places of some interactions; KadanoffError if one was not measured."""
        for interaction in interactions:
            if interaction not in self.setup.interactions:
                known = ", ".join(self.setup.interactions)
                raise KadanoffError(f"{shown(interaction)} was not measured; the interactions are {known}.")
        return [self.setup.interactions.index(interaction) for interaction in interactions]


def joined(flows: Sequence[Flow]) -> Flow:
    """The chains of several flows of one kind, one after the other."""
    names = "means", "squares", "pairs", "bond", "bonds"
    parts = {name: np.concatenate([getattr(flow, name) for flow in flows]) for name in names}
    return Flow(flows[0].setup, flows[0].block, **parts)


def measure(rules: Mapping[str, Rule], setup: Setup, chains: int, workers: int | None = None) -> dict[str, Flow]:
    """Flows under several rules, of the same configurations.

    Parameters
    ----------
    rules
        By their names.
    setup, chains
        What is simulated, and how many independent chains of it.
    workers
        Threads, None for one a core: no result depends on them.

    Raises
    ------
    KadanoffError
        If a number is none, a rule's blocks do not divide the lattice in all steps, or an interaction does not fit on
        the last one.
    """
    whole(chains, "chains", 1, MOST)
    if workers is not None:
        whole(workers, "workers (None takes one a core)", 1, MOST_WORKERS)
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool, progress("flow", chains) as advance:

        def work(group: tuple[int, int]) -> dict[str, Flow]:
            found = follow(rules, setup, *group)
            advance(group[1])
            return found

        parts = list(pool.map(work, setup.groups(chains)))
    return {name: joined([part[name] for part in parts]) for name in rules}


def follow(rules: Mapping[str, Rule], setup: Setup, first: int, chains: int) -> dict[str, Flow]:
    """The same for chains `first`, `first` + 1, ..., here and now."""
    for rule in rules.values():
        setup.check(rule.block)
    lattice, size, kinds = Lattice.of(setup.size), setup.size, len(setup.interactions)
    own = stream_key(setup.seed, "flow", size, setup.temperature)
    keys = [stream_key(setup.seed, "block", size, step) for step in range(setup.steps)]
    totals = {name: _zeros(chains, setup.steps + 1, kinds) for name in rules}
    spins, done = np.ones((chains, size, size), np.int8), 0
    for number in range(setup.measurements):
        sweeps = setup.every if number else setup.burn_in
        swendsen_wang.advance(spins, lattice, setup.temperature, 0.0, own, first, done, sweeps)
        done += sweeps
        fine, bond = sums(spins, setup.interactions), sums(spins, [BOND])[:, 0]
        for name, rule in rules.items():
            blocked, levels = spins, [fine]
            for key in keys:
                blocked = rule.draw(blocked, key, number, first)
                levels.append(sums(blocked, setup.interactions))
            _add(totals[name], np.stack(levels, 1).astype(float), bond.astype(float))
    averages = {name: [total / setup.measurements for total in parts] for name, parts in totals.items()}
    return {name: Flow(setup, rule.block, *averages[name]) for name, rule in rules.items()}


def _zeros(chains: int, levels: int, kinds: int) -> list[Averages]:
    shapes = (levels, kinds), (levels, kinds, kinds), (levels - 1, kinds, kinds), (), (levels, kinds)
    return [np.zeros((chains, *shape)) for shape in shapes]


def _add(totals: list[Averages], levels: Averages, bond: Averages) -> None:
    """One more configuration: S(n) float64 (chain, level, k) and B (chain,)."""
    means, squares, pairs, fine, bonds = totals
    means += levels
    squares += levels[..., :, None] * levels[..., None, :]
    pairs += levels[:, 1:, :, None] * levels[:, :-1, None, :]
    fine += bond
    bonds += levels * bond[:, None, None]
