import os
import subprocess
import sys

import pytest
import yaml

GOOD = {"size": 4, "temperatures": [2.0], "samples": 4, "sweeps": 100}
HEAVY = ("torch", "numba", "mlflow", "zarr", "matplotlib", "numpy", "transformers", "timm", "sklearn")


def run(*arguments, folder, **environment):
    command = [sys.executable, "-c", "from kadanoff.cli import main; main()", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, env=os.environ | environment
    )


@pytest.fixture
def project(tmp_path):
    params = {"datasets": {"good": GOOD, "bad": GOOD | {"samples": 0, "sise": 4}, "few": GOOD | {"sweeps": 2}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (tmp_path / "dvc.yaml").touch()
    return tmp_path


HELP = "from kadanoff.cli import app; app(['--help'], standalone_mode=False)"


@pytest.mark.parametrize("code", ["import kadanoff", "import kadanoff.cli", HELP])
def test_imports_stay_light(code):
    script = f"import sys; {code}; print([name for name in {HEAVY} if name in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert finished.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["simulate", "bad"], ["datasets.bad.samples is 0", "datasets.bad.sise is not a known key", "'size'"]),
        (["simulate", "none"], ["datasets has no entry 'none'; it has: good, bad, few"]),
        (["simulate", "few"], ["sweeps is 2", "allow_unequilibrated"]),
        (["coarsen", "cnn"], ["params.yaml has no entry 'coarsen'"]),
        (["apply", "no.safetensors", "no.zarr", "out.zarr"], ["cannot read no.safetensors"]),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_1(project, arguments, words):
    finished = run(*arguments, folder=project)
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert finished.stderr.startswith("error: ") or "\nerror: " in finished.stderr
    for word in words:
        assert word in finished.stderr
    assert not (project / "data").exists()


def test_outside_of_a_project_the_folder_is_named(tmp_path):
    finished = run("simulate", "x", folder=tmp_path)
    assert finished.returncode == 1
    assert f"there is no {tmp_path / 'params.yaml'}" in finished.stderr


def test_letters_of_any_alphabet_in_paths_and_files(project):
    root, environment = project / "Größe ψ", {"LC_ALL": "C", "PYTHONUTF8": "0"}
    root.mkdir()
    params = yaml.safe_dump({"datasets": {"no": GOOD}})
    (root / "params.yaml").write_text(f"# Größe ψ\n{params}", encoding="utf-8")
    (root / "dvc.yaml").write_text("stages: {}  # ψ", encoding="utf-8")
    made = run("simulate", "no", folder=root, **environment)
    assert made.returncode == 0, made.stderr
    assert (root / "data" / "no.zarr").exists()
    assert run("report", folder=root, **environment).returncode == 0
