"""A rule is trained so that the critical model is nearly its fixed point. No exponent enters.

The criterion, fixed before exponents were looked at. Critical lattices of 8 b x 8 b in blocks of b should be as
critical lattices of 8 x 8. Let S be the sums of the interactions `MATCHED` on these, and C their covariance. Then

    D = 1/2 (<S'> - <S>) C^-1 (<S'> - <S>)

is to second order the Kullback-Leibler divergence of the two, as far as these interactions tell, and C^-1 (<S'> - <S>)
are the couplings in which they differ. A rule that multiplies the correlations at all large distances by one factor
hardly shows in D: this factor is a condition of its own, <M'^2> = <M^2> within `AMPLITUDE`. The weights w minimize
n D + r^2 / 2 + |w|^2 / 2 for n lattices, r = (<M'^2> / <M^2> - 1) / `AMPLITUDE`.

<S> is exact. Given the fine spins, block spins are independent, so <S'> is an average over fine lattices of products of
tanh h, and has a gradient. The fine lattices are some of many, weighted so that their averages of fine sums and of M^2
are those of the many, whose mean energy is made the exact one (regression estimators: Cochran, Sampling Techniques
(1977), chapter 7). Earlier searches for better rules: Swendsen, Phys. Rev. Lett. 52, 2321 (1984); Blote et al., 76,
2613 (1996); Chung and Kao, Phys. Rev. Research 3, 023230 (2021).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from math import ceil
from operator import mul

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kadanoff.montecarlo import swendsen_wang
from kadanoff.montecarlo.rng import stream_key
from kadanoff.renormalization.couplings import EVEN, images, sums
from kadanoff.renormalization.learned import Weights, compact_terms, features
from kadanoff.renormalization.rules import Spins
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C, exact_energy_distribution

SIDE = 8
"""Of the small lattice, whose 2^8 rows make an exact transfer matrix."""
PAIRS = tuple(f"00 {y}{x}" for x in range(1, 5) for y in range(x + 1))
"""All distances on it."""
QUARTETS = ("00 01 10 11", "00 01 02 11", "01 10 12 21", "00 01 02 03", "00 01 02 12", "00 01 10 21", "00 01 12 21")
MATCHED = (*PAIRS, *QUARTETS, "00 01 20 21", "00 02 20 22", "00 01 02 10 11 12")
AMPLITUDE = 5e-4
"""Error of <M'^2> / <M^2> that is as bad as a weight of 1."""
FIRST_PART = 8192
"""Lattices on which the weights are found, before all of them refine these."""
CHAINS, EVERY, METRIC = 4096, 3, 65536
TOGETHER = 1024
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Training:
    """A rule for blocks of `block` with so many triples, trained on `lattices` of `many` (at least as many)."""

    block: int
    triples: int
    lattices: int
    many: int
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """Weights, D of the lattices that trained, <M'^2> / <M^2> - 1, and the couplings' differences by interaction."""

    weights: Weights
    divergence: float
    amplitude: float
    differences: dict[str, float]


def exact_sums(interactions: Sequence[str], side: int = SIDE, temperature: float = float(T_C)) -> Array:
    """Means of the interactions' sums on a torus, float64 (k,), by the transfer matrix; 2^side rows are a few hundred.

    <s_1 .. s_m> = Tr(D_0 V D_1 V .. V^(side - rows)) / Tr V^side, D_y the product of the spins in row y.
    """
    rows = 1.0 - 2 * (np.arange(2**side)[:, None] >> np.arange(side) & 1)
    within = np.exp((rows * np.roll(rows, 1, 1)).sum(1) / (2 * temperature))
    matrix = within[:, None] * np.exp(rows @ rows.T / temperature) * within
    matrix /= matrix.max()
    powers = [np.linalg.matrix_power(matrix, power) for power in range(side + 1)]

    def mean(sites: Sequence[tuple[int, int]]) -> float:
        inner, last = np.eye(len(rows)), max(y for y, _ in sites)
        for row in range(last + 1):
            inner = (inner @ matrix if row else inner) * rows[:, [x for y, x in sites if y == row]].prod(1)
        return float(np.sum(inner * powers[side - last].T) / np.trace(powers[side]))

    return side**2 * np.array([sum(map(mean, images(interaction))) for interaction in interactions])


def train(training: Training, on_step: Callable[[int, float], None] = lambda step, loss: None) -> Trained:
    """The rule of least loss; `on_step` gets the number of a step and the loss after it.

    KadanoffError if the block or the number of triples is none.
    """
    terms = compact_terms(training.block, training.triples)
    inputs, shares = _lattices(training, terms)
    known, square = exact_sums(MATCHED), _square()
    wanted = SIDE**2 + square @ known
    inverse_root = np.linalg.inv(np.linalg.cholesky(_covariance(training.seed)))
    weights, done = np.zeros(len(terms)), 0
    weights[0] = 0.4
    for count in sorted({min(FIRST_PART, len(shares)), len(shares)}):
        part, share = inputs[:, :count], shares[:count] / shares[:count].sum()
        scale = np.concatenate([np.sqrt(count) * inverse_root, square[None] / (wanted * AMPLITUDE)])

        def residuals(weights: Array, part: Tensor = part, share: Tensor = share, scale: Array = scale) -> Residuals:
            found, slopes = blocked_sums(weights, part, share)
            return np.r_[scale @ (found - known), weights], np.r_[scale @ slopes, np.eye(len(weights))]

        for weights, loss in _least_squares(residuals, weights):
            on_step(done := done + 1, loss / count)
    off = blocked_sums(weights, inputs, shares)[0] - known
    couplings = inverse_root.T @ inverse_root @ off
    return Trained(
        Weights(training.block, dict(zip(terms, map(float, weights), strict=True))),
        float(off @ couplings / 2),
        float(square @ off / wanted),
        dict(zip(MATCHED, map(float, couplings), strict=True)),
    )


Residuals = tuple[Array, Array]


def _least_squares(residuals: Callable[[Array], Residuals], start: Array) -> Iterator[tuple[Array, float]]:
    """Steps of Levenberg and Marquardt, each with its loss, until they gain less than a thousandth."""
    (found, slopes), damping, gained = residuals(start), 1e-2, 1.0
    loss = found @ found / 2
    while gained > 1e-3 and damping < 1e6:
        normal = slopes.T @ slopes
        place = start - np.linalg.solve(normal + damping * np.diag(np.diag(normal)), slopes.T @ found)
        tried, tried_slopes = residuals(place)
        if (better := tried @ tried / 2) < loss:
            gained, damping = 1 - better / loss, damping / 5
            start, found, slopes, loss = place, tried, tried_slopes, better
            yield start, float(loss)
        else:
            damping *= 4


def blocked_sums(weights: Array, inputs: Tensor, shares: Tensor) -> tuple[Array, Array]:
    """<S'> of the interactions `MATCHED`, (k,), and its derivatives by the weights, (k, term).

    `inputs` are features int8 (term, n, y, x), `shares` of the lattices float32 (n,). One image of an interaction
    stands for all, as rule and model have the square's symmetries.
    """
    sums, slopes = np.zeros(len(MATCHED)), np.zeros((len(MATCHED), len(weights)))
    vector = torch.tensor(weights, dtype=torch.float32)
    for part, share in zip(inputs.split(TOGETHER, 1), shares.split(TOGETHER), strict=True):
        terms = part.float()
        mean = torch.tanh(torch.tensordot(vector, terms, 1)).requires_grad_()
        tangents = (terms * (1 - mean.detach() ** 2)).flatten(1)
        for number, interaction in enumerate(MATCHED):
            sites, *others = images(interaction)
            moved = [torch.roll(mean, (-y, -x), (1, 2)) for y, x in sites]
            value = (1 + len(others)) * (share @ reduce(mul, moved).sum((1, 2)))
            (gradient,) = torch.autograd.grad(value, mean, retain_graph=True)
            sums[number] += value.item()
            slopes[number] += (tangents @ gradient.flatten()).numpy()
    return sums, slopes


def _square() -> Array:
    """M^2 less the number of spins, as a combination of the sums: a torus counts a pair half its side apart twice."""
    return np.array([2.0 ** (1 - name[3:].count("4")) if name in PAIRS else 0.0 for name in MATCHED])


def _critical(side: int, count: int, seed: int) -> Iterator[Spins]:
    """At least so many critical lattices, int8 (n, side, side) at a time, of Swendsen-Wang chains."""
    chains = min(CHAINS, count)
    spins, done = np.ones((chains, side, side), np.int8), 0
    key = stream_key(seed, "block rule", side, 0)
    for number in range(ceil(count / chains)):
        sweeps = EVERY if number else ceil(40 * side**0.25)  # 20 autocorrelation times
        swendsen_wang.advance(spins, Lattice.of(side), float(T_C), 0.0, key, 0, done, sweeps)
        done += sweeps
        yield spins


def _covariance(seed: int) -> Array:
    return np.cov(np.concatenate([sums(spins, MATCHED) for spins in _critical(SIDE, METRIC, seed)]).T)


def _lattices(training: Training, terms: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Features int8 (term, n, 8, 8) of the lattices that train, and the share of each, float32 (n,)."""
    side = SIDE * training.block
    controls, inputs = [], []
    for spins in _critical(side, max(training.many, training.lattices), training.seed):
        controls.append(np.concatenate([sums(spins, EVEN), sums(spins, ["00"]) ** 2], 1).astype(float))
        if len(inputs) * len(spins) < training.lattices:
            inputs.append(features(spins, training.block, terms))
    many, few = np.concatenate(controls), np.concatenate(controls[: len(inputs)])
    energies = exact_energy_distribution(Lattice.of(side), float(T_C))
    covariance = np.cov(many.T)
    mean = many.mean(0) - covariance[0] / covariance[0, 0] * (many[:, 0].mean() + energies.probabilities @ energies.levels)
    away = few - few.mean(0)
    shares = 1 / len(few) + away @ np.linalg.solve(away.T @ away, mean - few.mean(0))
    return torch.from_numpy(np.concatenate(inputs, 1)), torch.from_numpy(shares.astype(np.float32))
