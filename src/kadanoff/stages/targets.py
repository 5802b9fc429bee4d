"""Targets that were set beforehand, and whether numbers with errors meet them."""

from kadanoff.spins.statistics import Estimate


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
