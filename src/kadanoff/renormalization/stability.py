"""Swendsen's linear stability matrix: exponents from correlations of a lattice and its blocks.

With the sums S(n) of interactions after n steps, T = dK(n)/dK(n-1) solves <S(n);S(n)> T = <S(n);S(n-1)>, and an
eigenvalue lambda of T is b^y for blocks of side b. The largest even one has y_T = 1/nu, the largest odd one y_H = d -
beta/nu. Swendsen, Phys. Rev. Lett. 42, 859 (1979), equations 6 and 7.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.renormalization.flow import Flow
from kadanoff.spins.statistics import jackknife

SINGULAR = 1e-9
"""Smallest eigenvalue of the interactions' correlation coefficients with which T is trusted: rounding gives 1e-13."""


def stability_matrix(flow: Flow, step: int, interactions: Sequence[str]) -> NDArray[np.float64]:
    """T (k, k) of step 1, 2, ... with k interactions, all even or all odd, over all chains.

    KadanoffError as in `exponents`.
    """
    samples, centred = _samples(flow, step, interactions)
    return _matrix(samples.mean(0), centred, interactions)


def exponents(flow: Flow, step: int, interactions: Sequence[str], count: int = 2) -> list[Estimate]:
    """Exponents y = ln |lambda| / ln b of the largest eigenvalues of T, less their bias, with errors over chains.

    Parameters
    ----------
    flow, step
        Of at least two chains; the step from level `step` - 1 to `step`.
    interactions
        All even or all odd: even ones are correlated less their means, odd ones have none.
    count
        How many eigenvalues, from the largest down.

    Raises
    ------
    KadanoffError
        If there is one chain alone, no such step, an interaction was not measured, even ones are mixed with odd ones,
        or T is singular.
    """
    if len(flow) < 2:
        raise KadanoffError("there is one chain, and the jackknife needs two or more; raise chains.")
    samples, centred = _samples(flow, step, interactions)

    def exponent(rank: int, chains: NDArray[np.float64]) -> float:
        eigenvalues = np.linalg.eigvals(_matrix(chains.mean(0), centred, interactions))
        return float(np.log(np.sort(np.abs(eigenvalues))[-1 - rank]) / np.log(flow.block))

    ranks = range(min(count, len(interactions)))
    return [jackknife(partial(exponent, rank), samples) for rank in ranks]


def _samples(flow: Flow, step: int, interactions: Sequence[str]) -> tuple[NDArray[np.float64], bool]:
    """Of each chain, one above the other: <S(n)>, <S(n-1)>, <S(n) S(n)^T> and <S(n) S(n-1)^T>; whether to centre."""
    columns = flow.columns(interactions)
    if not 1 <= step <= flow.setup.steps:
        raise KadanoffError(f"step is {step}, and the flow has the steps 1 to {flow.setup.steps}; take one of them.")
    odd = {len(interaction.split()) % 2 for interaction in interactions}
    if len(odd) != 1:
        raise KadanoffError("even and odd interactions do not mix by symmetry; give those of one kind.")
    square = np.ix_(range(len(flow)), columns, columns)
    means = flow.means[:, [step, step - 1]][:, :, columns]
    parts = means, flow.squares[:, step][square], flow.pairs[:, step - 1][square]
    return np.concatenate(parts, axis=1), odd == {0}


def _matrix(averages: NDArray[np.float64], centred: bool, interactions: Sequence[str]) -> NDArray[np.float64]:
    coarse, fine, (same, pairs) = averages[0], averages[1], np.split(averages[2:], 2)
    if centred:
        same, pairs = same - np.outer(coarse, coarse), pairs - np.outer(coarse, fine)
    spread = np.sqrt(np.diag(same))
    if not (spread > 0).all() or np.linalg.eigvalsh(same / np.outer(spread, spread))[0] < SINGULAR:
        raise KadanoffError(
            f"the stability matrix is singular: on the blocked lattices the interactions {', '.join(interactions)} "
            "depend on each other, or do not change; take fewer of them, fewer steps or more measurements."
        )
    return np.asarray(np.linalg.solve(same, pairs), np.float64)
