"""Targets that were set beforehand, and whether numbers with errors meet them."""

from collections.abc import Iterable

from kadanoff.estimate import Estimate

SIGMAS = 3.0
"""Standard errors that what a target allows must be, as with larger ones anything would lie within it; and within which
what is 0 by a symmetry has to be found."""


def needed(within: float) -> float:
    """The largest error with which an estimate can meet a target."""
    return within / SIGMAS


def verdict(found: Estimate | None, target: float, within: float) -> str:
    """Whether an estimate is within so much of its target: `yes`, `no`, or `open` if its error does not tell.

    >>> [verdict(Estimate(mean, error), 0.0, 3.0) for mean, error in ((1, 1), (1, 2), (5, 1), (5, 3), (2.5, 1))]
    ['yes', 'open', 'no', 'open', 'open']
    """
    if found is None:
        return "no"
    beyond = abs(found.mean - target) - within
    if beyond > 0 and beyond > found.error:
        return "no"
    return "yes" if found.error <= min(-beyond, needed(within)) else "open"


def every(verdicts: Iterable[str]) -> str:
    """The verdict on several estimates that all have to meet a target."""
    found = set(verdicts)
    return "no" if "no" in found else "open" if "open" in found else "yes"


def at_least(found: Estimate | None, least: float) -> str:
    """Yes or no, whether an estimate reaches its target; and where its error leaves that open."""
    if found is None:
        return "no"
    met = "yes" if found.mean >= least else "no"
    return met if found.error == 0 or abs(found.mean - least) > found.error else f"{met}, open by its error"


def vanishes(found: Estimate, largest: float) -> str:
    """Whether an estimate is 0 within `SIGMAS` standard errors: `open` if it is, but they are larger than allowed."""
    if abs(found.sigmas(0.0)) > SIGMAS:
        return "no"
    return "yes" if found.error <= largest else "open"
