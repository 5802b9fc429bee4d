"""The library installs alone: `pip install .` without extras samples, measures and stores."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys
import kadanoff

ensemble = kadanoff.simulate(8, range(2, 4), samples=16, seed=1)
ensemble.save("mine.zarr")
assert kadanoff.open_dataset("mine.zarr").to_xarray().sizes["sample"] == 16
assert len(ensemble.energy_per_site()) == 2
assert not {"torch", "mlflow", "dvc"} & set(sys.modules)
try:
    kadanoff.load_model("coarsen/exact")
except kadanoff.KadanoffError as error:
    print(error)
"""


@pytest.mark.slow
def test_the_bare_library_samples_and_names_the_extra_that_it_lacks(tmp_path):
    for name in ("src", "pyproject.toml", "README.md", "LICENSE"):  # setuptools builds beside the sources
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    venv.create(tmp_path / "bare", with_pip=True)
    python = tmp_path / "bare/bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", tmp_path], check=True)
    done = subprocess.run([python, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pip install 'kadanoff[networks]'" in done.stdout
    command = subprocess.run([tmp_path / "bare/bin/kadanoff", "ui"], cwd=ROOT, capture_output=True, text=True)
    assert command.returncode == 1
    assert "Traceback" not in command.stderr
    assert "pip install 'kadanoff[pipeline]'" in command.stderr


def test_public_names_are_those_that_dir_shows():
    code = "import kadanoff as k; assert dir(k) == sorted(k.__all__); [getattr(k, name) for name in dir(k)]"
    subprocess.run([sys.executable, "-c", code], check=True)
