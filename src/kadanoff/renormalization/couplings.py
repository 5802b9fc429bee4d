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

EVEN = (
    *("00 01", "00 11", "00 01 10 11", "00 02", "00 12", "00 22", "00 01 02 11", "01 10 12 21", "00 02 11 12"),
    *("00 01 20 21", "00 01 02 10 11 12", "00 02 20 22", "00 01 02 12", "00 02 11 22"),
)
"""Fourteen even interactions, the nearest neighbours first."""
ODD = ("00", "00 01 10", "00 01 02", "00 02 11", "01 10 11 12 21", "00 01 12", "00 02 20")
"""Seven odd interactions, the single spin first.

With 16 and 12 of them y_T and y_H of 3 x 3 blocks change by less than 4e-5 and 1e-5 at step 2 (L = 81).
"""


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
    """Side of the smallest torus on which no interaction touches itself around it; KadanoffError if there are none."""
    if not interactions:
        raise KadanoffError("there are no interactions; give one or more.")
    return 1 + max(max(site) for interaction in interactions for sites in images(interaction) for site in sites)


def sums(spins: NDArray[np.int8], interactions: Sequence[str]) -> NDArray[np.int64]:
    """Every interaction, summed over a torus: spins int8 (n, y, x) -> int64 (n, interaction).

    Raises
    ------
    KadanoffError
        If an interaction is none, or does not fit on the lattice.
    """
    if spins.ndim != 3:
        raise KadanoffError(f"spins have the shape {spins.shape}; give lattices (n, y, x).")
    number, height, width = spins.shape
    needed, sizes, places, ends = _plan(tuple(interactions))
    if needed > min(height, width):
        raise KadanoffError(
            f"the lattice is {height} x {width}, and the interactions need {needed} x {needed}; take fewer steps, "
            "shorter interactions or a larger lattice."
        )
    down = spins < 0
    octets = np.packbits(np.concatenate([down, down[:, :, :needed]], 2), axis=2, bitorder="little")
    packed = np.zeros((number, height, (-(-width // WORD) + 1) * WORD // 8), np.uint8)
    packed[:, :, : octets.shape[2]] = octets
    odd = np.empty((number, len(ends)), np.int64)
    _count_odd(packed.view("<u8").astype(np.uint64, copy=False), width, needed, places, ends, odd)
    return height * width * sizes - 2 * np.add.reduceat(odd, np.cumsum(sizes) - sizes, 1)


@cache
def _plan(interactions: tuple[str, ...]) -> tuple[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Reach, number of products of each interaction, sites (y, x) of all products, and where each of these ends."""
    products = [images(interaction) for interaction in interactions]
    sites = np.array([site for each in products for sites in each for site in sites])
    ends = np.cumsum([len(sites) for each in products for sites in each])
    return reach(interactions), np.array([len(each) for each in products]), sites, ends


@compiled
def _count_odd(packed, width, needed, places, ends, odd):
    """At how many places of a lattice an odd number of a product's spins is down: odd, int64 (n, product).

    Site x is bit x % 64 of word x // 64 of `packed`, uint64 (n, height, words + 1), which begins anew after `width`.
    `places`, int64 (site, 2), are those of a product up to its entry of `ends`.
    """
    height, words = packed.shape[1], packed.shape[2] - 1
    inside = ~np.uint64(0) >> np.uint64(words * WORD - width)
    # lattices moved by x columns, with as many rows again as products reach: a site's word is at a fixed distance
    moved = np.empty((needed, (height + needed - 1) * words), np.uint64)
    parity = np.empty(CHUNK, np.uint64)
    for lattice in range(len(packed)):
        for x in range(needed):
            for y in range(height + needed - 1):
                row = packed[lattice, y if y < height else y - height]
                for w in range(words):
                    following = row[w + 1] << np.uint64(WORD - x) if x else np.uint64(0)
                    moved[x, y * words + w] = row[w] >> np.uint64(x) | following
                moved[x, (y + 1) * words - 1] &= inside
        start = 0
        for number, end in enumerate(ends):
            total = np.uint64(0)
            for begin in range(0, height * words, CHUNK):
                size = min(CHUNK, height * words - begin)
                parity[:size] = np.uint64(0)
                for site in range(start, end):
                    x, first = places[site, 1], places[site, 0] * words + begin
                    for i in range(size):
                        parity[i] ^= moved[x, first + i]
                for i in range(size):
                    total += count(parity[i])
            odd[lattice, number] = total
            start = end
