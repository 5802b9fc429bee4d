"""The one number of a chain that is not learned: how sharp the distributions of block states are.

A network learns to undo the rule on lattices that the rule made. In a chain it is given others: critical ones of the
nearest-neighbour model, which stands in for the fixed point (Efthymiou et al. 2019, section IV A). What it draws is
then a little too ordered. The remedy is a single number, the sharpness, fixed by this criterion and by nothing else:

    Critical 8 x 8 Monte Carlo lattices, doubled, have on average the exact energy of the critical 16 x 16 torus.

No lattice above 16 x 16 enters, and no exponent. Networks that enlarge by three have another
criterion: `kadanoff.inverse.growth_calibration`.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.inverse.superresolve import Spins, draw_parts, log_probabilities, sharpened
from kadanoff.inverse.tables import Table
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Blocks
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import kaufman
from kadanoff.spins.observables import energy
from kadanoff.spins.statistics import independent_mean

RANGE = (0.8, 1.25)
STEP = 0.02  # for the slope that turns the error of the energy into one of the sharpness


@dataclass(frozen=True)
class Calibration:
    """The sharpness, and the energy excess a site over the exact one without it (sharpness 1) and with it."""

    sharpness: Estimate
    before: Estimate
    after: Estimate


def excess(scheme: list[Table], seeds: Spins, temperature: float, seed: int, block: int = 2) -> Estimate:
    """Energy a site of seeds (n, L, L) enlarged by these tables less the exact energy of the larger torus (Kaufman).

    The seeds' own deviation from the exact energy of side L is regressed out (a control variate): it is known, and
    most of the noise.
    """
    size = seeds.shape[-1]
    fine = draw_parts(seeds, scheme, block, (stream_key(seed, "calibrate"), 0))
    known, found = energy(seeds, Lattice.of(size)), energy(fine, Lattice.of(block * size))
    slope = np.cov(known, found)[0, 1] / known.var(ddof=1)
    corrected = found - slope * (known - kaufman(size, size, temperature).energy)
    return independent_mean(corrected - kaufman(block * size, block * size, temperature).energy)


def calibrate(network: Blocks, seeds: Spins, temperature: float, seed: int) -> Calibration:
    """The sharpness at which the excess is 0, with the statistical error of the seeds.

    Draws at all trial values use the same random bits, so that the excess is a smooth function of the sharpness.

    Raises
    ------
    KadanoffError
        If there is no such value between 0.8 and 1.25: the network is not one for these lattices.
    """
    if not isinstance(network, Blocks):
        raise KadanoffError(f"a network of {type(network).__name__} has no tables to sharpen; give one of Blocks.")
    logs = log_probabilities(network)

    def at(sharpness: float) -> Estimate:
        return excess(sharpened(network, logs, sharpness), seeds, temperature, seed)

    ends = [at(value).mean for value in RANGE]
    if not ends[0] > 0 > ends[1]:
        raise KadanoffError(
            f"doubled {seeds.shape[-1]} x {seeds.shape[-1]} lattices miss the exact energy by {ends[0]:.4f} to "
            f"{ends[1]:.4f} a site, whatever the sharpness from {RANGE[0]} to {RANGE[1]}; it should change sign. Train "
            "the network on more configurations at this temperature."
        )
    found = brentq(lambda value: at(value).mean, *RANGE, xtol=1e-5)
    around = [at(found + step) for step in (-STEP, 0.0, STEP)]
    slope = (around[2].mean - around[0].mean) / (2 * STEP)
    sharpness = Estimate(float(found), abs(around[1].error / slope), n=len(seeds))
    return Calibration(sharpness, at(1.0), around[1])
