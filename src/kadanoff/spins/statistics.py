"""Numbers with error bars: autocorrelation time, mean of a correlated series, jackknife."""

from collections.abc import Callable
from itertools import pairwise
from math import nan, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kadanoff.errors import KadanoffError, is_whole, numbers, shown
from kadanoff.estimate import Estimate

WINDOW = 5.0
"""Sokal's c: the sum over the autocorrelation function stops at the first lag M with M >= c tau(M)."""
ONE_SIGMA = NormalDist().cdf(1.0)
"""Probability below one standard deviation, 0.841."""


def autocorrelation_time(series: ArrayLike) -> Estimate:
    """Tau = 1/2 + sum_t rho(t) in samples, over the lags t = 1..M, the first M with M >= 5 tau.

    Deviations are from one mean over all chains. So chains that are stuck in different states show up: when
    their means scatter more than this tau allows, tau is what that scatter asks for, about half of the length.
    Sokal, in Functional Integration (1997), section 3; Madras and Sokal, J. Stat. Phys. 50, 109 (1988).

    Parameters
    ----------
    series
        Samples [chain, time], or [time] for one chain, finite. Constant or anticorrelated series give 0.5, the least.
    """
    chains = _chains(series)
    count, length = chains.shape
    if np.ptp(chains) == 0:
        return Estimate(0.5, 0.0, n=chains.size)
    correlations = _autocorrelation(chains - chains.mean())
    taus = 0.5 + np.concatenate([[0.0], np.cumsum(correlations[1:])])
    inside = np.arange(length) >= WINDOW * taus
    window = int(inside.argmax()) if inside.any() else length - 1
    # The window cuts an alternating sum too early to be trusted below the value of independent samples.
    tau = max(float(taus[window]), 0.5)
    relative_error = sqrt(2 * (2 * window + 1) / chains.size)
    if count > 1 and length > 1:
        # the tau that the scatter of the chains' means asks for; and what chi^2 / freedom exceeds with a probability of
        # 3e-5 (4 sigma; Wilson and Hilferty 1931)
        scatter, spread = float(length * chains.mean(1).var(ddof=1) / (2 * chains.var())), 2 / (9 * (count - 1))
        limit = tau * (1 - spread + 4 * sqrt(spread)) ** 3 * (1 + 4 * relative_error)
        tau = tau if scatter <= limit else scatter
    return Estimate(tau, tau * relative_error, n=chains.size)


def independent_mean(samples: NDArray) -> Estimate:
    """Mean of independent samples [n], with its standard error: not a number for a single one.

    It covers the truth as Student's t says, in 61% of all cases from 4 samples, 65% from 8, 68% from 64.
    """
    if numbers(samples, "samples").size == 0:
        raise KadanoffError("there are 0 samples to average; give at least 1.")
    error = samples.std(ddof=1) / sqrt(len(samples)) if len(samples) > 1 else nan
    return Estimate(float(samples.mean()), float(error), n=len(samples))


def jackknife(
    function: Callable[[NDArray], float], samples: ArrayLike, blocks: int | None = None, corrected: bool = True
) -> Estimate:
    """`function` of all samples, less its bias, with the error of leaving out one block at a time.

    With a share w of the samples in block b, theta without it, and a bias that falls like 1/n, the value is B theta -
    sum_b (1 - w_b) theta_b: Busing, Meijer and van der Leeden, Stat. Comput. 9, 3 (1999). The error is `block_error`.
    Blocks of consecutive samples several autocorrelation times long make it right for correlated samples too.

    Parameters
    ----------
    function
        Takes samples [n, ...] and returns a number.
    samples
        Shape [n, ...], in the order of time.
    blocks
        Number of blocks, as in `block_edges`.
    corrected
        Whether to take off the bias, which needs a function that is smooth in averages of the samples: no distance, no
        score.
    """
    values = np.atleast_1d(numbers(samples, "samples"))
    count = len(values)
    edges = block_edges(count, blocks)
    others = (np.concatenate([values[:start], values[stop:]]) for start, stop in pairwise(edges))
    thetas = np.array([function(samples) for samples in others])
    value = less_bias(function(values), thetas, edges) if corrected else function(values)
    return Estimate(float(value), block_error(thetas - thetas.mean()), n=count)


def block_edges(count: int, blocks: int | None) -> NDArray[np.int64]:
    """Where the blocks of consecutive samples begin, and where the last one ends: int (blocks + 1,).

    KadanoffError if there are fewer than 2 blocks, or more than samples; None are 100, or one a sample if that is less.
    """
    blocks = min(count, 100) if blocks is None else blocks
    if not (is_whole(blocks) and 2 <= blocks <= count):
        raise KadanoffError(
            f"blocks is {shown(blocks)} for {count} samples; it must lie between 2 and the number of samples."
        )
    return np.linspace(0, count, blocks + 1).astype(int)


def less_bias(value: float, without: NDArray[np.float64], edges: NDArray[np.int64]) -> float:
    """The jackknife's value, from that of all samples and those without each block."""
    shares = np.diff(edges) / edges[-1]
    return value + float((1 - shares) @ (value - without))


def block_error(deviations: NDArray[np.float64]) -> float:
    """The jackknife's error, from deviations of the values without each block from their own mean: [block].

    t sqrt((B - 1)/B sum_b deviation_b^2): Efron, The Jackknife (1982), chapter 3. So that it covers the truth in 68.3%
    of all cases from few blocks as well, Student's t of B - 1 degrees of freedom has that probability between -t and t:
    1.20 of 4 blocks, 1.005 of 100 (Tukey, Ann. Math. Stat. 29, 614 (1958)).
    """
    from scipy.special import stdtrit  # takes longer to load than all else here

    blocks = len(deviations)
    return float(stdtrit(blocks - 1, ONE_SIGMA) * sqrt((blocks - 1) / blocks * np.sum(deviations**2)))


def _chains(series: ArrayLike) -> NDArray[np.float64]:
    """Samples as [chain, time]."""
    chains = np.atleast_2d(numbers(series, "series").astype(float))
    if chains.ndim != 2 or chains.size == 0:
        raise KadanoffError(f"a series has the shape [time] or [chain, time], not {np.shape(series)}.")
    if not np.isfinite(chains).all():
        raise KadanoffError(f"{np.sum(~np.isfinite(chains))} of {chains.size} samples are not finite; leave them out.")
    return chains


def _autocorrelation(deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    """rho(t) for t = 0..length-1, averaged over the chains [chain, time] and all pairs of samples."""
    length = deviations.shape[1]
    padded = 1 << (2 * length - 1).bit_length()
    power = np.zeros(padded // 2 + 1)
    for chain in deviations:
        power += np.abs(np.fft.rfft(chain, padded)) ** 2
    covariance = np.fft.irfft(power, padded)[:length] / np.arange(length, 0, -1)
    return covariance / covariance[0]
