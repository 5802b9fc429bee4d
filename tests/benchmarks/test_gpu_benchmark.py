"""`python -m benchmarks.gpu`: its miniature in Triton's interpreter, and the committed bytes."""

import json
import os
import subprocess
import sys

import pytest
from benchmarks import gpu

from kadanoff.errors import KadanoffError
from kadanoff.inverse import bands
from kadanoff.montecarlo import metropolis

pytest.importorskip("triton", reason="PyTorch brings no Triton to this platform")


@pytest.mark.slow
def test_the_miniature_has_the_bytes_of_the_cpu(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", "--output", str(tmp_path / "gpu.json")]
    subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, check=True, stdout=subprocess.DEVNULL)
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["device"] == "Triton's interpreter"
    assert [row["size"] for row in found["sweeps"]] == [128, 6, 128]
    assert all(row["flips_per_ns"] > 0 for row in found["sweeps"])
    assert [row["model"] for row in found["training"]] == ["vit", "resnet18"]
    assert all(row["images_per_second"] > 0 for row in found["training"])


@pytest.mark.parametrize(
    "case", [*gpu.SMALL_CASES, *(pytest.param(case, marks=pytest.mark.slow) for case in gpu.CASES)]
)
def test_committed_bytes_are_those_of_the_cpu_and_others_are_refused(case, monkeypatch):
    monkeypatch.setattr("kadanoff.montecarlo.gpu.advance", metropolis.advance)
    monkeypatch.setattr("kadanoff.inverse.gpu_bands.advance", bands.advance)
    monkeypatch.setattr(gpu, "slope_ns", lambda *_: 0.5)
    expected = case._asdict() | {"flips_per_ns": 2.0}
    del expected["md5"]
    assert gpu.measure(case, 1, 2) == expected
    with pytest.raises(KadanoffError, match=f"but on a CPU {'0' * 32}"):
        gpu.measure(case._replace(md5="0" * 32), 1, 2)


def test_without_a_gpu_nothing_is_measured(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(gpu, "lacking", lambda: "there is none")
    gpu.measure_all(tmp_path / "gpu.json")
    assert capsys.readouterr().out == "not measured: there is none\n"
    assert not (tmp_path / "gpu.json").exists()
