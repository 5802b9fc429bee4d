"""How good fine lattices are: energies, blocks, magnetization and symmetries against Monte Carlo and exact results."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.spins.blocking import RULES
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import EnergyDistribution
from kadanoff.spins.observables import block_sums, energy, magnetization
from kadanoff.spins.statistics import independent_mean, jackknife

Spins = NDArray[np.int8]
GROUPS = 100
"""Groups of configurations that the jackknife leaves out, one at a time."""
BINS = 20
"""Of a histogram of energies, as in figure 10 of Efthymiou et al. (2019)."""
TAIL = 1e-4
"""Probability beyond the outer edges of the bins on either side; the first and the last bin hold it too."""
ARRAYS = ("energy", "order", "sums", "broken", "between", "anisotropy")


@dataclass(frozen=True)
class Measured:
    """Fine tori or rings, one entry a configuration.

    Attributes
    ----------
    energy
        Total energy, int64 (n,).
    order
        |m| per site, (n,).
    sums
        Number of blocks with 0, 1, ... spins up, int64 (n, sites of a block + 1).
    broken
        Share of the blocks of which the rule does not make the coarse spin given, (n,).
    between, anisotropy
        As `asymmetries` has them, (n,).
    sites
        Spins of a fine lattice.
    """

    energy: NDArray[np.int64]
    order: NDArray[np.float64]
    sums: NDArray[np.int64]
    broken: NDArray[np.float64]
    between: NDArray[np.float64]
    anisotropy: NDArray[np.float64]
    sites: int

    def __len__(self) -> int:
        return len(self.energy)

    def first(self, count: int) -> "Measured":
        """The first `count` configurations."""
        return replace(self, **{name: getattr(self, name)[:count] for name in ARRAYS})


def measure(spins: Spins, fine: Spins, rule: str) -> Measured:
    """Measure fine lattices int8 (n, y, x), or rings (n, x), that were drawn for the coarse ones `spins`."""
    dimension, block = fine.ndim - 1, fine.shape[-1] // spins.shape[-1]
    size = fine.shape[1:] if dimension == 2 else fine.shape[-1]
    lattice = Lattice.of(size, "periodic", 1, dimension)
    ups = (block_sums(fine, block, dimension).reshape(len(fine), -1) + block**dimension) // 2
    counts = np.stack([(ups == k).sum(1) for k in range(block**dimension + 1)], 1)
    wrong = RULES[rule](fine, block, dimension) != spins
    energies = np.rint(energy(fine, lattice) * lattice.sites).astype(np.int64)
    order = np.abs(magnetization(fine, dimension))
    broken = wrong.reshape(len(fine), -1).mean(1)
    between, anisotropy = asymmetries(fine, block)
    return Measured(energies, order, counts, broken, between, anisotropy, lattice.sites)


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


def joined(parts: list[Measured]) -> Measured:
    """The configurations of all parts, in their order."""
    columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
    return replace(parts[0], **columns)


@dataclass(frozen=True)
class Quality:
    """A set of fine lattices against a Monte Carlo set, configuration by configuration, and against P(E).

    Attributes
    ----------
    energy, order
        Difference of the mean energy per site, and of <|m|>.
    variance
        var(E) over that of the Monte Carlo set.
    energies, energies_exact
        Total variation 1/2 sum |P - Q| of the histogram of energies, in 20 bins, from the Monte Carlo set's and from
        the exact one.
    levels
        The same from the Monte Carlo set's without bins.
    sums
        Total variation of the number of spins up in a block.
    ties
        Share of blocks with as many spins up as down over the Monte Carlo set's; None where it has none.
    broken
        Share of blocks that break the rule.
    exact_energy
        Mean energy per site less the exact one.
    between, anisotropy
        What `asymmetries` has, 0 by the symmetries of the torus.
    """

    energy: Estimate
    variance: Estimate
    energies: Estimate
    energies_exact: Estimate
    levels: Estimate
    sums: Estimate
    ties: Estimate | None
    broken: Estimate
    order: Estimate
    exact_energy: Estimate
    between: Estimate
    anisotropy: Estimate


def compare(found: Measured, truth: Measured, exact: EnergyDistribution) -> Quality:
    """Both sets have as many configurations; those of one place share their coarse lattice, or are independent."""
    levels, probabilities = exact
    drawn, true = (_grouped(_one_hot(part.energy, levels)) for part in (found, truth))
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


def _one_hot(energies: NDArray[np.int64], levels: NDArray[np.float64]) -> NDArray[np.bool_]:
    index = np.searchsorted(levels, energies)
    return index[:, None] == np.arange(len(levels))


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
