"""The published way to grow lattices, as a baseline: PyTorch, a float32 a spin.

Written from the description of CNN-RG-Fast (2026). A 9 x 9 convolution to nine channels and a pixel shuffle give the
means of 3 x 3 fine spins, each drawn with a random number of its own; then checkerboard Metropolis sweeps, whose
neighbours are four rolled copies of the lattice, with an exponential and a random number a site in each half-sweep.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from kadanoff.learning.processor import torch_threads
from kadanoff.spins.exact import T_C

BLOCK, KERNEL = 3, 9
REPEATS = 3


def kernel(random: torch.Generator) -> Tensor:
    """Weights float32 (9, 1, 9, 9). They are random, as the speed does not depend on them."""
    return torch.randn((BLOCK**2, 1, KERNEL, KERNEL), generator=random, device=random.device) / KERNEL


def enlarge(coarse: Tensor, weights: Tensor, random: torch.Generator) -> Tensor:
    """Tori float32 (n, y, x) -> (n, 3 y, 3 x): a fine spin is +1 with the probability (1 + its mean) / 2."""
    padded = functional.pad(coarse[:, None], (KERNEL // 2,) * 4, mode="circular")  # (n, 1, y + 8, x + 8)
    channels = functional.conv2d(padded, weights)  # (n, 9, y, x)
    means = functional.pixel_shuffle(channels, BLOCK)[:, 0].clamp(-1, 1)
    return torch.where(_uniform(means, random) < (1 + means) / 2, 1.0, -1.0)


def sweep(spins: Tensor, white: Tensor, beta: float, random: torch.Generator) -> Tensor:
    """One Metropolis sweep of tori float32 (n, y, x) at J = 1: the sites of `white` bool (y, x), then the others."""
    for colour in (white, ~white):
        around = torch.roll(spins, 1, -1) + torch.roll(spins, -1, -1)
        around = around + torch.roll(spins, 1, -2) + torch.roll(spins, -1, -2)
        chances = torch.exp(-2 * beta * spins * around)
        flips = (_uniform(spins, random) < chances) & colour
        spins = torch.where(flips, -spins, spins)
    return spins


def checkerboard(side: int, device: torch.device) -> Tensor:
    """The white sites, bool (y, x)."""
    place = torch.arange(side, device=device)
    return (place[:, None] + place) % 2 == 0


def fastest(run: Callable[[], object]) -> float:
    """Seconds of the fastest of a few runs, after one that warms up."""
    run()
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def measure(coarse_side: int, sweeps: int, cores: int) -> list[dict[str, Any]]:
    """Rows for one core, all cores and the GPU, if there is one, of one enlargement and of the sweeps after it.

    A row holds `program`, `device`, `cores`, `step`, `size` (fine spins a side) and `ns`: nanoseconds a fine spin of
    the `generator`, and nanoseconds a spin and sweep of the `refinement`.
    """
    rows = []
    for device, threads in _devices(cores):
        random = torch.Generator(device).manual_seed(0)
        with torch_threads(threads), torch.inference_mode():
            for step, ns in _steps(coarse_side, sweeps, random):
                rows.append(row("published", device.type, threads, step, BLOCK * coarse_side, ns))
    return rows


def row(program: str, device: str, cores: int, step: str, size: int, ns: float) -> dict[str, Any]:
    """One measurement, of either program."""
    return {"program": program, "device": device, "cores": cores, "step": step, "size": size, "ns": ns}


def _steps(coarse_side: int, sweeps: int, random: torch.Generator) -> Iterator[tuple[str, float]]:
    device, weights = random.device, kernel(random)
    coarse = torch.where(_uniform(torch.empty((1, coarse_side, coarse_side), device=device), random) < 0.5, 1.0, -1.0)
    fine = enlarge(coarse, weights, random)
    white, beta = checkerboard(fine.shape[-1], device), 1 / float(T_C)

    def refine() -> None:
        spins = fine
        for _ in range(sweeps):
            spins = sweep(spins, white, beta, random)
        _wait(device)

    def draw() -> None:
        enlarge(coarse, weights, random)
        _wait(device)

    yield "generator", fastest(draw) * 1e9 / fine.numel()
    yield "refinement", fastest(refine) * 1e9 / (fine.numel() * sweeps)


def _uniform(like: Tensor, random: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=random, device=like.device)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _devices(cores: int) -> list[tuple[torch.device, int]]:
    found = [(torch.device("cpu"), threads) for threads in sorted({1, cores})]
    return [*found, (torch.device("cuda"), 1)] if torch.cuda.is_available() else found
