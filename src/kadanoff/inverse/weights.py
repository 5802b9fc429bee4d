"""Lattices of known probability: importance weights, ln Z and averages without bias, and a chain that is exact.

The coarse lattice is a function of the fine one, the rule. So a lattice that is doubled from a seed again and again has
the probability q(fine) = q(seed) P(first doubling | seed) .. P(fine | last but one), of which all factors are known:
that of seeds in equilibrium by their exact Z. With the weights w = exp(-H(fine) / T) / q(fine), Z is the mean of w, and
the Boltzmann average of A is <w A> / <w>: Nicoli et al., Phys. Rev. E 101, 023304 (2020). As ln w is a sum over the
lattice, its variance grows as the number of sites, and the effective sample size falls as exp(-variance).

What the rule makes of lattices in equilibrium has another Hamiltonian, the renormalized one, and another at each level.
So each level has a network of its own here, trained by maximum likelihood on what it has to undo; at the last one,
whose Hamiltonian is known, the last part of a draw is exact.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.inverse.superresolve import Spins, draw_parts, log_prob, tables
from kadanoff.inverse.tables import Table, known
from kadanoff.inverse.training import coarsened, train_network
from kadanoff.learning.randomness import derived_seed, seeded
from kadanoff.learning.training import Settings
from kadanoff.montecarlo.rng import random_words, stream_key
from kadanoff.networks.superres import Blocks
from kadanoff.spins.exact import log_partition
from kadanoff.spins.observables import magnetization, periodic_energy
from kadanoff.spins.statistics import jackknife

RULE, BLOCK = "majority", 2
SLICE = 500  # lattices that a thread takes at once

Values = NDArray[np.float64]


@dataclass(frozen=True)
class WeightedSample:
    """Independent square tori of one size with their ln w, energy and magnetization per site: float64 (n,) each."""

    size: int
    temperature: float
    log_weights: Values
    energy: Values
    magnetization: Values

    @property
    def variance(self) -> Estimate:
        """That of ln w."""
        return jackknife(lambda values: float(values.var(ddof=1)), self.log_weights)

    @property
    def effective_share(self) -> Estimate:
        """Effective sample size as a share of the lattices, <w>^2 / <w^2>; 1 if all weigh the same."""
        return jackknife(lambda w: float(w.mean() ** 2 / (w**2).mean()), self._weights, corrected=False)

    @property
    def log_partition(self) -> Estimate:
        """Mean of w per site, as a logarithm: ln Z / L^2."""
        found = jackknife(lambda w: log(w.mean()), self._weights)
        return (found + float(self.log_weights.max())) / self.size**2

    @property
    def relative_entropy(self) -> Estimate:
        """Nats per site by which the draws differ from Boltzmann's distribution: <ln q - ln p>, with the exact Z."""
        exact = log_partition(self.size, self.size, self.temperature)
        return jackknife(lambda values: float(exact - values.mean()), self.log_weights) / self.size**2

    def average(self, values: Values) -> Estimate:
        """Boltzmann average of `values` (n,), one a lattice."""
        rows = np.stack([values, self._weights], 1)
        return jackknife(lambda rows: float(np.average(rows[:, 0], weights=rows[:, 1])), rows)

    @property
    def susceptibility(self) -> Estimate:
        """Response of |m| to a field, L^2 (<m^2> - <|m|>^2) / T."""
        rows = np.stack([self.magnetization, self._weights], 1)

        def response(rows: NDArray) -> float:
            order, square = (np.average(values, weights=rows[:, 1]) for values in (abs(rows[:, 0]), rows[:, 0] ** 2))
            return float(self.size**2 * (square - order**2) / self.temperature)

        return jackknife(response, rows)

    @property
    def _weights(self) -> Values:
        """The weights, the largest of them 1."""
        return np.exp(self.log_weights - self.log_weights.max())


def learn_levels(fine: Spins, count: int, temperature: float, settings: Settings, width: int) -> list[list[Table]]:
    """Tables of `count` doublings, the first one first, from tori (n, L, L) in equilibrium at that temperature.

    KadanoffError if the sides cannot be halved so often that what is left has even sides.
    """
    side = fine.shape[-1]
    if side % 2 ** (count + 1):
        raise KadanoffError(
            f"lattices of {side} x {side} cannot be halved {count} times to even sides; take fewer levels, or lattices "
            f"whose side is a multiple of {2 ** (count + 1)}."
        )
    levels: list[list[Table]] = []
    for level in range(count):
        with seeded(derived_seed(settings.seed, level)):
            network = Blocks(RULE, BLOCK, 2, width)
        train_network(network, fine, RULE, BLOCK, settings)
        scheme = tables(network)
        if level == 0:
            scheme[-1] = known(RULE, BLOCK, 2, temperature)
        levels.insert(0, scheme)
        origins = [coarsened(np.roll(fine, origin, (1, 2)), RULE, BLOCK) for origin in np.ndindex(BLOCK, BLOCK)]
        fine = np.stack(origins, 1).reshape(-1, side >> level + 1, side >> level + 1)  # those of a lattice together
    return levels


def weighted_draws(seeds: Spins, levels: Sequence[Sequence[Table]], temperature: float, seed: int) -> WeightedSample:
    """Double seeds (n, L, L), an exact sample at that temperature, by the tables of each level, and weigh the results.

    They do not depend on the number of threads. KadanoffError if the seeds are not square.
    """
    side = seeds.shape[-1]
    if seeds.shape[1:] != (side, side):
        raise KadanoffError(f"seeds have the shape {seeds.shape}; give square lattices (n, L, L).")
    exact = log_partition(side, side, temperature)

    def boltzmann(spins: Spins) -> Values:
        return -periodic_energy(spins) * spins[0].size / temperature

    def part(first: int) -> Values:
        spins = seeds[first : first + SLICE]
        log_q = boltzmann(spins) - exact
        for number, scheme in enumerate(levels):
            fine = draw_parts(spins, scheme, BLOCK, (stream_key(seed, "weights", len(levels), number), first))
            log_q += log_prob(scheme, fine, spins)
            spins = fine
        return np.stack([boltzmann(spins) - log_q, periodic_energy(spins), magnetization(spins)])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = np.concatenate(list(pool.map(part, range(0, len(seeds), SLICE))), axis=1)
    return WeightedSample(side * BLOCK ** len(levels), temperature, *found)


def independence_chains(log_weights: Values, seed: int) -> NDArray[np.int64]:
    """Metropolis-Hastings chains whose proposals are independent draws; which of them each is at: (chain, step).

    Proposals with ln w (chain, step) are accepted with the probability min(1, w' / w), so that the equilibrium is
    Boltzmann's whatever they were drawn from: Tierney, Ann. Stat. 22, 1701 (1994).
    """
    chains, steps = log_weights.shape
    uniform = (random_words(stream_key(seed, "accept"), chains, steps, 0) >> np.uint64(11)) * 2.0**-53
    states, every = np.zeros((chains, steps), np.int64), np.arange(chains)
    for step in range(1, steps):
        here = states[:, step - 1]
        accepted = uniform[:, step] < np.exp(np.minimum(0, log_weights[:, step] - log_weights[every, here]))
        states[:, step] = np.where(accepted, step, here)
    return states
