"""Numbers with error bars: autocorrelation time, mean of a correlated series, jackknife."""

from collections.abc import Callable
from itertools import pairwise
from math import inf, nan, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kadanoff.errors import KadanoffError, is_whole, numbers, shown
from kadanoff.estimate import Estimate

WINDOW = 5.0
"""Sokal's c: the sum over the autocorrelation function stops at the first lag M with M >= c tau(M)."""
SHORTEST = 50
"""A chain shorter than this many autocorrelation times does not measure them reliably (emcee's rule)."""
ONE_SIGMA = NormalDist().cdf(1.0)
"""Probability below one standard deviation, 0.841."""


class AutocorrelationTime(NamedTuple):
    """Integrated autocorrelation time `tau` in samples, its standard `error`, and whether to rely on it."""

    tau: float
    error: float
    reliable: bool


def autocorrelation_time(series: ArrayLike) -> AutocorrelationTime:
    """1/2 + sum_t rho(t) over the lags t = 1..M, the first M with M >= 5 tau.

    Deviations are from one mean over all chains. So chains that are stuck in different states show up: when
    their means scatter more than this tau allows, tau is what that scatter asks for, and it is not reliable.
    Sokal, in Functional Integration (1997), section 3; Madras and Sokal, J. Stat. Phys. 50, 109 (1988).

    Parameters
    ----------
    series
        Samples [chain, time], or [time] for one chain. Constant or anticorrelated series give 0.5, the least.

    Returns
    -------
    AutocorrelationTime
        `reliable` when every chain is at least 50 tau long and the chains agree.

    Raises
    ------
    KadanoffError
        If samples have another shape, or are not finite.
    """
    chains = _chains(series)
    count, length = chains.shape
    if np.ptp(chains) == 0:
        return AutocorrelationTime(0.5, 0.0, True)
    correlations = _autocorrelation(chains - chains.mean())
    taus = 0.5 + np.concatenate([[0.0], np.cumsum(correlations[1:])])
    inside = np.arange(length) >= WINDOW * taus
    window = int(inside.argmax()) if inside.any() else length - 1
    # The window cuts an alternating sum too early to be trusted below the value of independent samples.
    tau = max(float(taus[window]), 0.5)
    relative_error = sqrt(2 * (2 * window + 1) / chains.size)
    scatter, limit = _scatter_time(chains), tau * _chi_squared_limit(count - 1) * (1 + 4 * relative_error)
    agree = scatter <= limit
    tau = tau if agree else scatter
    return AutocorrelationTime(tau, tau * relative_error, bool(agree and length >= SHORTEST * tau))


def mean_estimate(series: ArrayLike) -> Estimate:
    """Mean of [chain, time] or [time], with the error sqrt(2 tau variance / n).

    Raises
    ------
    KadanoffError
        If there are fewer than 2 samples, or if chains of more than one sample have no reliable `autocorrelation_time`.
    """
    chains = _chains(series)
    count, length = chains.shape
    if chains.size < 2:
        raise KadanoffError(f"{chains.size} sample has no error bar; give at least 2.")
    tau, _, reliable = autocorrelation_time(chains)
    if length > 1 and not reliable:
        raise KadanoffError(
            f"the series has {count} x {length} samples [chain, time] and an autocorrelation time of {tau:.3g}; an "
            f"error needs chains that agree and are {SHORTEST} times as long as it. Take more samples; give "
            "independent ones as chains of one sample."
        )
    error = sqrt(2 * tau * chains.var(ddof=1) / chains.size)
    return Estimate(float(chains.mean()), error, tau, chains.size)


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
        Number of blocks, 2 to n; by default 100, or n if that is less.
    corrected
        Whether to take off the bias, which needs a function that is smooth in averages of the samples: no distance, no
        score.

    Raises
    ------
    KadanoffError
        If there are fewer than 2 blocks, or more than samples.
    """
    values = np.atleast_1d(numbers(samples, "samples"))
    count = len(values)
    blocks = min(count, 100) if blocks is None else blocks
    if not (is_whole(blocks) and 2 <= blocks <= count):
        raise KadanoffError(
            f"blocks is {shown(blocks)} for {count} samples; it must lie between 2 and the number of samples."
        )
    edges = block_edges(count, blocks)
    others = (np.concatenate([values[:start], values[stop:]]) for start, stop in pairwise(edges))
    thetas = np.array([function(samples) for samples in others])
    value = function(values)
    if corrected:
        value = less_bias(value, thetas, edges)
    return Estimate(float(value), block_error(thetas - thetas.mean()), n=count)


def block_edges(count: int, blocks: int) -> NDArray[np.int64]:
    """Where the blocks of consecutive samples begin, and where the last one ends: int (blocks + 1,)."""
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


def _scatter_time(chains: NDArray[np.float64]) -> float:
    """The tau that the scatter of the chains' means asks for: length var(means) / (2 variance).

    The variance is that by which rho(t) is divided: the mean square deviation.
    """
    count, length = chains.shape
    if count == 1 or length == 1:
        return 0.0
    return float(length * chains.mean(1).var(ddof=1) / (2 * chains.var()))


def _chi_squared_limit(freedom: int) -> float:
    """What chi^2/freedom exceeds with a probability of 3e-5 (4 sigma; Wilson and Hilferty 1931)."""
    if freedom == 0:
        return inf
    spread = 2 / (9 * freedom)
    return (1 - spread + 4 * sqrt(spread)) ** 3
