"""Sweeps of bands by the GPU's kernel, interpreted: byte by byte those of the CPU; and compiled for GPUs."""

import numpy as np
import pytest
from interpreter import INTERPRETED, advanced, cross_compiled

from kadanoff.inverse import bands
from kadanoff.montecarlo.rng import stream_key

pytest.importorskip("triton", reason="PyTorch brings no Triton to this platform")
KEY, OTHER = stream_key(5, "gpu bands"), stream_key(3, "gpu bands")
SWEEPS, MODULE = 2, "kadanoff.inverse.gpu_bands"


def call(spins, first, end, key=KEY, temperature=2.0):
    """A band of a torus with its halo; rows are counted around it."""
    height, width = spins.shape
    halo = bands.halo(SWEEPS)
    around = spins[np.arange(first - halo, end + halo) % height]
    words = bands.words_of(len(around), width)
    bands.gather(around, words, 0, (first - halo) & 1)
    return words, width, (first - halo) % height, height, key, bands.thresholds(temperature), SWEEPS


def rows(words, width, first):
    """Its own rows, int8."""
    halo = bands.halo(SWEEPS)
    spins = np.empty((words.shape[1] - 2 * halo, width), np.int8)
    bands.scatter(words, halo, (first - halo) & 1, spins)
    return spins


def hot(height, width):
    return 2 * np.random.default_rng(height * width).integers(0, 2, (height, width), np.int8) - 1


@pytest.mark.parametrize("interpreted", INTERPRETED)
def test_bands_have_the_bytes_of_the_cpu_and_of_no_other_key_or_temperature(interpreted):
    cuts = [(hot(12, 128), 0, 12), (hot(12, 128), 0, 5), (hot(12, 128), 5, 12), (hot(10, 1280), 3, 7)]
    calls = [call(*cut) for cut in cuts]
    found = advanced(MODULE, calls, interpreted)
    found = [rows(words, cut[0].shape[1], cut[1]) for words, cut in zip(found, cuts, strict=True)]
    for each, made, (spins, first, _) in zip(calls, found, cuts, strict=True):
        bands.advance(*each)
        np.testing.assert_array_equal(made, rows(each[0], spins.shape[1], first))
    np.testing.assert_array_equal(found[0], np.concatenate(found[1:3]))
    for other in ({"key": OTHER}, {"temperature": 2.1}):
        differing = call(*cuts[0], **other)
        bands.advance(*differing)
        assert not np.array_equal(rows(differing[0], 128, 0), found[0])


@pytest.mark.parametrize("architecture", [80, 90, 100])
def test_it_compiles(architecture, tmp_path, monkeypatch):
    from kadanoff.inverse import gpu_bands

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = cross_compiled(gpu_bands.constants(bands.words_of(2084, 4608), 4608), architecture)
    assert f"sm_{architecture}" in kernel.asm["ptx"]
    assert kernel.asm["cubin"].startswith(b"\x7fELF")
