"""The flow of all 4 x 4 lattices by one step to 2 x 2, each with its Boltzmann weight: exact averages."""

import numpy as np

from kadanoff.renormalization.couplings import sums
from kadanoff.renormalization.flow import BOND, Flow


def all_states(side):
    """Every configuration, int8 (2^(side^2), side, side)."""
    numbers = np.arange(1 << side**2, dtype=np.uint32)[:, None] >> np.arange(side**2, dtype=np.uint32)
    return np.where(numbers & 1, 1, -1).astype(np.int8).reshape(-1, side, side)


def enumerated(rule, setup):
    """What `flow.measure` would find in the limit of long chains, as one chain."""
    fine, coarse = all_states(4), all_states(2)
    bond, first = sums(fine, [BOND])[:, 0].astype(float), sums(fine, setup.interactions).astype(float)
    weights = np.exp((bond - bond.max()) / setup.temperature)
    weights /= weights.sum()
    up = (1 + rule.mean(fine).reshape(-1, 1, 4) * coarse.reshape(1, -1, 4)) / 2
    given = up.prod(2)  # (fine, coarse)
    last = sums(coarse, setup.interactions).astype(float)
    expected = given @ last
    means = np.stack([weights @ first, weights @ expected])
    squares = np.stack([(first.T * weights) @ first, (last.T * (weights @ given)) @ last])
    bonds = np.stack([(weights * bond) @ first, (weights * bond) @ expected])
    pairs = ((expected.T * weights) @ first)[None]
    arrays = means, squares, pairs, np.float64(weights @ bond), bonds
    return Flow(setup, rule.block, *(np.asarray(array)[None] for array in arrays))
