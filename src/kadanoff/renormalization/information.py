"""Mutual information of a block spin and its far surroundings, in nats: a criterion for rules, and a number for each.

The environment E of a block are the spins of a square frame around it, `buffer` spins beyond the ring that rules see.
With interactions between nearest neighbours the frame separates the block from all beyond, so that nothing is lost.
For any q(s' | E), I(s'; E) = ln 2 - H(s' | E) >= ln 2 + <ln q(s' | E)> (Barber and Agakov, NIPS 16 (2003)), since s'
is +1 as often as -1. Here q is odd, exp(s' f(E)) / 2 cosh f(E), and f = sum_j a_j tanh(sum_i b_ji E_i) is trained; a
rule with weights is trained with it, so that both raise the bound; Koch-Janusz and Ringel, Nat. Phys. 14, 578
(2018), and Gokmen et al., Phys. Rev. Lett. 127, 240603 (2021), look for the rule that keeps most.
"""

from collections.abc import Callable
from math import log

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.learning.processor import torch_threads
from kadanoff.learning.randomness import derived_seed, seeded
from kadanoff.renormalization.rules import Spins
from kadanoff.spins.statistics import independent_mean

HIDDEN = 12
"""Terms of f."""
STEPS = 100
"""Of L-BFGS, at most, on all samples at once."""
RING = 1
"""Spins beside a block that a rule may see."""
Array = NDArray[np.float64]


def environment(spins: Spins, block: int, buffer: int) -> Spins:
    """The frame around the first block of each lattice: int8 (n, y, x) -> int8 (n, spins of the frame).

    KadanoffError if the frame does not fit on the lattice.
    """
    first, last = -1 - RING - buffer, block + RING + buffer
    needed = last - first + 1
    if min(spins.shape[1:]) < needed:
        raise KadanoffError(
            f"the lattice is {spins.shape[1]} x {spins.shape[2]}, and a block of {block} with a buffer of {buffer} and "
            f"its frame takes {needed} x {needed}; take a smaller buffer or a larger lattice."
        )
    sides = range(first, last + 1)
    return np.stack([spins[:, y, x] for y in sides for x in sides if {y, x} & {first, last}], 1)


@torch_threads(1)
def mutual_information(means: NDArray, environments: Spins, seed: int = 0) -> Estimate:
    """A lower bound of I(s'; E) in nats: q is trained on the first half of the samples, and tested on the others.

    Parameters
    ----------
    means
        <s'> of a block given its own spins, (n,), of independent lattices.
    environments
        Their E, int8 (n, spins).
    seed
        Of the first weights of f.
    """
    mean, around = torch.tensor(means).float(), torch.tensor(environments).float()
    half, guess = len(mean) // 2, _guess(around.shape[1], seed)
    _maximize(list(guess.parameters()), lambda: _bound(mean[:half], guess(around[:half])).sum())
    with torch.no_grad():
        return independent_mean(_bound(mean[half:], guess(around[half:])).double().numpy())


@torch_threads(1)
def train(start: Array, inputs: NDArray[np.int8], environments: Spins, seed: int = 0) -> Array:
    """Weights (term,) of the rule whose block spin keeps most, from features (term, n) and E of n lattices.

    To decide is better than to draw, so that nothing but the prior keeps the weights finite.
    """
    terms, around = torch.tensor(inputs).float(), torch.tensor(environments).float()
    guess, weights = _guess(around.shape[1], seed), torch.tensor(start).float().requires_grad_()

    def objective() -> Tensor:
        return _bound(torch.tanh(weights @ terms), guess(around)).sum()

    _maximize([weights, *guess.parameters()], objective)
    return weights.detach().double().numpy()


def _guess(spins: int, seed: int) -> nn.Sequential:
    """f(E), odd: float32 (n, spins) -> (n, 1)."""
    with seeded(derived_seed(seed)):
        return nn.Sequential(nn.Linear(spins, HIDDEN, bias=False), nn.Tanh(), nn.Linear(HIDDEN, 1, bias=False))


def _bound(mean: Tensor, guess: Tensor) -> Tensor:
    """The bound, ln 2 + <ln q(s' | E)> of each sample, averaged over its block spin, (n,)."""
    guess = guess[:, 0]
    return mean * guess - torch.logaddexp(guess, -guess) + log(2)


def _maximize(parameters: list[Tensor], objective: Callable[[], Tensor]) -> None:
    """The bound, summed over samples, with a normal prior of unit width for each parameter."""
    search = torch.optim.LBFGS(parameters, max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        search.zero_grad()
        loss = sum((each**2).sum() for each in parameters) / 2 - objective()
        loss.backward()
        return loss

    search.step(closure)
