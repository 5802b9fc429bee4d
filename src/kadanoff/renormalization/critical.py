"""Critical lattices by the thousand, and averages of some that are as good as those of many."""

from collections.abc import Iterator, Sequence
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kadanoff.montecarlo import swendsen_wang
from kadanoff.montecarlo.rng import stream_key
from kadanoff.renormalization.couplings import sums
from kadanoff.renormalization.learned import features
from kadanoff.renormalization.rules import Spins
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, kaufman

CHAINS, EVERY = 4096, 3
"""Chains that are advanced together, and Swendsen-Wang sweeps between their configurations."""
Array = NDArray[np.float64]


def critical_lattices(side: int, count: int, seed: int) -> Iterator[Spins]:
    """At least so many critical lattices, int8 (n, side, side) at a time, of Swendsen-Wang chains."""
    chains = min(CHAINS, count)
    spins, done = np.ones((chains, side, side), np.int8), 0
    key = stream_key(seed, "block rule", side, 0)
    for number in range(ceil(count / chains)):
        sweeps = EVERY if number else ceil(40 * side**0.25)  # 20 autocorrelation times
        swendsen_wang.advance(spins, Lattice.of(side), float(T_C), 0.0, key, 0, done, sweeps)
        done += sweeps
        yield spins


def weighted_features(
    block: int, terms: Sequence[str], side: int, count: int, many: int, seed: int
) -> tuple[Tensor, Tensor, float]:
    """Features int8 (term, n, side / block, side / block) of `count` critical lattices, and their shares float32 (n,).

    With these shares the fine energy has its exact mean and variance, and <M^2>, the last one found, is that of `many`
    lattices (a regression estimator: Cochran, Sampling Techniques (1977), chapter 7).
    """
    inputs: list[NDArray[np.int8]] = []

    def kept() -> Iterator[Spins]:
        for spins in critical_lattices(side, max(many, count), seed):
            if sum(each.shape[1] for each in inputs) < count:
                inputs.append(features(spins, block, terms)[:, :count])
            yield spins

    mean, controls = known_means(kept(), side)
    few = controls[: sum(each.shape[1] for each in inputs)]
    away = few - few.mean(0)
    shares = 1 / len(few) + away @ np.linalg.solve(away.T @ away, mean - few.mean(0))
    return torch.from_numpy(np.concatenate(inputs, 1)), torch.from_numpy(shares).float(), float(mean[-1])


def transfer_matrix(side: int, temperature: float) -> tuple[Array, Array]:
    """All rows of a torus so wide, float64 (2^side, side), and exp(-E/T) of two that touch, with half of their own."""
    rows = np.asarray(1.0 - 2 * (np.arange(2**side)[:, None] >> np.arange(side) & 1), np.float64)
    within = np.exp((rows * np.roll(rows, 1, 1)).sum(1) / (2 * temperature))
    return rows, np.asarray(within[:, None] * np.exp(rows @ rows.T / temperature) * within, np.float64)


def known_means(lattices: Iterator[Spins], side: int) -> tuple[Array, Array]:
    """Of each lattice, (n, 3), and the means, (3,): S of neighbours less <S>, the square of this, and M^2.

    The first two means are exact, and that of M^2 is corrected by its regression on what the samples' are off.
    """
    exact = kaufman(side, side, float(T_C))
    found = [
        np.stack([sums(spins, ["00 01"])[:, 0] + side**2 * exact.energy, spins.sum((1, 2), dtype=float)], 1)
        for spins in lattices
    ]
    excess, total = np.concatenate(found).T
    controls = np.stack([excess, excess**2, total**2], 1)
    known = np.array([0.0, side**2 * exact.specific_heat * float(T_C) ** 2])
    covariance, off = np.cov(controls.T), controls.mean(0)
    square = off[2] - covariance[2, :2] @ np.linalg.solve(covariance[:2, :2], off[:2] - known)
    return np.append(known, square), controls
