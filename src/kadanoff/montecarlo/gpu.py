"""`metropolis.advance` on an NVIDIA GPU, with the same bytes: a launch of a Triton kernel for each colour of a sweep.

Board, rule and random bits are those of `metropolis`. Only the halo is not filled: a thread that looks across an edge
of the lattice computes what lies there. A program is one warp, so that it draws no more random bits than its own words
need. The same kernel advances bands of rows (`kadanoff.inverse.gpu_bands`), which lie in words and count their random
bits in another way.

With TRITON_INTERPRET=1 in the environment before Triton is imported, the kernel runs in Triton's interpreter: on any
machine, and so slowly that it serves tests only.
"""

from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from psutil import virtual_memory

from kadanoff.errors import KadanoffError
from kadanoff.montecarlo import checkerboard, metropolis, multispin
from kadanoff.montecarlo.devices import WITHOUT
from kadanoff.spins.boundary import Lattice

BLOCK, WARPS = 64, 1  # words and warps of a program
MOST_WORDS = 1 << 31  # that 32-bit places can tell apart
DEVICE = "cpu" if triton.knobs.runtime.interpret else "cuda"

MARGIN = tl.constexpr(checkerboard.MARGIN)
TOP, BOTTOM, LEFT, RIGHT = (tl.constexpr(edge) for edge in range(4))
EAGER_PAIRS, PAIRS = tl.constexpr(metropolis.EAGER_PAIRS), tl.constexpr(multispin.PAIRS)


@triton.jit
def _across(edges, EDGE: tl.constexpr, wrapped, spin):
    """What a site sees across an edge, as `checkerboard.fill_rows` and `fill_columns` write it into the halo."""
    wrap, mirror, flip = tl.load(edges + 3 * EDGE), tl.load(edges + 3 * EDGE + 1), tl.load(edges + 3 * EDGE + 2)
    return ((wrapped & wrap) | (spin & mirror)) ^ flip


@triton.jit
def _place(layer, y, i, SHAPE: tl.constexpr):
    """Where the words of row y and column i lie; a layer is one colour of a group."""
    return (layer * (SHAPE[0] + 2) + y + 1) * (SHAPE[2] + 2 * MARGIN) + MARGIN + i


@triton.jit
def _strip_before(word):
    """The strips before those of a word; >> repeats the sign."""
    return (word << 1) | ((word >> 63) & 1)


@triton.jit
def _strip_after(word):
    """The strips after those of a word."""
    return ((word >> 1) & 0x7FFFFFFFFFFFFFFF) | (word << 63)


@triton.jit
def _neighbours(
    words,
    edges,
    inside,
    spin,
    group,
    colour,
    y,
    i,
    SHAPE: tl.constexpr,
    STRIPS: tl.constexpr,
    BAND: tl.constexpr,
    EDGES: tl.constexpr,
):
    """Words above, below, to the left and to the right of the words (y, i) of one colour."""
    LAST: tl.constexpr = SHAPE[0] - 1
    END: tl.constexpr = SHAPE[1] - 1
    x, other = 2 * i + ((y + colour) & 1), 2 * group + 1 - colour
    top, bottom, first, last = y == 0, y == LAST, x == 0, x == END
    if BAND:  # what lies above and below is there
        top, bottom = y < 0, y < 0
    # an odd side changes the colour across its edges
    beyond_y, beyond_x = other ^ (SHAPE[0] & 1), other ^ (SHAPE[1] & 1)
    above = _place(tl.where(top, beyond_y, other), tl.where(top, LAST, y - 1), i, SHAPE)
    below = _place(tl.where(bottom, beyond_y, other), tl.where(bottom, 0, y + 1), i, SHAPE)
    before = _place(tl.where(first, beyond_x, other), y, tl.where(first, END // 2, (x - 1) // 2), SHAPE)
    after = _place(tl.where(last, beyond_x, other), y, tl.where(last, 0, (x + 1) // 2), SHAPE)
    up, down = tl.load(words + above, inside), tl.load(words + below, inside)
    left, right = tl.load(words + before, inside), tl.load(words + after, inside)
    if STRIPS:  # the row above the first of a strip is the last of the strip before
        up, down = tl.where(top, _strip_before(up), up), tl.where(bottom, _strip_after(down), down)
    if BAND:  # its strips are of columns
        left, right = tl.where(first, _strip_before(left), left), tl.where(last, _strip_after(right), right)
    if EDGES:
        up = tl.where(top, _across(edges, TOP, up, spin), up)
        down = tl.where(bottom, _across(edges, BOTTOM, down, spin), down)
        left = tl.where(first, _across(edges, LEFT, left, spin), left)
        right = tl.where(last, _across(edges, RIGHT, right, spin), right)
    return up, down, left, right


@triton.jit
def _compare(less, undecided, first, second, plane, classes, planes):
    """One plane of r < threshold, as `multispin.compare_plane`; its random bits are two words of 32."""
    random = (second.to(tl.int64) << 32) | first.to(tl.int64)
    threshold = random ^ random
    for n in tl.static_range(len(classes)):
        threshold |= classes[n] & tl.load(planes + plane * len(classes) + n)
    return less | (undecided & threshold & ~random), undecided & ~(random ^ threshold)


@triton.jit
def _compare_pair(less, undecided, pair, key, site, sweep, group, classes, planes):
    """Two planes, from one Philox block."""
    x0, x1, x2, x3 = tl.philox(key, site, sweep, pair, group)
    less, undecided = _compare(less, undecided, x0, x1, 2 * pair, classes, planes)
    return _compare(less, undecided, x2, x3, 2 * pair + 1, classes, planes)


@triton.jit(
    do_not_specialize=[
        *("key", "first_group", "sweep", "colour", "region", "first_row", "first_column", "count", "height")
    ]
)
def half_sweep(
    words,
    edges,
    absent,
    members,
    planes,
    key: tl.uint64,
    first_group: tl.uint32,
    sweep: tl.uint32,
    colour: tl.int32,
    region: tl.int32,
    first_row: tl.int32,
    first_column: tl.int32,
    count: tl.int32,
    height: tl.int32,
    SHAPE: tl.constexpr,
    SPAN: tl.constexpr,
    PATTERNS: tl.constexpr,
    STRIPS: tl.constexpr,
    BAND: tl.constexpr,
    EDGES: tl.constexpr,
    ABSENT: tl.constexpr,
    ANTI: tl.constexpr,
    FIELD: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Update the `count` words of one colour and region in all groups.

    The arrays are those of a `Board` and a `Rule`, and words int64[group, colour, row, column] with an unused halo.
    SHAPE is (rows, width, columns), and SPAN (rows, columns) of the region. With BAND the words are those of
    `kadanoff.inverse.bands`, but for its first and last row; `first_group` is then the place of the next row in a torus
    of `height` rows, and `sweep` the number of the half-sweep.
    """
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = n < count
    i = first_column + n % SPAN[1]
    y = first_row + n // SPAN[1] % SPAN[0]
    group = n // (SPAN[0] * SPAN[1])
    site = (colour * SHAPE[0] + y) * SHAPE[2] + i
    own = words + _place(2 * group + colour, y, i, SHAPE)
    spin = tl.load(own, inside)
    none = spin ^ spin
    up, down, left, right = _neighbours(words, edges, inside, spin, group, colour, y, i, SHAPE, STRIPS, BAND, EDGES)
    aligned = ~spin if ANTI else spin
    up, down, left, right = up ^ aligned, down ^ aligned, left ^ aligned, right ^ aligned
    one_y, one_x, two_y, two_x = up ^ down, left ^ right, up & down, left & right
    k0, k1, k2, k3 = none, one_y ^ one_x, (two_y ^ two_x) | (one_y & one_x), two_y & two_x
    if ABSENT:
        k0, a1 = tl.load(absent + site, inside), tl.load(absent + 2 * SHAPE[0] * SHAPE[2] + site, inside)
        k1, k2, k3 = k1 ^ a1, k2 ^ (k1 & a1), k3 ^ (k2 & k1 & a1)
    seen = spin if FIELD else none
    eligible = tl.load(members + (2 * region + ((y + colour) & 1)) * SHAPE[2] + i, inside, 0)
    classes, costly = (), none
    for p in tl.static_range(len(PATTERNS)):
        differs = (k0 ^ PATTERNS[p][0]) | (k1 ^ PATTERNS[p][1]) | (k2 ^ PATTERNS[p][2]) | (k3 ^ PATTERNS[p][3])
        classes += (eligible & ~(differs | (seen ^ PATTERNS[p][4])),)  # type: ignore[assignment]
        costly |= classes[p]
    place, chains = site.to(tl.uint32), (first_group + group).to(tl.uint32)
    if BAND:
        place, chains = i.to(tl.uint32), ((first_group + y).to(tl.int32) % height).to(tl.uint32)
    less, undecided = none, costly
    for pair in tl.static_range(EAGER_PAIRS):
        less, undecided = _compare_pair(less, undecided, pair, key, place, sweep, chains, classes, planes)
    pair = EAGER_PAIRS
    while (pair < PAIRS) & (tl.max((undecided != 0).to(tl.int32), 0) > 0):
        less, undecided = _compare_pair(less, undecided, pair, key, place, sweep, chains, classes, planes)
        pair += 1
    tl.store(own, spin ^ ((eligible & ~costly) | less), inside)


def constants(board: checkerboard.Board, rule: metropolis.Rule) -> dict[str, Any]:
    """What the kernel of a lattice at a temperature is compiled for, but for the span of a region."""
    shape = board.shape
    periodic = [[multispin.ALL, multispin.NONE, multispin.NONE]] * 4
    return {
        "SHAPE": (shape.rows, shape.width, shape.columns),
        "PATTERNS": tuple(map(tuple, rule.patterns.view(np.int64).tolist())),
        "STRIPS": bool(shape.rotation),
        "BAND": False,
        "EDGES": not np.array_equal(board.edges, periodic),
        "ABSENT": bool(board.absent.any()),
        "ANTI": bool(board.coupling),
        "FIELD": bool(rule.sees_spin),
        "BLOCK": BLOCK,
    }


def on_device(words: NDArray[np.uint64]) -> torch.Tensor:
    """A copy on the GPU, as int64."""
    return torch.from_numpy(np.ascontiguousarray(words).view(np.int64)).to(DEVICE)


def require_room(words: int, others: int = 0) -> None:
    """KadanoffError if the GPU has no memory for so many words of spins, beside so many bytes of others."""
    free = torch.cuda.mem_get_info()[0] if DEVICE == "cuda" else virtual_memory().available
    room = min(free - others, 8 * MOST_WORDS)
    if 8 * words >= room:
        raise KadanoffError(
            f"the spins take {8 * words / 1e9:.1f} GB on the GPU, where {room / 1e9:.1f} GB can be used; {WITHOUT}"
        )


def advance(
    spins: NDArray[np.int8],
    lattice: Lattice,
    temperature: float,
    field: float,
    key: np.uint64,
    first_chain: int,
    first_sweep: int,
    sweeps: int,
    heat_bath: bool = False,
) -> None:
    """As `metropolis.advance`, with the same bytes: on the GPU, all chains at once.

    Raises
    ------
    KadanoffError
        If the lattices take more memory than the GPU has.
    ValueError
        As `metropolis.advance`.
    """
    lane = metropolis.checked_layout(spins, lattice, first_chain)
    rule = metropolis.acceptance(lattice, temperature, field, heat_bath)
    board = checkerboard.board(lattice, lane)
    chains = 1 if lane == "strips" else multispin.LANES
    groups = [spins[first : first + chains] for first in range(0, len(spins), chains)]
    lanes = [group.reshape(-1, board.shape.rows, board.shape.width) for group in groups]
    rows, columns = board.shape.rows + 2, board.shape.columns + 2 * checkerboard.MARGIN
    require_room(2 * len(groups) * rows * columns, board.absent.nbytes)
    words = on_device(np.stack([checkerboard.gather(each, board.shape) for each in lanes]))
    edges, members, planes = map(on_device, (board.edges, board.members, rule.planes))
    settings = constants(board, rule)
    absent = on_device(board.absent) if settings["ABSENT"] else edges  # not read then
    for sweep in range(first_sweep, first_sweep + sweeps):
        for region, (top, bottom, left, right) in enumerate(board.regions.tolist()):
            span = bottom - top, right - left
            count = len(groups) * span[0] * span[1]
            for colour in range(2):
                half_sweep[(triton.cdiv(count, BLOCK),)](
                    *(words, edges, absent, members, planes),
                    *(int(key), first_chain // chains, sweep, colour, region, top, left, count, 0),
                    SPAN=span,
                    **settings,
                    num_warps=WARPS,
                )
    for each, advanced in zip(lanes, words.cpu().numpy().view(np.uint64), strict=True):
        checkerboard.scatter(advanced, each)
