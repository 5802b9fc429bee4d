"""Weights are the same on processors of Intel and of others."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from torch.backends import mkl

pytestmark = pytest.mark.slow

TRAINING = """
import hashlib, torch
from kadanoff.learning.fit import fit
from kadanoff.learning.randomness import seeded
from kadanoff.learning.training import Settings
from kadanoff.networks.registry import build

with seeded(1):
    network, spins = build("mlp", block=2, size=16), torch.randn(64, 1, 16, 16).sign()
pair = spins, spins[:, :, ::2, ::2]
fit(network, pair, pair, Settings(seed=0, epochs=2), device="cpu")
print(hashlib.md5(b"".join(part.numpy().tobytes() for part in network.state_dict().values())).hexdigest())
"""


def weights(library: Path, **environment: str) -> str:
    kept = {key: value for key, value in os.environ.items() if key != "MKL_CBWR"}
    command = [sys.executable, "-c", TRAINING]
    done = subprocess.run(
        command, env=kept | {"LD_PRELOAD": str(library)} | environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.skipif(not (mkl.is_available() and shutil.which("cc")), reason="needs MKL and a C compiler")
def test_weights_do_not_depend_on_the_maker_of_the_processor(tmp_path: Path) -> None:
    libraries = []
    for intel in (0, 1):  # what MKL asks before it chooses its kernels
        source = tmp_path / f"intel{intel}.c"
        source.write_text(f"int mkl_serv_intel_cpu_true(void) {{ return {intel}; }}\n")
        libraries.append(source.with_suffix(".so"))
        subprocess.run(["cc", "-shared", "-fPIC", source, "-o", libraries[-1]], check=True)
    other, intel = (weights(library, MKL_CBWR="COMPATIBLE") for library in libraries)
    assert other == intel
    other, intel = map(weights, libraries)
    assert other != intel  # the control: without it, they are not the same
