"""One enlargement of one large torus, in bands of rows.

Gibbs sweeps bring the coarse lattice into local equilibrium with the renormalized Hamiltonian
(`kadanoff.inverse.renormalized`), blocks are drawn, then Metropolis sweeps refine them.

The result depends on the seed and the level, never on the bands.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError, whole
from kadanoff.inverse import bands
from kadanoff.inverse.renormalized import STEP, RenormalizedGibbs
from kadanoff.inverse.superresolve import REACH, draw_blocks
from kadanoff.inverse.tables import Table
from kadanoff.montecarlo import devices
from kadanoff.montecarlo.multispin import LANES
from kadanoff.montecarlo.rng import stream_key
from kadanoff.spins.exact import T_C

Rows = NDArray[np.int8]
Read = Callable[[int, int], Rows]  # rows first to end - 1 of the coarse torus, int8 (end - first, x), counted around it
SLAB = 64  # coarse rows that are drawn at a time: their spins as bytes stay small
LARGEST = 1 << 17  # side of a lattice whose blocks are drawn: a 32-bit counter for every four of them in a row


@dataclass(frozen=True)
class Enlargement:
    """How a lattice is made larger: Gibbs sweeps of the coarse one, tables of `Blocks`, Metropolis sweeps at T_c."""

    scheme: list[Table]
    block: int
    sweeps: int
    seed: int
    gibbs: RenormalizedGibbs | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for table in self.scheme:
            _ = table.thresholds  # computed once, before threads share it
        if self.gibbs is not None:
            _ = self.gibbs.thresholds


def gibbs_swept(enlargement: Enlargement, read: Read, level: int, size: int) -> Read:
    """The rows of a coarse lattice of side `size` after the Gibbs sweeps: blocks are drawn from them."""
    if (gibbs := enlargement.gibbs) is None:
        return read
    stream = stream_key(enlargement.seed, "dress", level), 0

    def rows(first: int, end: int) -> Rows:
        top = first - first % STEP - gibbs.halo
        bottom = end + -end % STEP + gibbs.halo
        return gibbs.sweep(read(top, bottom)[None], stream, (top % size, size))[0, first - top : end - top]

    return rows


def draw_rows(enlargement: Enlargement, read: Read, level: int, size: int, band: range) -> Rows:
    """Fine rows, as drawn from a coarse lattice of side `size` after its Gibbs sweeps."""
    top = _top(enlargement, band.start) - REACH
    coarse = read(top, -(-band.stop // enlargement.block) + REACH)
    stream = stream_key(enlargement.seed, "enlarge", level), 0
    fine = draw_blocks(coarse[None], enlargement.scheme, enlargement.block, stream, band=(top % size, size))[0]
    return fine[band.start - enlargement.block * top : band.stop - enlargement.block * top]


def _top(enlargement: Enlargement, first: int) -> int:
    """The even coarse row at or just above fine row `first`."""
    return first // enlargement.block // 2 * 2


def refined(enlargement: Enlargement, read: Read, level: int, size: int, band: range) -> bands.Words:
    """Fine rows after the sweeps, as words of `kadanoff.inverse.bands`, without a halo.

    `read` gives the coarse lattice before its Gibbs sweeps.
    """
    side, halo = enlargement.block * size, bands.halo(enlargement.sweeps)
    start, end = band.start - halo, band.stop + halo
    top = _top(enlargement, start)
    coarse = gibbs_swept(enlargement, read, level, size)(top - REACH, -(-end // enlargement.block) + REACH)
    words = bands.words_of(end - start, side)
    for first in range(start, end, enlargement.block * SLAB):
        last = min(first + enlargement.block * SLAB, end)
        drawn = draw_rows(
            enlargement, lambda a, b: coarse[a - top + REACH : b - top + REACH], level, size, range(first, last)
        )
        bands.gather(drawn, words, first - start, start & 1)
    return _swept(enlargement, words, level, side, start)[:, halo : halo + len(band)]


def refine(enlargement: Enlargement, drawn: Rows, level: int) -> Rows:
    """A whole torus that was drawn elsewhere, after the sweeps."""
    side, halo = len(drawn), bands.halo(enlargement.sweeps)
    words = bands.words_of(side + 2 * halo, side)
    bands.gather(drawn[np.arange(-halo, side + halo) % side], words, 0, halo & 1)
    fine = np.empty((side, side), np.int8)
    bands.scatter(_swept(enlargement, words, level, side, -halo)[:, halo : halo + side], 0, 0, fine)
    return fine


def _swept(enlargement: Enlargement, words: bands.Words, level: int, side: int, first: int) -> bands.Words:
    """Words after the sweeps, in place; the first row is row `first` of the torus."""
    key = stream_key(enlargement.seed, "refine", level)
    advance = _advance(words, enlargement.device) if enlargement.sweeps else bands.advance
    advance(words, side, first % side, side, key, bands.thresholds(float(T_C)), enlargement.sweeps)
    return words


def _advance(words: bands.Words, device: str) -> Callable[..., None]:
    """What sweeps a band: this core, or a GPU, with ``auto`` if there is one that the band fills; the same bytes."""
    if device == "cpu" or (device == "auto" and (LANES * words.size < devices.FILLS or devices.lacking())):
        return bands.advance
    from kadanoff.inverse import gpu_bands

    return gpu_bands.gpu_advance()


def enlarge(enlargement: Enlargement, coarse: Rows, level: int, rows: int | None = None) -> Rows:
    """A whole torus in memory: int8 (y, x) -> (block y, block x), `rows` fine rows at a time."""
    size, side = len(coarse), enlargement.block * len(coarse)
    fine = np.empty((side, side), np.int8)
    for first in range(0, side, rows or side):
        part = fine[first : first + (rows or side)]
        words = refined(enlargement, around(coarse), level, size, range(first, first + len(part)))
        bands.scatter(words, 0, first & 1, part)
    return fine


def around(spins: Rows) -> Read:
    """Rows of a torus in memory, counted around it."""
    return lambda first, end: spins[np.arange(first, end) % len(spins)]


def sides_to(seed: int, size: int, block: int, where: str) -> list[int]:
    """Sides from that of the seed to `size`; `where` is the parameter that asks for it.

    KadanoffError if the size is not that of the seed times a power of the factor, or so large that random numbers would
    repeat, or the seed's is no multiple of 128.
    """
    seed, block = whole(seed, "the seed's side", 2, LARGEST), whole(block, "block", 2, LARGEST)
    size, found = whole(size, where, 1, 1 << 62), [seed]
    while found[-1] < size:
        found.append(block * found[-1])
    if found[-1] != size or len(found) == 1:
        larger = ", ".join(str(block**level * seed) for level in range(1, 6))
        raise KadanoffError(
            f"{where} is {size}; a seed of {seed} x {seed} grows by {block} at a time, so take one of {larger}, ..."
        )
    if found[-2] > LARGEST:  # Gibbs sweeps have counters up to twice this side, Metropolis sweeps up to 2^32
        raise KadanoffError(
            f"{where} is {size}; it is drawn from a lattice of side {found[-2]}, and beyond {LARGEST} random numbers "
            f"would repeat, so take {block * LARGEST} at the most."
        )
    if block * seed % bands.MULTIPLE:
        raise KadanoffError(
            f"the seed is {seed} x {seed}; the grown lattice is updated in {bands.MULTIPLE // 2} strips of even width, "
            f"so take a seed whose side is a multiple of {bands.MULTIPLE}."
        )
    return found
