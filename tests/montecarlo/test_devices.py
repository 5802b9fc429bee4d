"""Where a dataset is simulated: what is taken, what is refused, and that nothing in the dataset tells."""

import sys

import numpy as np
import pytest

import kadanoff
from kadanoff.data.description import Dataset
from kadanoff.errors import KadanoffError
from kadanoff.montecarlo import devices, metropolis, runner

SMALL = {"size": 8, "temperatures": [2.5, 3.0], "samples": 150, "sampler": "metropolis", "seed": 7}
SMALL |= {"sweeps": 30, "allow_unequilibrated": True}


@pytest.fixture
def gpu(monkeypatch):
    """A stand-in for a GPU: it counts its calls, and computes on the CPU."""
    calls = []

    def advance(*arguments):
        calls.append(arguments)
        metropolis.advance(*arguments)

    monkeypatch.setattr(devices, "lacking", lambda: None)
    monkeypatch.setattr(runner, "gpu_advance", lambda: advance)
    return calls


def test_a_gpu_takes_all_chains_of_a_temperature_and_nothing_tells(gpu):
    found, expected = (runner.run(Dataset(**SMALL, device=device), "x") for device in ("cuda", "cpu"))
    assert [len(call[0]) for call in gpu] == [150, 150]
    assert np.array_equal(found.spins, expected.spins)
    assert found.provenance == expected.provenance
    assert Dataset(**SMALL, device="cuda").model_dump() == Dataset(**SMALL).model_dump()


def test_what_a_gpu_began_the_cpu_ends(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "GPU_SLICE_UPDATES", 10 * 150 * 64)
    monkeypatch.setattr(runner, "SAVE_SECONDS", 0.0)
    for _ in range(2):  # the second time, it resumes
        runner.run(Dataset(**SMALL, device="cuda"), "x", folder=tmp_path)
    assert [call[-2:] for call in gpu] == [(0, 10), (10, 10), (20, 10)] * 2
    cpu = Dataset(**SMALL, device="cpu")
    assert np.array_equal(runner.run(cpu, "x", folder=tmp_path).spins, runner.run(cpu, "x").spins)


def test_workers_of_a_cluster_take_their_own_gpus(gpu, tmp_path, monkeypatch):
    def elsewhere(what, function, tasks, *_):
        found = [function(*task) for task in tasks]
        monkeypatch.setattr(runner, "gpu_advance", None)  # the command has none
        return found

    expected = runner.run(Dataset(**SMALL, device="cpu"), "x").spins
    monkeypatch.setattr(runner, "cluster", lambda: "tcp://there:8786")
    monkeypatch.setattr(runner, "in_processes", elsewhere)
    assert np.array_equal(runner.run(Dataset(**SMALL, device="cuda"), "x", folder=tmp_path).spins, expected)
    assert [len(call[0]) for call in gpu] == [150, 150]


def test_chains_that_are_not_their_workers_are_refused(tmp_path, monkeypatch):
    def elsewhere(what, function, tasks, *_):
        return [function(*task)[::-1] for task in tasks]  # other checksums

    monkeypatch.setattr(runner, "cluster", lambda: "tcp://there:8786")
    monkeypatch.setattr(runner, "in_processes", elsewhere)
    with pytest.raises(KadanoffError, match="are not those that their worker computed; remove"):
        runner.run(Dataset(**SMALL, device="cpu"), "x", folder=tmp_path)


@pytest.mark.parametrize("device", ["gpu", "", None])
def test_no_device_of_that_name_is_a_sentence(device):
    with pytest.raises(KadanoffError, match="choose one of auto, cpu, cuda"):
        devices.require_device(device)


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({}, True),
        ({"device": "cpu"}, False),
        ({"samples": 1 << 10}, False),
        ({"sampler": "hybrid"}, False),
        ({"samples": 64, "device": "cuda"}, True),
    ],
)
def test_auto_takes_a_gpu_for_large_work(gpu, change, taken):
    dataset = Dataset(**SMALL | {"samples": 1 << 20} | change)
    assert devices.takes_gpu(dataset, dataset.sampler, 1 << 14) is taken
    assert not devices.takes_gpu(Dataset(**SMALL | {"samples": 1 << 20}), "metropolis", 1 << 8)


def test_without_a_gpu_auto_takes_the_cpu_and_cuda_is_refused(monkeypatch):
    monkeypatch.setattr(devices, "DRIVER", "libnone.so")
    assert not devices.takes_gpu(Dataset(**SMALL | {"samples": 1 << 20}), "metropolis", 1 << 14)
    with pytest.raises(KadanoffError, match=r"device is 'cuda', but there is no driver .*; take device: cpu"):
        kadanoff.simulate(8, 3.0, 5, sampler="metropolis", device="cuda")
    monkeypatch.setattr(devices, "DRIVER", None)  # this program itself, which is there
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert devices.lacking() == "PyTorch finds no NVIDIA GPU"
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    assert "pip install 'kadanoff[networks]'" in devices.lacking()


def test_other_samplers_and_unknown_devices_are_refused():
    with pytest.raises(KadanoffError, match=r"device is 'cuda' with sampler 'auto'; .* take sampler: metropolis"):
        kadanoff.simulate(8, 3.0, 5, device="cuda")
    with pytest.raises(KadanoffError, match=r"simulate\.device is 'gpu'"):
        kadanoff.simulate(8, 3.0, 5, device="gpu")


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch brings no Triton to this platform")
def test_a_gpu_with_other_bytes_is_refused(monkeypatch):
    def broken(*arguments):
        raise RuntimeError("Failed to find C compiler")

    for advance, message in ((lambda *_: None, "does not give the spins"), (broken, "not run .* C compiler")):
        monkeypatch.setattr("kadanoff.montecarlo.gpu.advance", advance)
        with pytest.raises(KadanoffError, match=message):
            devices.gpu_advance()
