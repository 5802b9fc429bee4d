"""What the networks make of configurations that trained nothing, as numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kadanoff.estimate import Estimate
from kadanoff.inverse.quality import asymmetries
from kadanoff.inverse.superresolve import (
    Spins,
    count,
    draw_blocks,
    independent_spins,
    logits,
    probabilities,
    superresolve,
    tables,
)
from kadanoff.inverse.tables import Table
from kadanoff.inverse.training import coarsened
from kadanoff.learning.fit import Fit
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Blocks, Pixels, SeedKernel, Superresolution
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import T_C
from kadanoff.spins.observables import block_sums, energy, magnetization
from kadanoff.spins.statistics import independent_mean
from kadanoff.spins.surroundings import Part

GROUPS = 100  # of test configurations, for the error of a likelihood that is counted rather than summed
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Tested:
    """The test configurations of one temperature, and what the network makes of what the rule makes of them.

    All are int8 (n, y, x) or (n, x). `rounded` is the likelier value of each spin by a network of independent ones.
    `nats` are -ln P(fine | coarse) per site, of each configuration or of each of some groups of them.
    """

    temperature: float
    block: int
    rule: str
    fine: Spins
    coarse: Spins
    drawn: Spins
    rounded: Spins | None
    nats: Values


@dataclass(frozen=True)
class Observed:
    """Energy and magnetization per site of configurations, float64 (n,), at a temperature with a standard error."""

    temperature: float
    sites: int
    energy: Values
    magnetization: Values
    uncertain: float = 0.0

    @classmethod
    def of(cls, temperature: float, spins: Spins, uncertain: float = 0.0) -> "Observed":
        """Measure int8 (n, y, x) or (n, x)."""
        values = energies(spins), magnetization(spins, spins.ndim - 1)
        return cls(float(temperature), spins[0].size, *values, float(uncertain))

    def less(self, estimate: Estimate, curve: Callable[[float], float]) -> Estimate:
        """An average less a function of the temperature, whose error is in that of the result."""
        change = curve(self.temperature + self.uncertain) - curve(self.temperature - self.uncertain)
        mean = estimate.mean - curve(self.temperature)
        return Estimate(mean, float(np.hypot(estimate.error, change / 2)), n=estimate.n)

    @property
    def order(self) -> Estimate:
        """<|m|>."""
        return independent_mean(np.abs(self.magnetization))

    @property
    def mean_energy(self) -> Estimate:
        """<e>."""
        return independent_mean(self.energy)


def energies(spins: Spins) -> Values:
    """Energy per site on the torus or ring, of int8 (n, y, x) or (n, x)."""
    size = spins.shape[-1] if spins.ndim == 2 else spins.shape[1:]
    return energy(spins, Lattice.of(size, dimension=spins.ndim - 1))


def nearest(temperatures: Sequence[float] | Values, wanted: float = T_C) -> int:
    """Index of the temperature nearest to a wanted one."""
    return int(np.abs(np.asarray(temperatures) - wanted).argmin())


def test(model: Superresolution, index: int, fine: Spins, seed: int) -> Tested:
    """Coarsen fine configurations of one trained temperature, and refine them again."""
    network, temperature = model.networks[index], model.temperatures[index]
    coarse = coarsened(fine, model.rule, model.block)
    rounded = None
    if not isinstance(network, Blocks):
        rounded = np.where(probabilities(network, coarse) >= 0.5, np.int8(1), np.int8(-1))
    drawn = superresolve(model, coarse, temperature, seed=seed)
    nats = negative_log_likelihood(network, fine, coarse)
    return Tested(temperature, model.block, model.rule, fine, coarse, drawn, rounded, nats)


def negative_log_likelihood(network: nn.Module, fine: Spins, coarse: Spins) -> Values:
    """-ln P(fine | coarse) per site, of every configuration, or for `Blocks` of groups of them.

    Its mean is the entropy of the fine lattices given the coarse ones, which no network changes, and the divergence of
    the network's distribution from the true one: lower is better, whatever the kind of network.
    """
    if isinstance(network, Pixels | SeedKernel):
        # ln P is -ln(1 + exp(-s x)) for the spin s and the logit x, also where P is 1 to all digits
        return np.logaddexp(0.0, -fine * logits(network, coarse).astype(np.float64)).reshape(len(fine), -1).mean(1)
    assert isinstance(network, Blocks)
    groups = np.array_split(np.arange(len(fine)), min(GROUPS, len(fine)))
    total = np.zeros(len(groups))
    for table in tables(network):
        with np.errstate(divide="ignore"):
            logs = np.log(table.probabilities)
        for number, rows in enumerate(groups):
            # the same at every place of a torus, so all blocks are counted, not only those that the part draws
            seen = count(coarse[rows], fine[rows], table.part)
            loss = -float((seen * np.where(seen, logs, 0.0)).sum() / seen.sum())
            total[number] += _share(network, table.part) * loss * len(coarse[0].ravel()) / len(fine[0].ravel())
    return total


def _share(network: Blocks, part: Part) -> float:
    """Share of the blocks that a part draws."""
    return len(part.sublattices) / sum(len(other.sublattices) for other in network.scheme)


def losses(model: Superresolution, index: int, fits: Sequence[Fit]) -> dict[str, float]:
    """Training and validation loss per site in the epoch whose weights the network of one temperature holds.

    With them, for each part of a draw, which epoch that was, and its validation loss beside that of the last one.
    """
    network, shares = model.networks[index], [1.0]
    if isinstance(network, Blocks):
        shares = [_share(network, part) / model.block**model.dimension for part in network.scheme]
    best = {
        key: sum(share * getattr(found.best, key) for share, found in zip(shares, fits, strict=True))
        for key in ("train_loss", "validation_loss")
    }
    return best | {
        f"part{number}_{key}" if len(fits) > 1 else key: value
        for number, found in enumerate(fits)
        for key, value in found.metrics().items()
    }


def metrics(tested: Sequence[Tested], best: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Metrics of the record: of each temperature, and their average likelihood, by which networks compete."""
    nats = [independent_mean(item.nats) for item in tested]
    error = float(np.sqrt(sum(item.error**2 for item in nats)) / len(nats))
    average = Estimate(float(np.mean([item.mean for item in nats])), error, n=nats[0].n)
    found: dict[str, Any] = {"test": {"nats_per_site": average}}
    for item, value, loss in zip(tested, nats, best, strict=True):
        found[f"T={item.temperature:g}"] = {**loss, "nats_per_site": value} | {
            name: differences(item, spins)
            for name, spins in (("drawn", item.drawn), ("rounded", item.rounded))
            if spins is not None
        }
    return found


def differences(item: Tested, spins: Spins) -> dict[str, Estimate]:
    """What is made of the coarse lattices less the fine ones they came from, pair by pair; what it breaks."""
    dimension = spins.ndim - 1
    made, truth = (np.abs(magnetization(values, dimension)) for values in (spins, item.fine))
    axes = tuple(range(1, spins.ndim))
    ties = [(block_sums(values, item.block, dimension) == 0).mean(axes) for values in (spins, item.fine)]
    broken = (coarsened(spins, item.rule, item.block) != item.coarse).mean(axes)
    between, anisotropy = asymmetries(spins, item.block)
    return {
        "energy_difference": independent_mean(energies(spins) - energies(item.fine)),
        "order_difference": independent_mean(made - truth),
        "tied_blocks_difference": independent_mean(ties[0] - ties[1]),
        "broken_blocks": independent_mean(broken),
        "between_minus_inside": independent_mean(between),
        "x_minus_y": independent_mean(anisotropy),
    }


def draw_between(model: Superresolution, spins: Spins, temperature: float, seed: int) -> Spins:
    """Fine lattices at a temperature between trained ones: probabilities are interpolated between two networks.

    Raises
    ------
    KadanoffError
        If the temperature is outside of the trained ones, or the lattices do not fit.
    """
    model.check(spins.shape)
    _ = model.at(temperature)  # refuses what is out of reach
    grid = np.array(model.temperatures)
    if len(grid) == 1:
        return superresolve(model, spins, temperature, seed=seed)
    upper = int(np.clip(np.searchsorted(grid, temperature), 1, len(grid) - 1))
    share = float(np.clip((temperature - grid[upper - 1]) / (grid[upper] - grid[upper - 1]), 0, 1))
    cold, hot = model.networks[upper - 1], model.networks[upper]
    stream = stream_key(seed, "between", float(temperature), *spins.shape[1:]), 0
    if isinstance(cold, Blocks) and isinstance(hot, Blocks):
        pairs = zip(tables(cold), tables(hot), strict=True)
        scheme = [Table(a.part, (1 - share) * a.probabilities + share * b.probabilities) for a, b in pairs]
        return draw_blocks(spins, scheme, model.block, stream)
    return independent_spins((1 - share) * probabilities(cold, spins) + share * probabilities(hot, spins), stream)
