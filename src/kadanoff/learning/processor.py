"""How PyTorch computes: where, on how many threads, and in which arithmetic."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.backends import cudnn

COMPILED, BACKEND = "cuda", "inductor"  # on a CPU compiling takes longer than what is trained there


def prepared(network: nn.Module, device: torch.device, precision: str, compiled: bool) -> Callable[[Tensor], Tensor]:
    """Move a network in place to the device that trains it; what computes its outputs there, `compiled` on a GPU.

    With the channels innermost, convolutions take a fifth less time on a CPU, and bfloat16 on a GPU need not turn them
    for its tensor cores (PyTorch's guide to channels_last; not measured here).
    """
    inner = device.type == "cpu" or precision == "bfloat16"
    layout = torch.channels_last if inner else torch.contiguous_format
    network.to(device, memory_format=layout)  # type: ignore[call-overload]
    return torch.compile(network, backend=BACKEND) if compiled and device.type == COMPILED else network


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Inside of the block a GPU repeats itself to the byte; PyTorch warns of operations that do not.

    Matrix products repeat themselves if CUBLAS_WORKSPACE_CONFIG is set before the first, as `kadanoff run` sets it.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    # TF32 would round the factors to 10 bits: `exact` could not reach machine precision on a GPU
    with cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        try:
            if device.type == "cuda":
                torch.use_deterministic_algorithms(True, warn_only=True)
                memory.fill_uninitialized_memory = False  # which would take time, and nothing reads such memory
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            memory.fill_uninitialized_memory = filled


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """PyTorch on so many threads inside of the block. The rounding of a sum depends on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fast_precision(precision: str, device: torch.device) -> str:
    """``float32`` or ``bfloat16``: the latter for ``auto`` on a device that computes in it."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    known = torch.cpu.get_capabilities()
    return "bfloat16" if known.get("avx512_bf16") or known.get("amx_bf16") else "float32"
