"""How good fine lattices are: energies, blocks, magnetization and symmetries against Monte Carlo and exact results."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.spins.blocking import RULES
from kadanoff.spins.exact import EnergyDistribution
from kadanoff.spins.observables import block_sums, magnetization, periodic_energy
from kadanoff.spins.statistics import independent_mean, jackknife

Spins = NDArray[np.int8]
GROUPS = 100  # of configurations that the jackknife leaves out, one at a time
BINS = 20  # of a histogram of energies, as in figure 10 of Efthymiou et al. (2019)
TAIL = 1e-4  # probability beyond the outer edges of the bins on either side; the first and the last bin hold it too


@dataclass(frozen=True)
class Samples:
    """Measurements of lattices: every array has one row a lattice, all else is of the whole set."""

    def _rows(self) -> dict[str, NDArray]:
        return {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}

    def __len__(self) -> int:
        return len(next(iter(self._rows().values())))

    def first(self, count: int) -> Self:
        """The first `count` lattices."""
        return replace(self, **{name: rows[:count] for name, rows in self._rows().items()})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The lattices of all parts, in their order."""
        rows = {name: np.concatenate([getattr(part, name) for part in parts]) for name in parts[0]._rows()}
        return replace(parts[0], **rows)


@dataclass(frozen=True)
class Measured(Samples):
    """Fine tori or rings, one entry a configuration: (n,), or (n, ...)."""

    energy: NDArray[np.int64]  # total
    order: NDArray[np.float64]  # |m| per site
    sums: NDArray[np.int64]  # number of blocks with 0, 1, ... spins up: (n, sites of a block + 1)
    broken: NDArray[np.float64]  # share of the blocks of which the rule does not make the coarse spin given
    between: NDArray[np.float64]  # as `asymmetries` has them
    anisotropy: NDArray[np.float64]
    sites: int  # spins of a fine lattice


def measure(spins: Spins, fine: Spins, rule: str) -> Measured:
    """Measure fine lattices int8 (n, y, x), or rings (n, x), that were drawn for the coarse ones `spins`."""
    dimension, block = fine.ndim - 1, fine.shape[-1] // spins.shape[-1]
    ups = (block_sums(fine, block, dimension).reshape(len(fine), -1) + block**dimension) // 2
    counts = np.stack([(ups == k).sum(1) for k in range(block**dimension + 1)], 1)
    wrong, sites = RULES[rule](fine, block, dimension) != spins, fine[0].size
    energies = np.rint(periodic_energy(fine) * sites).astype(np.int64)
    order, broken = np.abs(magnetization(fine, dimension)), wrong.reshape(len(fine), -1).mean(1)
    between, anisotropy = asymmetries(fine, block)
    return Measured(energies, order, counts, broken, between, anisotropy, sites)


def asymmetries(spins: Spins, block: int) -> NDArray[np.float64]:
    """How far s_i s_j of neighbours breaks two symmetries of tori int8 (n, y, x), or rings (n, x): (2, n).

    First its mean between blocks less that inside of them, the blocks being counted from the first site; then that
    along x less that along y, 0 for rings. Of lattices in equilibrium both are 0 on average, at every temperature.
    """
    between, mean = [], []
    for axis in range(1, spins.ndim):
        others = tuple(other for other in range(1, spins.ndim) if other != axis)
        bonds = (spins * np.roll(spins, -1, axis)).mean(others, dtype=np.float64)  # by their place along the axis
        edge = np.arange(bonds.shape[1]) % block == block - 1
        between.append(bonds[:, edge].mean(1) - bonds[:, ~edge].mean(1))
        mean.append(bonds.mean(1))
    return np.stack([np.mean(between, axis=0), mean[-1] - mean[0]])


@dataclass(frozen=True)
class Quality:
    """A set of fine lattices against a Monte Carlo set, configuration by configuration, and against P(E).

    Distances are total variations, 1/2 sum |P - Q|.
    """

    energy: Estimate  # difference of the mean energy per site
    variance: Estimate  # var(E) over that of the Monte Carlo set
    energies: Estimate  # distance of the histogram of energies, in 20 bins, from the Monte Carlo set's
    energies_exact: Estimate  # and from the exact one
    levels: Estimate  # distance from the Monte Carlo set's without bins
    sums: Estimate  # distance of the number of spins up in a block
    ties: Estimate | None  # share of blocks with as many spins up as down over the Monte Carlo set's, if it has some
    broken: Estimate  # share of blocks that break the rule
    order: Estimate  # difference of <|m|>
    exact_energy: Estimate  # mean energy per site less the exact one
    between: Estimate  # what `asymmetries` has: 0 by the symmetries of the torus
    anisotropy: Estimate


def compare(found: Measured, truth: Measured, exact: EnergyDistribution) -> Quality:
    """Both sets have as many configurations; those of one place share their coarse lattice, or are independent."""
    levels, probabilities = exact
    one_hot = [np.searchsorted(levels, part.energy)[:, None] == np.arange(len(levels)) for part in (found, truth)]
    drawn, true = map(_grouped, one_hot)
    few, true_few, exact_few = (binned(values, exact) for values in (drawn, true, probabilities))
    blocks, true_blocks = (_grouped(part.sums) for part in (found, truth))
    tie = found.sums.shape[1] // 2 if found.sums.shape[1] % 2 else None
    pairs = np.stack([found.energy, truth.energy], 1) - float(truth.energy.mean())  # small numbers keep their digits
    moments = _grouped(np.concatenate([np.ones((len(pairs), 1)), pairs, pairs**2], 1))
    mean = float(probabilities @ levels) / found.sites
    return Quality(
        energy=independent_mean((found.energy - truth.energy) / found.sites),
        variance=jackknife(_variance_ratio, moments, len(moments)),
        energies=_distance(few, true_few),
        energies_exact=_distance(few, np.broadcast_to(exact_few, few.shape)),
        levels=_distance(drawn, true),
        sums=_distance(blocks, true_blocks),
        ties=None if tie is None or not true_blocks[:, tie].any() else _ratio(blocks[:, tie], true_blocks[:, tie]),
        broken=independent_mean(found.broken),
        order=independent_mean(found.order - truth.order),
        exact_energy=independent_mean(found.energy / found.sites - mean),
        between=independent_mean(found.between),
        anisotropy=independent_mean(found.anisotropy),
    )


def energy_histogram(measured: Measured, exact: EnergyDistribution) -> NDArray[np.int64]:
    """How many configurations have each level of the exact distribution."""
    return np.bincount(np.searchsorted(exact.levels, measured.energy), minlength=len(exact.levels))


def binned(values: NDArray, exact: EnergyDistribution) -> NDArray:
    """Sums of values (..., level) over 20 equal bins of the energy, which hold all but the tails of the exact P(E)."""
    cumulative = np.cumsum(exact.probabilities)
    first, last = exact.levels[np.searchsorted(cumulative, [TAIL, 1 - TAIL])]
    bins = np.clip((exact.levels - first) / max(last - first, 1) * BINS, 0, BINS - 1).astype(int)
    return values @ (bins[:, None] == np.arange(BINS)).astype(float)


def expected_distance(probabilities: NDArray[np.float64], count: int, other: int | None = None) -> float:
    """Expected total variation, by sampling noise alone, of `count` independent samples from their distribution.

    With `other`, from the histogram of as many samples of a second set. 1/2 sum E|z| of normal deviations z.
    """
    share = 1 / count + (1 / other if other else 0.0)
    return float(0.5 * np.sqrt(2 / np.pi * share * probabilities * (1 - probabilities)).sum())


def total_variation(counts: NDArray, others: NDArray) -> float:
    """1/2 sum |P - Q| of two histograms, whatever their norms."""
    return float(0.5 * np.abs(counts / counts.sum() - others / others.sum()).sum())


def _grouped(values: NDArray) -> NDArray[np.float64]:
    """Sums over groups of consecutive configurations (group, ...): what the jackknife leaves out is one of them."""
    edges = np.linspace(0, len(values), min(GROUPS, len(values)) + 1).astype(int)[:-1]
    return np.add.reduceat(values, edges, axis=0, dtype=np.float64)


def _distance(groups: NDArray, others: NDArray) -> Estimate:
    both = np.stack([groups, others], 1)
    return jackknife(lambda kept: total_variation(kept[:, 0].sum(0), kept[:, 1].sum(0)), both, len(both), False)


def _ratio(groups: NDArray, others: NDArray) -> Estimate:
    both = np.stack([groups, others], 1)
    return jackknife(lambda kept: float(kept[:, 0].sum() / kept[:, 1].sum()), both, len(both))


def _variance_ratio(groups: NDArray) -> float:
    """Of the number, the sums and the sums of squares of both sets, in groups."""
    count, *sums = groups.sum(0)
    first, second = np.array(sums[:2]) / count, np.array(sums[2:]) / count
    found, true = second - first**2
    return float(found / true)
