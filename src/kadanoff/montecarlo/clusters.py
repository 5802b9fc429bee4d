"""Connected clusters of active bonds on bit-packed rows, and one coin for each.

A row of spins lies in words of 64 sites: site x is bit x % 64 of word x // 64. The labelling goes by runs:
the sites of one word that active horizontal bonds join. Runs are numbered in raster order from 1; run 0 is
the ghost, the fixed spins outside of the lattice. `starts` marks the first site of each run and `first`
numbers the first run of each word, so that a count of bits gives the run of a site.

The forest `parent` keeps parent[run] <= run. So the root of a cluster is its smallest run, whatever the
order of the joins, and one pass in raster order takes the coin of each root to all runs of its cluster.

Sources: Hoshen, Kopelman, Phys. Rev. B 14, 3438 (1976); He, Chao, Suzuki, "A run-based two-scan labeling
algorithm", IEEE Trans. Image Process. 17, 749 (2008); Rem's algorithm with splicing: Patwary, Blair, Manne,
"Experiments on union-find algorithms for the disjoint-set data structure", SEA 2010, section 2.
"""

import numpy as np
from numba import njit

from kadanoff.spins.compiled import compiled

WORD = 64
NONE = np.uint64(0)
ONE = np.uint64(1)
GHOST = np.uint64(0)
EVERY_2ND = np.uint64(0x5555555555555555)
TWO_OF_FOUR = np.uint64(0x3333333333333333)
FOUR_OF_EIGHT = np.uint64(0x0F0F0F0F0F0F0F0F)
LOWEST_OF_EIGHT = np.uint64(0x0101010101010101)


@njit(inline="always")
def count(bits):
    """Number of set bits: a pattern that LLVM knows, and turns into one instruction."""
    bits -= (bits >> ONE) & EVERY_2ND
    bits = (bits & TWO_OF_FOUR) + ((bits >> np.uint64(2)) & TWO_OF_FOUR)
    bits = (bits + (bits >> np.uint64(4))) & FOUR_OF_EIGHT
    return (bits * LOWEST_OF_EIGHT) >> np.uint64(56)


@njit(inline="always")
def up_to_lowest(bits):
    """The bits up to the lowest set bit, inclusive."""
    return bits ^ (bits - ONE)


@njit(inline="always")
def prefix_xor(bits):
    """Bit x of the result is the parity of the bits 0 to x."""
    for shift in (1, 2, 4, 8, 16, 32):
        bits ^= bits << np.uint64(shift)
    return bits


@njit(inline="always")
def repeated(bits, links):
    """The set bits that a lower set bit reaches over links; link x joins the bits x-1 and x."""
    reached, reach = bits, links
    for shift in (1, 2, 4, 8, 16, 32):
        reached |= reach & (reached << np.uint64(shift))
        reach &= reach << np.uint64(shift)
    return bits & links & (reached << ONE)


@compiled
def unite(parent, run, other):
    """Join two trees under the smaller root (Rem's algorithm with splicing).

    Nearly every run is at most two steps from its root, so that the loop seldom runs; a join of what is
    joined already writes parent[root] = root. Both save branches that cannot be predicted.
    """
    first, second = parent[parent[run]], parent[parent[other]]
    high, low = max(first, second), min(first, second)
    above = parent[high]
    while above != high:
        parent[high] = min(above, low)
        high, low = max(above, low), min(above, low)
        above = parent[high]
    parent[high] = low


@compiled
def unite_vertical(parent, bonds, above_starts, above_first, starts, first):
    """Join the runs of two words along the vertical bonds between them, each pair of runs once."""
    bonds &= ~repeated(bonds, ~(above_starts | starts))
    while bonds:
        left = up_to_lowest(bonds)
        bonds &= bonds - ONE
        unite(parent, above_first + count(above_starts & left) - ONE, first + count(starts & left) - ONE)


@compiled
def adopt(parent, bonds, above_starts, above_first, starts, first):
    """Hang new runs under the runs above them; returns the bonds of runs that have another bond already."""
    others = repeated(bonds, ~starts)
    bonds ^= others
    while bonds:
        left = up_to_lowest(bonds)
        bonds &= bonds - ONE
        above = parent[above_first + count(above_starts & left) - ONE]
        parent[first + count(starts & left) - ONE] = parent[above]
    return others


@compiled
def label(right, down, inside, last, starts, first, parent):
    """Join the runs of a lattice into clusters.

    Parameters
    ----------
    right, down
        uint64[height, words]: active bonds to the right and downwards, across the edges too.
    inside, last
        uint64[words]: the bits that are sites, and the number of the last of them.
    starts, first, parent
        Results: uint64[height, words], uint64[height, words] and uint32[sites + 65].
    """
    height, words = right.shape
    parent[GHOST] = GHOST
    run = ONE
    for y in range(height):
        for w in range(words):
            begin = inside[w] & ~(right[y, w] << ONE)
            starts[y, w], first[y, w] = begin, run
            for i in range(WORD):  # more than there are, but a fixed number: a few vector stores
                parent[run + np.uint64(i)] = np.uint32(run) + np.uint32(i)
            if y > 0:
                above, above_run = starts[y - 1, w], first[y - 1, w]
                others = adopt(parent, down[y - 1, w], above, above_run, begin, run)
                unite_vertical(parent, others, above, above_run, begin, run)
            if w > 0 and right[y, w - 1] >> last[w - 1]:
                unite(parent, run - ONE, run)
            run += count(begin)
        if right[y, words - 1] >> last[words - 1]:
            unite(parent, run - ONE, first[y, 0])
    end = height - 1
    for w in range(words):
        unite_vertical(parent, down[end, w], starts[end, w], first[end, w], starts[0, w], first[0, w])


@compiled
def freeze(parent, bonds, starts, first):
    """Join the runs of a word that hold a set bit of `bonds` to the ghost."""
    bonds &= ~repeated(bonds, ~starts)
    while bonds:
        unite(parent, GHOST, first + count(starts & up_to_lowest(bonds)) - ONE)
        bonds &= bonds - ONE


@compiled
def flip(spins, coins, inside, starts, first, parent, flips):
    """Turn over each cluster whose coin, the bit of its first site, is set; the ghost's cluster never.

    `spins` and `coins` are uint64[height, words]; `flips` is scratch, uint8[sites + 1]; the others as in
    `label`.
    """
    height, words = spins.shape
    flips[GHOST] = 0
    for y in range(height):
        for w in range(words):
            begin, run, coin = starts[y, w], first[y, w], coins[y, w]
            previous = NONE
            edges = NONE  # where runs begin that turn unlike the run to their left
            while begin:
                site = count(up_to_lowest(begin)) - ONE
                begin &= begin - ONE
                root = np.uint64(parent[run])
                inherited = np.uint64(flips[root])
                turned = (coin >> site) & ONE if root == run else inherited
                flips[run] = turned
                edges |= (turned ^ previous) << site
                previous = turned
                run += ONE
            spins[y, w] ^= inside[w] & prefix_xor(edges)
