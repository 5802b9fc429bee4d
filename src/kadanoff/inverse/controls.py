"""What an independent draw of pixels or blocks can reach at best: exact marginals at fixed coarse lattice.

Block-Gibbs sweeps with the exact conditional keep P_K(fine | coarse) (Efthymiou et al. 2019, eqs. 1 and 2). The average
of the conditional over sweeps is P(state of a block | whole coarse lattice), the optimum of the likelihood among all
draws of independent blocks; the marginals of its spins are the optimum of the cross-entropy (eq. 4) of independent
pixels.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kadanoff.inverse.kernels import LANES, LARGEST, LOW
from kadanoff.inverse.superresolve import Spins, Stream, draw_parts, independent_spins, random_blocks, sweep_blocks
from kadanoff.inverse.tables import Table, as_thresholds, known
from kadanoff.montecarlo.rng import philox, random_words
from kadanoff.spins.compiled import compiled
from kadanoff.spins.surroundings import block_shape, coarse_spins, states

SKIPPED = 5  # one sweep in this many, the first ones, is not averaged: the start is far from equilibrium
STREAMS = 4  # keys of random bits that `draws` takes
SWEEPS = (1, 2, 4)


def draws(
    spins: Spins, rule: str, block: int, temperature: float, keys: Sequence[np.uint64], first: int, sweeps: int
) -> Iterator[tuple[str, Spins]]:
    """Fine lattices for coarse ones (n, y, x) from the exact conditional at `temperature`, by the name of their draw.

    Block-Gibbs sweeps from blocks drawn evenly, `sweeps` of them for the marginals and for a draw as good as Monte
    Carlo; independent pixels and blocks from the marginals; and half of the latter with the rest given them.
    """
    dimension = spins.ndim - 1
    conditional, coarse = known(rule, block, dimension, temperature), coarse_spins(rule, block, dimension)
    chain, pixels, blocks, rest = ((key, first) for key in keys)
    start = random_blocks(spins, np.stack([coarse == -1, coarse == 1]), block, chain)
    last, probabilities = equilibrate(spins, start, conditional, chain, sweeps)
    chances = pixel_probabilities(probabilities, block, dimension)
    yield "independent pixels, exact optimum", independent_spins(chances, pixels)
    independent = independent_blocks(probabilities, block, dimension, blocks)
    yield "independent blocks, exact optimum", independent
    second = draw_parts(spins, [conditional], block, rest, independent)
    yield "exact conditional: one colour, then the other", second
    fine, done = start, 0
    for count in SWEEPS:
        fine, done = sweep_blocks(spins, fine, conditional, chain, count - done, done), count
        yield f"exact conditional: {count} sweep{'s' * (count > 1)}", fine
    yield f"exact conditional: {sweeps} sweeps", last


def equilibrate(
    spins: Spins, fine: Spins, conditional: Table, stream: Stream, sweeps: int
) -> tuple[Spins, NDArray[np.float64]]:
    """The lattices that `superresolve.sweep_blocks` makes of `fine`, and P(state | coarse lattice) of every block.

    The first fifth of the sweeps is not averaged. The probabilities are float64 (n, y, x, states), where a chain has
    y = 1; states that the conditional excludes have 0 exactly. 8 bytes a state: give a few thousand lattices at a time.
    """
    dimension, block = spins.ndim - 1, fine.shape[-1] // spins.shape[-1]
    inside = encode(fine, spins.shape[1:], block)
    sides, flat = inside.shape[1:], (len(inside), -1)
    own, up = inside.reshape(flat).astype(np.uint16), (spins.reshape(flat) > 0).astype(np.uint16)
    total = np.zeros((*own.shape, conditional.probabilities.shape[1]), np.uint64)
    seen = _seen(conditional, block_shape(block, dimension), sides)
    _sweep(up, own, seen, conditional.thresholds, _order(sides, dimension), (*stream, sweeps, sweeps // SKIPPED), total)
    cumulative = total.reshape(*inside.shape, -1).astype(np.float64)
    probabilities = np.diff(cumulative, axis=-1, prepend=0.0) / cumulative[..., -1:]
    return decode(own.reshape(inside.shape), block, dimension), probabilities


def independent_blocks(probabilities: NDArray[np.float64], block: int, dimension: int, stream: Stream) -> Spins:
    """Fine lattices whose blocks are drawn independently of one another from (n, y, x, states)."""
    thresholds = as_thresholds(probabilities)
    count, rows, columns, _ = thresholds.shape
    random = random_words(stream[0], count, rows * columns, stream[1]).reshape(count, rows, columns, 1)
    return decode((np.minimum(random & LOW, LARGEST) >= thresholds).sum(-1), block, dimension)


def pixel_probabilities(probabilities: NDArray[np.float64], block: int, dimension: int) -> NDArray[np.float64]:
    """P(+1) of every fine spin, from P(state) of every block (n, y, x, states): in the shape of the fine lattices."""
    return _placed(probabilities @ (states(block, dimension) > 0), block, dimension)


def encode(fine: Spins, coarse_sides: tuple[int, ...], block: int) -> NDArray[np.int64]:
    """State of every block of fine lattices: (n, y, x), where a chain has y = 1."""
    height, width = block_shape(block, len(coarse_sides))
    up = fine.reshape(len(fine), -1, height, coarse_sides[-1], width).swapaxes(2, 3) > 0
    return up.reshape(*up.shape[:3], -1) @ (1 << np.arange(height * width))


def decode(inside: NDArray, block: int, dimension: int) -> Spins:
    """Fine lattices of block states (n, y, x): int8 (n, block y, block x), or (n, block x)."""
    return _placed(states(block, dimension)[inside], block, dimension)


def _placed(values: NDArray, block: int, dimension: int) -> NDArray:
    """Values of the sites of each block (n, y, x, sites) as fine lattices."""
    (height, width), (count, rows, columns) = block_shape(block, dimension), values.shape[:3]
    fine = values.reshape(count, rows, columns, height, width).swapaxes(2, 3)
    return fine.reshape((count, rows * height, columns * width) if dimension == 2 else (count, columns * width))


def _seen(conditional: Table, shape: tuple[int, int], sides: tuple[int, ...]) -> tuple[NDArray, NDArray]:
    """Neighbours of blocks (block, neighbour), and what each of their states adds to the row (neighbour, state)."""
    (height, width), part = shape, conditional.part
    steps = sorted({(y // height, x // width) for y, x in part.fine})
    added = np.zeros((len(steps), 2 ** (height * width)), np.uint32)
    for bit, (y, x) in enumerate(part.fine, len(part.coarse)):
        site = y % height * width + x % width
        ups = np.arange(added.shape[1]) >> site & 1
        added[steps.index((y // height, x // width))] |= (ups << bit).astype(np.uint32)
    own_y, own_x = np.indices(sides).reshape(2, -1)
    places = [(own_y + down) % sides[0] * sides[1] + (own_x + right) % sides[1] for down, right in steps]
    return np.stack(places, 1).astype(np.uint32), added


def _order(sides: tuple[int, ...], dimension: int) -> NDArray[np.uint32]:
    """What `kernels.draw` goes through in both halves of a sweep: (half, block, (place, word, lane, first column))."""
    y, x = np.indices(sides).reshape(2, -1)
    colour = (y + x) & 1 if dimension == 2 else x & 1
    words = (sides[1] + LANES - 1) // LANES
    place = np.stack([y * sides[1] + x, y * words + x // (2 * LANES), x // 2 % LANES, x & 1], 1)
    return np.stack([place[colour == half] for half in range(2)]).astype(np.uint32)


@compiled
def _sweep(up, own, seen, thresholds, order, stream, total):
    """Sweep block states (n, block) in place, with the numbers of `sweep_blocks`; add cumulative probabilities.

    One lattice goes through all its sweeps before the next, so that it stays in the fastest memory.
    """
    neighbours, added = seen
    key, first_chain, sweeps, skipped = stream
    for chain in range(own.shape[0]):
        inside, coarse = own[chain], up[chain]
        for half in range(2 * sweeps):
            low, high = np.uint64(0), np.uint64(0)
            for block in order[half & 1]:
                place, word, lane, column = block[0], block[1], block[2], block[3]
                if lane == 0:
                    number = np.uint64(1000 + half)
                    low, high = philox(key, np.uint64(word), number, np.uint64(column), np.uint64(first_chain + chain))
                random = min(np.uint32((low if lane < 2 else high) >> np.uint64(32 * (lane & 1))), np.uint32(LARGEST))
                row = np.uint32(coarse[place])
                for j in range(neighbours.shape[1]):
                    row |= added[j, inside[neighbours[place, j]]]
                limits, state = thresholds[row], np.uint32(0)
                for k in range(thresholds.shape[1]):
                    state += np.uint32(random >= limits[k])
                inside[place] = state
                if half >= 2 * skipped:
                    sums = total[chain, place]
                    for k in range(thresholds.shape[1]):
                        sums[k] += np.uint64(limits[k])
