"""Numbers with error bars: autocorrelation time, mean of a correlated series, jackknife."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite, nan, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kadanoff.errors import KadanoffError, is_whole, numbers, shown

WINDOW = 5.0
"""Sokal's c: the sum over the autocorrelation function stops at the first lag M with M >= c tau(M)."""
SHORTEST = 50
"""A chain shorter than this many autocorrelation times does not measure them reliably (emcee's rule)."""


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error, printed as 0.1234(56).

    Parameters
    ----------
    mean, error
        The value and one standard error.
    tau
        Integrated autocorrelation time in samples; 0.5 when they are taken as independent.
    n
        Number of samples.
    """

    mean: float
    error: float
    tau: float = 0.5
    n: int = 1

    def sigmas(self, other: "Estimate | float") -> float:
        """Deviation from an exact value, or from an independent estimate, in standard errors."""
        expected, extra = (other.mean, other.error) if isinstance(other, Estimate) else (other, 0.0)
        difference, error = self.mean - expected, sqrt(self.error**2 + extra**2)
        if error == 0:
            return 0.0 if difference == 0 else inf * difference
        return difference / error

    def __str__(self) -> str:
        if not (isfinite(self.error) and self.error > 0):
            return f"{self.mean:.8g}({self.error:g})"
        digits, exponent = f"{self.error:.1e}".split("e")
        decimals = 1 - int(exponent)
        if decimals > 1:
            return f"{self.mean:.{decimals}f}({digits.replace('.', '')})"
        if decimals == 1:
            return f"{self.mean:.1f}({digits})"
        return f"{round(self.mean, decimals):.0f}({float(digits) * 10 ** int(exponent):.0f})"


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
        If there are fewer than 2 samples.
    """
    chains = _chains(series)
    if chains.size < 2:
        raise KadanoffError(f"{chains.size} sample has no error bar; give at least 2.")
    tau = autocorrelation_time(chains).tau
    error = sqrt(2 * tau * chains.var(ddof=1) / chains.size)
    return Estimate(float(chains.mean()), error, tau, chains.size)


def independent_mean(samples: NDArray) -> Estimate:
    """Mean of independent samples [n], with its standard error: not a number for a single one."""
    if numbers(samples, "samples").size == 0:
        raise KadanoffError("there are 0 samples to average; give at least 1.")
    error = samples.std(ddof=1) / sqrt(len(samples)) if len(samples) > 1 else nan
    return Estimate(float(samples.mean()), float(error), n=len(samples))


def jackknife(function: Callable[[NDArray], float], samples: ArrayLike, blocks: int | None = None) -> Estimate:
    """`function` of all samples, with the error of leaving out one block at a time.

    error^2 = (B - 1)/B sum_b (theta_b - mean theta)^2: Efron, The Jackknife (1982), chapter 3. Blocks of
    consecutive samples several autocorrelation times long make it right for correlated samples too.

    Parameters
    ----------
    function
        Takes samples [n, ...] and returns a number.
    samples
        Shape [n, ...], in the order of time.
    blocks
        Number of blocks, 2 to n; by default 100, or n if that is less.

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
    edges = np.linspace(0, count, blocks + 1).astype(int)
    others = (np.concatenate([values[:start], values[stop:]]) for start, stop in pairwise(edges))
    thetas = np.array([function(samples) for samples in others])
    error = sqrt((blocks - 1) / blocks * np.sum((thetas - thetas.mean()) ** 2))
    return Estimate(float(function(values)), error, n=count)


def _chains(series: ArrayLike) -> NDArray[np.float64]:
    """Samples as [chain, time]."""
    chains = np.atleast_2d(numbers(series, "series").astype(float))
    if chains.ndim != 2 or chains.size == 0:
        raise KadanoffError(f"a series has the shape [time] or [chain, time], not {np.shape(series)}.")
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
    """The tau that the scatter of the chains' means asks for: length var(means) / (2 variance)."""
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
