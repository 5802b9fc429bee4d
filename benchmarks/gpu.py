"""`python -m benchmarks.gpu`: what a GPU does a second, once it has given the CPU's bytes; minutes.

Flips per nanosecond of the Metropolis kernel, for chains and for a band of a large torus as `kadanoff grow` sweeps it;
images per second that networks learn from (`benchmarks.gpu_training`). With TRITON_INTERPRET=1 it takes lattices and
networks so small that Triton's interpreter and a CPU do them in seconds; the speeds then say nothing of a GPU.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.timing import Sweeps, slope_ns
from kadanoff.data.description import Dataset
from kadanoff.errors import KadanoffError
from kadanoff.inverse import bands
from kadanoff.montecarlo import samplers
from kadanoff.montecarlo.devices import lacking
from kadanoff.runtime.files import disk_errors, write_atomic
from kadanoff.spins.exact import T_C

NAME, CHECKED = "bench", 3  # sweeps before the bytes are compared
PACKAGES = "kadanoff", "torch", "triton", "timm", "transformers"


class Case(NamedTuple):
    """Chains at T_c, and the MD5 of their spins that `metropolis.advance` gives."""

    size: int
    chains: int
    md5: str


class Band(NamedTuple):
    """Rows of one torus at T_c, halo included, and the MD5 of the others that `bands.advance` gives."""

    size: int
    rows: int
    md5: str


CASES: list[Case | Band] = [
    Case(8192, 1, "0935e1bcaa53fe8fffda608c62f9b61f"),
    Case(2048, 64, "0aa830021594aa78de7668b4e21bf272"),
    Case(64, 1 << 16, "2d9e826b352bee11f51baffd8ed275ce"),
    Band(41472, 2048, "d8a5dcb71f487d374e1c6ca7632fd422"),
]
SMALL_CASES: list[Case | Band] = [
    Case(128, 1, "32b8cc29e21afcfd2d0872c05174c3fc"),
    Case(6, 64, "275e4eca9a73bbef506fdd598df5d44d"),
    Band(128, 16, "b56b58a79335dac59c1cf69c558f153e"),
]


def start(size: int, chains: int) -> tuple[Dataset, np.ndarray, np.uint64]:
    """A dataset at T_c, random spins int8 (chain, y, x), and the key of its sweeps."""
    described = {"size": size, "temperatures": [float(T_C)], "samples": chains, "sampler": "metropolis"}
    dataset = Dataset.model_validate(described)
    spins = samplers.first_configurations(dataset, NAME, float(T_C), 0, chains)
    return dataset, spins, samplers.key_of(dataset, NAME, float(T_C), "metropolis")


def of_chains(case: Case) -> tuple[Sweeps, Callable[[], np.ndarray]]:
    """What sweeps the chains, and what gives their spins."""
    from kadanoff.montecarlo import gpu

    dataset, spins, key = start(case.size, case.chains)
    return lambda sweeps: gpu.advance(spins, dataset.lattice, float(T_C), 0.0, key, 0, 0, sweeps), lambda: spins


def of_band(case: Band) -> tuple[Sweeps, Callable[[], np.ndarray]]:
    """The same of a band; its spins are those that `CHECKED` sweeps have not spoilt."""
    from kadanoff.inverse import gpu_bands

    random = np.random.Generator(np.random.Philox(0)).bytes(case.rows * case.size)
    spins = (np.frombuffer(random, np.int8).reshape(case.rows, case.size) & 2) - np.int8(1)
    words, halo = bands.words_of(case.rows, case.size), bands.halo(CHECKED)
    bands.gather(spins, words, 0, 0)
    planes = bands.thresholds(float(T_C))

    def result() -> np.ndarray:
        found = np.empty((case.rows - 2 * halo, case.size), np.int8)
        bands.scatter(words, halo, 0, found)
        return found

    return lambda sweeps: gpu_bands.advance(words, case.size, 0, case.size, np.uint64(1), planes, sweeps), result


def measure(case: Case | Band, few: int, many: int) -> dict[str, float]:
    """The case and its flips per nanosecond by the kernel; KadanoffError if its bytes are not those of the CPU."""
    run, spins = of_chains(case) if isinstance(case, Case) else of_band(case)
    run(CHECKED)
    if (found := digest(spins())) != case.md5:
        raise KadanoffError(
            f"the spins of size {case.size} have the MD5 {found}, but on a CPU {case.md5}; take device: cpu, and "
            "please report it."
        )
    sites = case.size**2 * case.chains if isinstance(case, Case) else case.size * case.rows
    measured = {"flips_per_ns": 1 / slope_ns(run, few, many, sites)}
    return {name: value for name, value in case._asdict().items() if name != "md5"} | measured


def digest(spins: np.ndarray) -> str:
    """MD5 of spins."""
    return hashlib.md5(spins.data, usedforsecurity=False).hexdigest()


def measure_all(output: Path | None = None) -> None:
    """Measure, print, and write JSON to `output` if it is given; without a GPU, say so.

    Raises
    ------
    KadanoffError
        If the bytes are not those of the CPU, or `output` cannot be written.
    """
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if not interpreted and (reason := lacking()):
        print(f"not measured: {reason}")
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as stages train
    import torch

    from benchmarks import gpu_training

    cases, few, many = (SMALL_CASES, 1, 2) if interpreted else (CASES, 64, 4160)
    networks = gpu_training.SMALL_CASES if interpreted else gpu_training.CASES
    content: dict[str, Any] = {
        "device": "Triton's interpreter" if interpreted else torch.cuda.get_device_name(),
        "versions": {name: version(name) for name in PACKAGES},
        "sweeps": [measure(case, few, many) for case in cases],
        "training": [gpu_training.measure(case) for case in networks],
    }
    text = json.dumps(content, indent=2)
    print(text)
    if output is not None:
        with disk_errors(output):
            write_atomic(output, text + "\n")


if __name__ == "__main__":
    import typer

    try:
        typer.run(measure_all)
    except KadanoffError as error:
        sys.exit(f"error: {error}")
