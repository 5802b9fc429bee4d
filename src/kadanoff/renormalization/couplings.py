"""Couplings of Ising spins on a torus: sums of products of spins over translations and the square's symmetries.

An interaction is written as its sites, each (y, x) from 0: ``00 01`` is the product of nearest neighbours, ``00 01 10
11`` that of a square. It is even or odd under the flip of all spins as its number of sites is.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError, shown

Site = tuple[int, int]
Sites = tuple[Site, ...]
Packed = NDArray[np.uint8]

EVEN = ("00 01", "00 11", "00 01 10 11", "00 02", "00 12", "00 22", "00 01 02 11", "01 10 12 21")
"""Eight even interactions, the nearest neighbours first."""
ODD = ("00", "00 01 10", "00 01 02", "00 02 11", "01 10 11 12 21")
"""Five odd interactions, the single spin first."""


@cache
def images(interaction: str) -> tuple[Sites, ...]:
    """The different products that the square's eight symmetries make of an interaction, up to translations.

    Raises
    ------
    KadanoffError
        If it is no list of different sites, each two digits.
    """
    sites = interaction.split()
    if not sites or len(set(sites)) < len(sites) or not all(re.fullmatch(r"[0-9]{2}", site) for site in sites):
        raise KadanoffError(
            f"{shown(interaction)} is no interaction; write different sites, each two digits y and x, as in '00 01'."
        )
    places = [(int(site[0]), int(site[1])) for site in sites]
    found = set()
    for flip, up, left in product((False, True), (1, -1), (1, -1)):
        moved = [(up * x, left * y) if flip else (up * y, left * x) for y, x in places]
        top, first = min(y for y, _ in moved), min(x for _, x in moved)
        found.add(tuple(sorted((y - top, x - first) for y, x in moved)))
    return tuple(sorted(found))


def reach(interactions: Sequence[str]) -> int:
    """Side of the smallest torus on which no interaction touches itself around it."""
    return 1 + max(max(site) for interaction in interactions for sites in images(interaction) for site in sites)


def sums(spins: NDArray[np.int8], interactions: Sequence[str]) -> NDArray[np.int64]:
    """Every interaction, summed over a torus: spins int8 (n, y, x) -> int64 (n, interaction).

    Raises
    ------
    KadanoffError
        If an interaction is none, or does not fit on the lattice.
    """
    side = min(spins.shape[1:])
    if (needed := reach(interactions)) > side:
        raise KadanoffError(
            f"the lattice is {spins.shape[1]} x {spins.shape[2]}, and the interactions need {needed} x {needed}; take "
            "fewer steps, shorter interactions or a larger lattice."
        )
    down, packed = spins < 0, {}

    def shifted(site: Site) -> Packed:
        """Spins that are down at each place's `site`, eight columns a byte."""
        y, x = site
        if x not in packed:
            packed[x] = np.packbits(np.roll(down, -x, 2), axis=2)
        return np.roll(packed[x], -y, 1) if y else packed[x]

    sites, totals = spins[0].size, np.empty((len(spins), len(interactions)), np.int64)
    for number, interaction in enumerate(interactions):
        odd = [_count(np.bitwise_xor.reduce([shifted(site) for site in each])) for each in images(interaction)]
        totals[:, number] = sites * len(odd) - 2 * np.sum(odd, axis=0)
    return totals


def _count(bits: Packed) -> NDArray[np.int64]:
    """Set bits of each lattice (n,)."""
    return np.bitwise_count(bits).sum((1, 2), dtype=np.int64)
