"""Wilson's two-lattice matching: the critical coupling, from blocked lattices alone.

At the critical coupling, and there alone, a lattice after n steps and one smaller by a block's side after n - 1 steps
are alike, up to irrelevant operators that have died out: both have the same size then, so finite size cancels. Wilson,
in Recent Developments in Gauge Theories (1980); Swendsen, in Real-Space Renormalization (1982); Hasenfratz et al.,
Phys. Lett. B 140, 76 (1984).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import hypot, log

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError, real, whole
from kadanoff.estimate import Estimate
from kadanoff.renormalization.flow import BOND, Flow, Setup
from kadanoff.spins.statistics import independent_mean, jackknife

SMALLEST, LARGEST = 1e-3, 1e3  # guesses at K
ROUNDS = (64, 8, 1)
"""Newton's steps, the first with a 64th of the measurements: its error is then 8 times that of the last."""


def matched_coupling(large: Flow, small: Flow, step: int) -> Estimate:
    """K at which neighbours agree as often `step` steps after `large` as step - 1 after `small`, to first order.

    Both flows are at one coupling near it, of independent chains; d<S>/dK are their correlations with the energy.
    KadanoffError if their sizes do not match, or there is no such step.
    """
    _check(large, small, step)
    if large.setup.temperature != small.setup.temperature:
        raise KadanoffError("the lattices that match have two temperatures; measure both at one.")
    parts = _samples(large, step), _samples(small, step - 1)
    means = [part.mean(0) for part in parts]
    both = [
        jackknife(lambda chains: _root(chains.mean(0), means[1]), parts[0]),
        jackknife(lambda chains: _root(means[0], chains.mean(0)), parts[1]),
    ]
    value = both[0].mean + both[1].mean - _root(*means)  # less the bias of each
    return Estimate(1 / large.setup.temperature + value, hypot(both[0].error, both[1].error), n=len(large))


def separation(large: tuple[Flow, Flow], small: tuple[Flow, Flow], step: int) -> Estimate:
    """Exponent y with which couplings on both sides of the critical one flow apart: y_T where nothing else is left.

    Neighbours agree as often `step` steps after a lattice with K_c + d as step - 1 steps after a smaller one with K_c +
    b^y d. Each pair of flows is of a temperature below T_c and one above, the small ones b times as far away, so that
    what is not linear in d cancels. KadanoffError if their sizes do not match, there is no such step, or all is noise.
    """
    _check(large[0], small[0], step)

    def slope(pair: tuple[Flow, Flow], level: int) -> Estimate:
        cold, hot = (flow.setup.temperature for flow in pair)
        if not cold < hot:
            raise KadanoffError(f"a pair has the temperatures {cold} and {hot}; give the flow of the lower one first.")
        agree = [_samples(flow, level)[:, 0] for flow in pair]
        return independent_mean((agree[0] - agree[1]) / (1 / cold - 1 / hot))

    slopes = slope(large, step), slope(small, step - 1)
    if min(each.mean for each in slopes) <= 0:
        raise KadanoffError(
            f"the flow's separation is lost in noise: after {step} steps d<S>/dK is {slopes[0]}, and {slopes[1]} one "
            "step earlier on the smaller lattice; take more measurements, or temperatures further away."
        )
    ratio, width = slopes[0] / slopes[1], log(large[0].block)
    return Estimate(log(ratio.mean) / width, ratio.error / ratio.mean / width, n=len(large[0]))


def critical_coupling(
    measure: Callable[[Sequence[Setup]], Sequence[Flow]],
    setup: Setup,
    block: int,
    start: float,
) -> list[Estimate]:
    """The critical coupling after steps 1, 2, ... of the last round, found from `start` in the three of `ROUNDS`.

    Parameters
    ----------
    measure
        Takes setups to the flows of their chains.
    setup, block
        Of the larger lattice, and the side of the blocks. The smaller lattice takes one step less.
    start
        A guess at K; its distance times the larger side should be below 1.

    Raises
    ------
    KadanoffError
        If a number is none, or the extrapolation leaves all temperatures.
    """
    whole(block, "block", 2, setup.size)
    found, coupling = [], real(start, "start", SMALLEST, LARGEST)
    for number, part in enumerate(ROUNDS):
        at = replace(
            setup,
            temperature=1 / coupling,
            measurements=max(1, setup.measurements // part),
            seed=setup.seed + number,
        )
        large, small = measure([at, replace(at, size=setup.size // block, steps=setup.steps - 1)])
        found = [matched_coupling(large, small, step) for step in range(1, setup.steps + 1)]
        coupling = found[-1].mean
        if not coupling > 0:
            raise KadanoffError(
                f"the lattices match at K = {coupling:.3g}, by an extrapolation from {1 / at.temperature:.6g}; take "
                "more measurements, or a better start."
            )
    return found


def _check(large: Flow, small: Flow, step: int) -> None:
    sizes, most = (large.setup.size, small.setup.size), min(large.setup.steps, small.setup.steps + 1)
    if sizes[0] != large.block * sizes[1]:
        raise KadanoffError(
            f"lattices of {sizes[0]} and {sizes[1]} do not match under blocks of {large.block}; one side is that many "
            "times the other."
        )
    if not 1 <= step <= most:
        raise KadanoffError(f"step is {step}, and these lattices match after steps 1 to {most}; take one of them.")


def _samples(flow: Flow, level: int) -> NDArray[np.float64]:
    """<S>, <S B> and <B> of each chain (chain, 3)."""
    (column,) = flow.columns([BOND])
    return np.stack([flow.means[:, level, column], flow.bonds[:, level, column], flow.bond], 1)


def _root(large: NDArray[np.float64], small: NDArray[np.float64]) -> float:
    """Distance in K to where both are the same, by a step of Newton's."""
    (first, slope), (second, other) = ((mean, product - mean * bond) for mean, product, bond in (large, small))
    return float((second - first) / (slope - other))
