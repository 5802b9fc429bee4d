"""Whether chains are simulated on the CPU's cores or on an NVIDIA GPU, which changes no byte of them."""

import ctypes
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.description import Dataset
from kadanoff.errors import KadanoffError, shown
from kadanoff.montecarlo import metropolis
from kadanoff.montecarlo.multispin import LANES
from kadanoff.spins.boundary import Lattice

DRIVER = "libcuda.so.1"
WORTH = 1 << 38
"""Updates: half a minute of a core. Of fewer, many are done before PyTorch is imported and the kernel compiled."""
FILLS = 1 << 24
"""Sites of all chains at one temperature. Of fewer, launching a kernel takes longer than what it does."""
DEVICES = ("auto", "cpu", "cuda")
SAME_SPINS = "take device: cpu, which gives the same spins."
WITHOUT = "take device: cpu, or hide the GPU from the command by CUDA_VISIBLE_DEVICES=; the spins are the same."


def require_device(device: str) -> None:
    """KadanoffError if the device has no such name, or is ``cuda`` and this machine has none that can be used."""
    if device not in DEVICES:
        raise KadanoffError(f"device is {shown(device)}; choose one of {', '.join(DEVICES)}.")
    if device == "cuda" and (reason := lacking()):
        raise KadanoffError(f"device is 'cuda', but {reason}; {SAME_SPINS}")


def lacking() -> str | None:
    """Why no GPU can be used here; None if one can. Imports PyTorch, which takes seconds, only if there is a driver."""
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return "there is no driver of an NVIDIA GPU on this machine"
    if not (find_spec("torch") and find_spec("triton")):
        return "PyTorch and Triton are not installed (pip install 'kadanoff[networks]', on Linux)"
    import torch

    return None if torch.cuda.is_available() else "PyTorch finds no NVIDIA GPU"


def verified(
    gpu: Callable[..., None], cpu: Callable[..., None], board: NDArray, *arguments: Any, part: Any = ...
) -> Callable[..., None]:
    """`gpu`, if on a copy of this board it gives the bytes of `cpu`, as far as they lie in `part`.

    Raises
    ------
    KadanoffError
        If it does not, or the kernel cannot be compiled.
    """
    found, expected = board.copy(), board.copy()
    cpu(expected, *arguments)
    try:
        gpu(found, *arguments)
    except RuntimeError as error:
        raise KadanoffError(f"the GPU does not run Triton's kernels ({error}); {WITHOUT}") from error
    if not np.array_equal(found[part], expected[part]):
        raise KadanoffError(f"the GPU does not give the spins of the CPU; please report it, and {WITHOUT}")
    return gpu


@cache
def gpu_advance() -> Callable[..., None]:
    """`gpu.advance`, if here it gives the CPU's bytes, which a few sweeps show; else KadanoffError."""
    from kadanoff.montecarlo import gpu

    lattice = Lattice(2 * LANES, 6, "skewed", -1)
    spins = np.ones((2, *lattice.shape), np.int8)
    return verified(gpu.advance, metropolis.advance, spins, lattice, 2.0, 0.3, np.uint64(1 << 63), 1, 0, 3)


def takes_gpu(dataset: Dataset, sampler: str, sweeps: int) -> bool:
    """Whether a GPU takes the chains of a dataset; with ``auto``, if there is one and it pays.

    `sampler` is the one that was chosen, and `sweeps` are those of one chain at each temperature, together.
    """
    if dataset.device != "auto":
        return dataset.device == "cuda"
    sites = dataset.lattice.sites * dataset.samples
    return sampler == "metropolis" and sites >= FILLS and sites * sweeps >= WORTH and lacking() is None
