"""Configurations that a rule coarsens and a network refines again, beside those that they were."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.inverse.likelihood import independent_likelihood, negative_log_likelihood
from kadanoff.inverse.quality import asymmetries
from kadanoff.inverse.superresolve import (
    Spins,
    draw_blocks,
    independent_spins,
    logits,
    probabilities,
    superresolve,
    tables,
)
from kadanoff.inverse.tables import Table
from kadanoff.inverse.training import coarsened
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Blocks, Pixels, SeedKernel, Superresolution
from kadanoff.spins.observables import block_sums, magnetization, periodic_energy
from kadanoff.spins.statistics import independent_mean


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
    network, temperature = model.networks[index], model.temperatures[index]
    coarse = coarsened(fine, model.rule, model.block)
    drawn, rounded = superresolve(model, coarse, temperature, seed=seed), None
    if isinstance(network, Pixels | SeedKernel):
        values = logits(network, coarse)  # once for both: it costs more than all the rest
        rounded, nats = np.where(values >= 0, np.int8(1), np.int8(-1)), independent_likelihood(values, fine)
    else:
        nats = negative_log_likelihood(network, fine, coarse)
    return Reconstruction(temperature, model.block, model.rule, fine, coarse, drawn, rounded, nats)


def superresolve_between(model: Superresolution, spins: Spins, temperature: float, seed: int) -> Spins:
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
