"""The kernel in Triton's interpreter, byte by byte against the CPU, and compiled for GPUs that need not be here."""

import numpy as np
import pytest
from interpreter import INTERPRETED, advanced, cross_compiled
from oracle import hot, lattices

from kadanoff.errors import KadanoffError
from kadanoff.montecarlo import checkerboard, metropolis
from kadanoff.montecarlo.checkerboard import layout
from kadanoff.montecarlo.rng import stream_key
from kadanoff.spins.boundary import Lattice

pytest.importorskip("triton", reason="PyTorch brings no Triton to this platform")
KEY, OTHER = stream_key(5, "gpu"), stream_key(3, "gpu")  # the first has its highest bit set


def call(lattice, field=0.0, key=KEY, first_sweep=7, sweeps=1, heat_bath=False):
    """Chains 64 onwards: 66 of them, two groups, or two lattices in strips."""
    spins = hot(lattice, 2 if layout(lattice) == "strips" else 66)
    return spins, lattice, 2.0, field, key, 64, first_sweep, sweeps, heat_bath


def same(calls, interpreted):
    """Whether GPU and CPU agree, call by call."""
    found = advanced("kadanoff.montecarlo.devices", calls, interpreted)
    for each in calls:
        metropolis.advance(*each)
    return [np.array_equal(spins, each[0]) for spins, each in zip(found, calls, strict=True)]


FEW = [
    (Lattice(8, 6), 0.0),
    (Lattice(128, 4, "antiperiodic"), 0.0),
    (Lattice(5, 7, "antiperiodic", -1), 0.4),
    (Lattice(256, 3, "skewed", -1), 0.0),
    (Lattice(6, 5, "free"), -0.3),
    (Lattice(1, 9, "free", -1, dimension=1), 0.0),
]


@pytest.mark.parametrize("interpreted", INTERPRETED)
def test_the_bytes_are_those_of_the_cpu_and_of_no_other_key_or_sweep(interpreted):
    calls = [call(*case) for case in FEW] + [call(Lattice(8, 6), sweeps=2, heat_bath=True)]
    assert all(same(calls, interpreted))
    for other in ({"key": OTHER}, {"first_sweep": 8}, {"field": 0.1}, {"heat_bath": True}):
        differing = call(Lattice(8, 6), **other)
        metropolis.advance(*differing)
        assert not np.array_equal(differing[0], calls[0][0])


@pytest.mark.slow
@pytest.mark.parametrize("interpreted", INTERPRETED)
def test_the_bytes_are_those_of_the_cpu_for_every_boundary_sign_field_and_layout(interpreted):
    shapes = (5, 7), (4, 18), (1, 9), (128, 3), (256, 4)
    cases = [(lattice, field) for lattice in lattices(*shapes) for field in (0.0, 0.4)]
    agree = same([call(*case, sweeps=2) for case in cases], interpreted)
    assert [case for case, equal in zip(cases, agree, strict=True) if not equal] == []


@pytest.mark.parametrize("architecture", [80, 90, 100])
@pytest.mark.parametrize(("lattice", "field"), [(Lattice(1024, 1024), 0.0), (Lattice(5, 7, "free", -1), 0.4)], ids=str)
def test_it_compiles(architecture, lattice, field, tmp_path, monkeypatch):
    from kadanoff.montecarlo import gpu

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    board = checkerboard.board(lattice, layout(lattice))
    values = gpu.constants(board, metropolis.acceptance(lattice, 2.0, field)) | {"SPAN": (2, 8)}
    kernel = cross_compiled(values, architecture)
    assert f"sm_{architecture}" in kernel.asm["ptx"]
    assert kernel.asm["cubin"].startswith(b"\x7fELF")
    assert kernel.metadata.shared == 0  # the threads of one warp need none


def test_lattices_larger_than_the_memory_are_refused(monkeypatch):
    from kadanoff.montecarlo import gpu

    monkeypatch.setattr(gpu, "DEVICE", "cpu")
    monkeypatch.setattr(gpu, "MOST_WORDS", 1000)
    with pytest.raises(KadanoffError, match=r"GB on the GPU, where .* take device: cpu"):
        gpu.advance(*call(Lattice(64, 64)))
    with pytest.raises(ValueError, match="multiples of 64"):
        gpu.advance(hot(Lattice(4, 6), 2), Lattice(4, 6), 2.0, 0.0, KEY, 3, 0, 1)
