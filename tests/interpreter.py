"""Triton kernels with and without a GPU: interpreted, and compiled for GPUs that need not be here."""

import os
import pickle
import subprocess
import sys

import pytest

from kadanoff.montecarlo.devices import lacking

PROGRAM = """
import pickle, sys
from importlib import import_module
advance = import_module(sys.argv[1]).gpu_advance()
calls = pickle.load(sys.stdin.buffer)
for call in calls:
    advance(*call)
pickle.dump([call[0] for call in calls], sys.stdout.buffer)
"""
POINTERS = ("words", "edges", "absent", "members", "planes")
KINDS = dict.fromkeys(POINTERS, "*i64") | {"key": "u64", "first_group": "u32", "sweep": "u32"}


LACKING = lacking()
INTERPRETED = ["1", pytest.param("0", marks=[pytest.mark.gpu, pytest.mark.skipif(bool(LACKING), reason=str(LACKING))])]
"""By Triton's interpreter, or on a GPU."""


def advanced(module, calls, interpreted):
    """What the first argument of each call becomes by `gpu_advance` of a module.

    In a process of its own: Triton must know of its interpreter before it is imported.
    """
    environment = os.environ | {"TRITON_INTERPRET": interpreted}
    command = [sys.executable, "-c", PROGRAM, module]
    done = subprocess.run(command, input=pickle.dumps(calls), stdout=subprocess.PIPE, env=environment, check=True)
    return pickle.loads(done.stdout)


def cross_compiled(values, architecture):
    """The kernel of `kadanoff.montecarlo.gpu` with these constants, for an architecture: 80, 90, 100."""
    import triton

    from kadanoff.montecarlo import gpu

    names = gpu.half_sweep.arg_names
    kinds = KINDS | dict.fromkeys(values, "constexpr")
    source = triton.compiler.ASTSource(
        gpu.half_sweep,
        {name: kinds.get(name, "i32") for name in names},
        {(names.index(name),): value for name, value in values.items()},
    )
    target = triton.backends.compiler.GPUTarget("cuda", architecture, 32)
    return triton.compile(source, target=target, options={"num_warps": gpu.WARPS})
