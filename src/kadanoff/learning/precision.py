"""Which arithmetic a processor is fast in."""

import torch


def resolved(precision: str, device: torch.device) -> str:
    """``float32`` or ``bfloat16``: the latter for ``auto`` on a device that computes in it."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    known = torch.cpu.get_capabilities()
    return "bfloat16" if known.get("avx512_bf16") or known.get("amx_bf16") else "float32"
