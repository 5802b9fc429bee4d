"""`bands.advance` on an NVIDIA GPU, with the same bytes: by the kernel of `kadanoff.montecarlo.gpu`."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
import triton
from numpy.typing import NDArray

from kadanoff.inverse import bands
from kadanoff.montecarlo.checkerboard import MARGIN
from kadanoff.montecarlo.devices import verified
from kadanoff.montecarlo.gpu import BLOCK, WARPS, half_sweep, on_device, require_room
from kadanoff.montecarlo.multispin import ALL, LANES

COSTS_EIGHT, COSTS_FOUR = (0, 0, 0, 0, 0), (0, -1, 0, 0, 0)
"""As patterns of `metropolis.Rule`: no bond is unsatisfied, or one."""


def constants(words: bands.Words, width: int) -> dict[str, Any]:
    """What the kernel of a band is compiled for. Its own rows are all but the first and the last."""
    shape = words.shape[1] - 2, width // LANES, words.shape[2] - 2 * MARGIN
    flags = dict.fromkeys(("STRIPS", "EDGES", "ABSENT", "ANTI", "FIELD"), False) | {"BAND": True, "BLOCK": BLOCK}
    return flags | {"SHAPE": shape, "SPAN": (shape[0], shape[1] // 2), "PATTERNS": (COSTS_EIGHT, COSTS_FOUR)}


def advance(
    words: bands.Words,
    width: int,
    first_row: int,
    height: int,
    key: np.uint64,
    planes: tuple[NDArray[np.uint64], ...],
    sweeps: int,
) -> None:
    """As `bands.advance`, with the same bytes in all rows that are not spoilt.

    KadanoffError if the GPU has no room for the band.
    """
    require_room(2 * words.size)  # beside them, in the other order
    settings = constants(words, width)
    (rows, columns), turned = settings["SPAN"], 1 - first_row % 2
    order = (0,) if turned else ()  # the kernel counts colours from the second row
    found, members = on_device(words).flip(order), on_device(np.full((2, settings["SHAPE"][2]), ALL))
    four, eight = planes
    thresholds = on_device(np.stack([eight, four], axis=1))
    for half in range(2 * sweeps):
        half_sweep[(triton.cdiv(rows * columns, BLOCK),)](
            *(found, members, members, members, thresholds),  # edges and absent bonds are not read
            *(int(key), (first_row + 1) % height, half, (half & 1) ^ turned, 0, 0, 0, rows * columns, height),
            **settings,
            num_warps=WARPS,
        )
    torch.from_numpy(words.view(np.int64)).copy_(found.flip(order))


@cache
def gpu_advance() -> Callable[..., None]:
    """`advance`, if here it gives the CPU's bytes, which a sweep shows; else KadanoffError."""
    sweeps, width = 1, bands.MULTIPLE * MARGIN
    halo, words = bands.halo(sweeps), bands.words_of(8, width)
    part = np.s_[:, halo:-halo, MARGIN:-MARGIN]  # without what lies across the edges of strips
    words[:] = np.arange(words.size, dtype=np.uint64).reshape(words.shape) * np.uint64(0x9E3779B97F4A7C15)
    planes = bands.thresholds(2.0)
    return verified(advance, bands.advance, words, width, 3, 64, np.uint64(1 << 63), planes, sweeps, part=part)
