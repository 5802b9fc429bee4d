"""Configurations that a rule coarsens and a network refines again, and how probable the network holds them."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    probabilities,
    superresolve,
    tables,
)
from kadanoff.inverse.tables import Table
from kadanoff.inverse.training import coarsened
from kadanoff.learning.fit import Fit
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Blocks, Pixels, SeedKernel, Superresolution
from kadanoff.spins.observables import block_sums, magnetization, periodic_energy
from kadanoff.spins.statistics import independent_mean
from kadanoff.spins.surroundings import Part

GROUPS = 100  # of configurations, for the error of a likelihood that is counted rather than summed


@dataclass(frozen=True)
class Reconstruction:
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
    nats: NDArray[np.float64]

    def differences(self, spins: Spins) -> dict[str, Estimate]:
        """`drawn` or `rounded` less the fine lattices they came from, pair by pair; and what it breaks."""
        dimension = spins.ndim - 1
        made, truth = (np.abs(magnetization(values, dimension)) for values in (spins, self.fine))
        axes = tuple(range(1, spins.ndim))
        ties = [(block_sums(values, self.block, dimension) == 0).mean(axes) for values in (spins, self.fine)]
        broken = (coarsened(spins, self.rule, self.block) != self.coarse).mean(axes)
        between, anisotropy = asymmetries(spins, self.block)
        return {
            "energy_difference": independent_mean(periodic_energy(spins) - periodic_energy(self.fine)),
            "order_difference": independent_mean(made - truth),
            "tied_blocks_difference": independent_mean(ties[0] - ties[1]),
            "broken_blocks": independent_mean(broken),
            "between_minus_inside": independent_mean(between),
            "x_minus_y": independent_mean(anisotropy),
        }


def reconstruct(model: Superresolution, index: int, fine: Spins, seed: int) -> Reconstruction:
    """Coarsen fine configurations of one trained temperature, and refine them again."""
    temperature, coarse = model.temperatures[index], coarsened(fine, model.rule, model.block)
    network = model.at(temperature)
    drawn, rounded = superresolve(model, coarse, temperature, seed=seed), None
    if isinstance(network, Blocks):
        nats = negative_log_likelihood(network, fine, coarse)
    else:
        values = probabilities(network.logits, coarse)  # once for both: it costs more than all the rest
        rounded, nats = np.where(values >= 0, np.int8(1), np.int8(-1)), _independent_likelihood(values, fine)
    return Reconstruction(temperature, model.block, model.rule, fine, coarse, drawn, rounded, nats)


def superresolve_between(model: Superresolution, spins: Spins, temperature: float, seed: int) -> Spins:
    """Fine lattices at a temperature between trained ones: probabilities are interpolated between two networks.

    KadanoffError if the temperature is outside of the trained ones, or the lattices do not fit.
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


def negative_log_likelihood(network: Pixels | SeedKernel | Blocks, fine: Spins, coarse: Spins) -> NDArray[np.float64]:
    """-ln P(fine | coarse) per site in nats, of every configuration, or for `Blocks` of groups of them.

    Fine configurations are int8 (n, y, x) or (n, x), coarse ones what the rule makes of them. Its mean is the entropy
    of the fine lattices given the coarse ones, which no network changes, and the divergence of the network's
    distribution from the true one: lower is better, whatever the kind of network.
    """
    if not isinstance(network, Blocks):
        return _independent_likelihood(probabilities(network.logits, coarse), fine)
    groups = np.array_split(np.arange(len(fine)), min(GROUPS, len(fine)))
    total = np.zeros(len(groups))
    for table in tables(network):
        with np.errstate(divide="ignore"):
            logs = np.log(table.probabilities)
        for number, rows in enumerate(groups):
            # the same at every place of a torus, so all blocks are counted, not only those that the part draws
            seen = count(coarse[rows], fine[rows], table.part)
            loss = -float((seen * np.where(seen, logs, 0.0)).sum() / seen.sum())
            total[number] += _share(network, table.part) * loss * coarse[0].size / fine[0].size
    return total


def _independent_likelihood(logits: NDArray[np.float32], fine: Spins) -> NDArray[np.float64]:
    """-ln P(fine) per site in nats of independent spins, of every configuration, from ln(P / (1 - P)) of each."""
    # ln P is -ln(1 + exp(-s x)) for the spin s and the logit x, also where P is 1 to all digits
    return np.logaddexp(0.0, -fine * logits.astype(np.float64)).reshape(len(fine), -1).mean(1)


def losses(network: nn.Module, fits: Sequence[Fit], sites: int) -> dict[str, float]:
    """Training and validation loss per site in the epoch whose weights the network holds; `sites` are those of a block.

    With them, for each part of a draw, which epoch that was, and its validation loss beside that of the last one.
    """
    shares = [_share(network, part) / sites for part in network.scheme] if isinstance(network, Blocks) else [1.0]
    best = {
        key: sum(share * getattr(fit.best, key) for share, fit in zip(shares, fits, strict=True))
        for key in ("train_loss", "validation_loss")
    }
    return best | {
        f"part{number}_{key}" if len(fits) > 1 else key: value
        for number, fit in enumerate(fits)
        for key, value in fit.metrics().items()
    }


def _share(network: Blocks, part: Part) -> float:
    """Share of the blocks that a part draws."""
    return len(part.sublattices) / sum(len(other.sublattices) for other in network.scheme)
