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
from kadanoff.montecarlo.clusters import WORD, count
from kadanoff.spins.compiled import compiled

Site = tuple[int, int]
Sites = tuple[Site, ...]
CHUNK = 256  # words at a time: they stay in the fastest cache

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
    number, height, width = spins.shape
    if (needed := reach(interactions)) > min(height, width):
        raise KadanoffError(
            f"the lattice is {height} x {width}, and the interactions need {needed} x {needed}; take fewer steps, "
            "shorter interactions or a larger lattice."
        )
    products = [images(interaction) for interaction in interactions]
    words, sizes = -(-width // WORD), np.array([len(each) for each in products])
    # beyond the edges as many rows and columns again as products reach: each site's word is one at a fixed distance
    down = np.pad(spins < 0, ((0, 0), (0, needed - 1), (0, needed - 1)), "wrap")
    octets = np.zeros((needed, number, height + needed - 1, words * WORD // 8), np.uint8)
    for x in range(needed):
        bits = np.packbits(down[:, :, x : x + width], axis=2)
        octets[x, :, :, : bits.shape[2]] = bits
    places = np.array([(x, y * words) for each in products for sites in each for y, x in sites])
    ends = np.cumsum([len(sites) for each in products for sites in each])
    odd = np.empty((number, len(ends)), np.int64)
    _count_odd(octets.view(np.uint64).reshape(needed, number, -1), places, ends, height * words, odd)
    return height * width * sizes - 2 * np.add.reduceat(odd, np.cumsum(sizes) - sizes, 1)


@compiled
def _count_odd(shifted, places, ends, words, odd):
    """At how many places of a lattice an odd number of a product's spins is down: odd, int64 (n, product).

    The bits `shifted`, uint64 (x, n, word), are those of lattices moved by x columns; `places`, int64 (site, 2), hold x
    and how many words further on a site lies, those of a product up to its entry of `ends`; a lattice has `words`.
    """
    parity = np.empty(CHUNK, np.uint64)
    for lattice in range(shifted.shape[1]):
        start = 0
        for number, end in enumerate(ends):
            total = np.uint64(0)
            for begin in range(0, words, CHUNK):
                size = min(CHUNK, words - begin)
                parity[:size] = np.uint64(0)
                for site in range(start, end):
                    x, first = places[site, 0], places[site, 1] + begin
                    for i in range(size):
                        parity[i] ^= shifted[x, lattice, first + i]
                for i in range(size):
                    total += count(parity[i])
            odd[lattice, number] = total
            start = end
