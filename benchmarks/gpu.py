"""`python -m benchmarks.gpu`: flips per nanosecond of the Metropolis kernel, once it has given the CPU's bytes.

With TRITON_INTERPRET=1 it takes lattices so small that Triton's interpreter does them in seconds; the speeds then say
nothing of a GPU.
"""

import hashlib
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.timing import slope_ns
from kadanoff.data.description import Dataset
from kadanoff.errors import KadanoffError
from kadanoff.montecarlo import samplers
from kadanoff.montecarlo.devices import lacking
from kadanoff.runtime.files import disk_errors, write_atomic
from kadanoff.spins.exact import T_C

NAME, CHECKED = "bench", 3  # sweeps before the bytes are compared


class Case(NamedTuple):
    """Chains at T_c, and the MD5 of their spins that `metropolis.advance` gives."""

    size: int
    chains: int
    md5: str


CASES = [
    Case(8192, 1, "0935e1bcaa53fe8fffda608c62f9b61f"),
    Case(2048, 64, "0aa830021594aa78de7668b4e21bf272"),
    Case(64, 1 << 16, "2d9e826b352bee11f51baffd8ed275ce"),
]
SMALL_CASES = [Case(128, 1, "32b8cc29e21afcfd2d0872c05174c3fc"), Case(6, 64, "275e4eca9a73bbef506fdd598df5d44d")]


def start(case: Case) -> tuple[Dataset, np.ndarray, np.uint64]:
    """The dataset of a case, random spins int8 (chain, y, x), and the key of its sweeps."""
    described = {"size": case.size, "temperatures": [float(T_C)], "samples": case.chains, "sampler": "metropolis"}
    dataset = Dataset.model_validate(described)
    spins = samplers.first_configurations(dataset, NAME, float(T_C), 0, case.chains)
    return dataset, spins, samplers.key_of(dataset, NAME, float(T_C), "metropolis")


def measure(case: Case, few: int, many: int) -> dict[str, float]:
    """Size, chains and flips per nanosecond of the kernel; KadanoffError if its bytes are not those of the CPU."""
    from kadanoff.montecarlo import gpu

    dataset, spins, key = start(case)

    def run(sweeps: int) -> None:
        gpu.advance(spins, dataset.lattice, float(T_C), 0.0, key, 0, 0, sweeps)

    run(CHECKED)
    if (found := digest(spins)) != case.md5:
        raise KadanoffError(
            f"the spins of size {case.size} have the MD5 {found}, but on a CPU {case.md5}; take device: cpu, and "
            "please report it."
        )
    ns = slope_ns(run, few, many, spins.size)
    return {"size": case.size, "chains": case.chains, "flips_per_ns": 1 / ns}


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
    import torch

    cases, few, many = (SMALL_CASES, 1, 2) if interpreted else (CASES, 64, 4160)
    device = "Triton's interpreter" if interpreted else torch.cuda.get_device_name()
    content = {
        "device": device,
        "versions": {name: version(name) for name in ("kadanoff", "torch", "triton")},
        "rows": [measure(case, few, many) for case in cases],
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
