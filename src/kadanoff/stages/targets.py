"""Targets that were set beforehand, and whether numbers with errors meet them."""

from kadanoff.spins.statistics import Estimate

SIGMAS = 3.0
"""Standard errors within which what is 0 by a symmetry has to be found."""


def verdict(found: Estimate | None, target: float, within: float) -> str:
    """Yes or no, whether an estimate is within so much of its target; and where its error leaves that open."""
    if found is None:
        return "no"
    off = abs(found.mean - target)
    met = "yes" if off <= within else "no"
    return met if found.error == 0 or abs(off - within) > found.error else f"{met}, open by its error"


def at_least(found: Estimate | None, least: float) -> str:
    """Yes or no, whether an estimate reaches its target; and where its error leaves that open."""
    if found is None:
        return "no"
    met = "yes" if found.mean >= least else "no"
    return met if found.error == 0 or abs(found.mean - least) > found.error else f"{met}, open by its error"


def vanishes(found: Estimate, needed: float) -> str:
    """Yes or no, whether an estimate is 0 within `SIGMAS` standard errors; and where they are too large to tell."""
    if abs(found.sigmas(0.0)) > SIGMAS:
        return "no"
    return "yes" if found.error <= needed else f"open, as its error is above {needed:g}"
