"""The numbers of a network that are not learned: how sharp its block states are, and how strong its Gibbs sweeps.

A network learns to undo the rule on lattices that the rule made. In a chain it is given others: critical ones of the
nearest-neighbour model, which stands in for the fixed point (Efthymiou et al. 2019, section IV A). What it draws is
then a little too ordered. The remedy is a single number, the sharpness, fixed by this criterion and by nothing else:

    Critical 8 x 8 Monte Carlo lattices, doubled, have on average the exact energy of the critical 16 x 16 torus.

A network that enlarges by three, and sweeps the coarse lattice first, has a second number, a factor of the sweeps'
log-odds: in two directions, as the others are irrelevant, statistical errors of what was learned matter. The criterion:

    Critical 16 x 16 Monte Carlo lattices, after Gibbs sweeps and enlarged to 48 x 48, have the exact energy and <m^2>.

No larger lattice enters, and no exponent.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.inverse.renormalized import LogOdds, RenormalizedGibbs
from kadanoff.inverse.superresolve import Spins, draw_blocks, draw_parts, log_probabilities, sharpened
from kadanoff.inverse.tables import Table
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Blocks
from kadanoff.spins.exact import critical_square, kaufman
from kadanoff.spins.observables import periodic_energy
from kadanoff.spins.statistics import independent_mean

RANGE = (0.8, 1.25)
STEP = 0.02  # for the slope that turns the error of the energy into one of the sharpness
GROWTH_STEP = 0.004  # of both numbers of a network that enlarges by three, for the slopes
PRECISION = 0.1  # of these numbers, in their statistical errors
MOST = 12  # of Newton's steps
FULL = 3  # of them
SLICE = 2500  # lattices that a thread takes at once

Values = NDArray[np.float64]
Excess = Callable[[float, float], Values]


@dataclass(frozen=True)
class Calibration:
    """The sharpness, and the energy excess per site over the exact one without it (sharpness 1) and with it."""

    sharpness: Estimate
    before: Estimate
    after: Estimate


@dataclass(frozen=True)
class GrowthCalibration:
    """The two numbers, and excess energy and relative excess of <m^2> without and with them."""

    factor: Estimate
    sharpness: Estimate
    before: tuple[Estimate, Estimate]
    after: tuple[Estimate, Estimate]


def excess(scheme: list[Table], seeds: Spins, temperature: float, seed: int, block: int = 2) -> Estimate:
    """Energy per site of seeds (n, L, L) enlarged by these tables less the exact energy of the larger torus (Kaufman).

    The seeds' own deviation from the exact energy of side L is regressed out (a control variate): it is known, and
    most of the noise.
    """
    size = seeds.shape[-1]
    fine = draw_parts(seeds, scheme, block, (stream_key(seed, "calibrate"), 0))
    known, found = periodic_energy(seeds), periodic_energy(fine)
    slope = np.cov(known, found)[0, 1] / known.var(ddof=1)
    corrected = found - slope * (known - kaufman(size, size, temperature).energy)
    return independent_mean(corrected - kaufman(block * size, block * size, temperature).energy)


def calibrate(network: Blocks, seeds: Spins, temperature: float, seed: int) -> Calibration:
    """The sharpness at which the excess is 0, with the statistical error of the seeds.

    Draws at all trial values use the same random bits, so that the excess is a smooth function of the sharpness.
    KadanoffError if there is no such value between 0.8 and 1.25: the network is not one for these lattices.
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
            f"{ends[1]:.4f} per site, whatever the sharpness from {RANGE[0]} to {RANGE[1]}; it should change sign. "
            "Train the network on more configurations at this temperature."
        )
    found = brentq(lambda value: at(value).mean, *RANGE, xtol=1e-5)
    around = [at(found + step) for step in (-STEP, 0.0, STEP)]
    slope = (around[2].mean - around[0].mean) / (2 * STEP)
    sharpness = Estimate(float(found), abs(around[1].error / slope), n=len(seeds))
    return Calibration(sharpness, at(1.0), around[1])


def calibrate_growth(
    network: Blocks, odds: LogOdds, seeds: Spins, temperature: float, seed: int, block: int
) -> GrowthCalibration:
    """Both numbers by Newton's method, with the statistical errors of the seeds (n, L, L).

    Draws at all trial values use the same random bits, so that the excess is a smooth function of them.
    KadanoffError if there are no such numbers between 0.8 and 1.25: the network is not one for these lattices.
    """
    excess = growth_excess(network, odds, seeds, temperature, seed, block)
    start = excess(1.0, 1.0)

    def means(off: Values) -> tuple[Estimate, Estimate]:
        return independent_mean(off[0]), independent_mean(off[1])

    slopes = np.stack([excess(1 + GROWTH_STEP, 1.0), excess(1.0, 1 + GROWTH_STEP)], 1).mean(2) - start.mean(1)[:, None]
    try:
        inverse = np.linalg.inv(slopes / GROWTH_STEP)
    except np.linalg.LinAlgError as error:  # one of the numbers changes nothing
        raise _refusal(seeds, start) from error
    numbers, off = np.ones(2), start
    for number in range(MOST):
        # slopes from few seeds may be too small: full steps then go to and fro
        numbers -= (1.0 if number < FULL else 0.5) * (inverse @ off.mean(1))
        if not all(RANGE[0] < value < RANGE[1] for value in numbers):
            break
        off = excess(*numbers)
        errors = np.sqrt(np.diag(inverse @ np.cov(off) @ inverse.T) / len(seeds))
        # few seeds flip too many draws at once to come closer than their own error
        near = PRECISION if number < MOST - 1 else 1.0
        if (np.abs(inverse @ off.mean(1)) < near * errors).all():
            pairs = zip(numbers.tolist(), errors.tolist(), strict=True)
            factor, sharpness = (Estimate(value, error, n=len(seeds)) for value, error in pairs)
            return GrowthCalibration(factor, sharpness, means(start), means(off))
    raise _refusal(seeds, off)


def _refusal(seeds: Spins, off: Values) -> KadanoffError:
    return KadanoffError(
        f"enlarged {seeds.shape[-1]} x {seeds.shape[-1]} lattices miss the exact energy by "
        f"{off[0].mean():.4f} per site and <m^2> by {100 * off[1].mean():.1f}%, and no factor and sharpness from "
        f"{RANGE[0]} to {RANGE[1]} correct that. Train the network on more configurations at this temperature."
    )


def growth_excess(network: Blocks, odds: LogOdds, seeds: Spins, temperature: float, seed: int, block: int) -> Excess:
    """Excess (2, n) of energy, and of <m^2> as a share, by factor and sharpness.

    The seeds' own deviations from exact values are regressed out: they are known, and much of the noise.
    """
    small, large, logs = seeds.shape[-1], block * seeds.shape[-1], log_probabilities(network)
    keys = [stream_key(seed, name) for name in ("dress", "calibrate")]
    exact = [(kaufman(side, side, temperature).energy, critical_square(side)) for side in (small, large)]
    known = _energy_and_square(seeds) - np.array(exact[0])[:, None]

    def excess(factor: float, sharpness: float) -> Values:
        gibbs = RenormalizedGibbs((factor * odds).astype(np.float32))
        off = measure_enlarged(_energy_and_square, seeds, gibbs, sharpened(network, logs, sharpness), block, keys)
        off -= np.array(exact[1])[:, None]
        both = np.cov(np.concatenate([known, off]))
        off -= np.linalg.solve(both[:2, :2], both[:2, 2:]).T @ known
        return off / np.array([1.0, exact[1][1]])[:, None]

    return excess


def measure_enlarged(
    measure: Callable[[Spins], Values],
    seeds: Spins,
    gibbs: RenormalizedGibbs,
    scheme: Sequence[Table],
    block: int,
    keys: Sequence[np.uint64],
) -> Values:
    """`measure` (k, n) of seeds (n, L, L) after Gibbs sweeps and enlargement; `keys` are those of the two."""

    def part(first: int) -> Values:
        swept = gibbs.sweep(seeds[first : first + SLICE], (keys[0], first))
        return measure(draw_blocks(swept, scheme, block, (keys[1], first)))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(part, range(0, len(seeds), SLICE))), axis=1)


def _energy_and_square(spins: Spins) -> Values:
    """Energy per site and m^2 of lattices (n, L, L): (2, n)."""
    return np.stack([periodic_energy(spins), spins.mean((1, 2), dtype=np.float64) ** 2])
