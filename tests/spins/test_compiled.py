"""Where machine code is kept: never stale, and anew where nothing can be written."""

import os
import subprocess
import sys

import pytest

from kadanoff.spins.compiled import PACKAGE, cache_folder

NAME = cache_folder(PACKAGE, None).name


def test_the_users_setting_comes_first_then_the_package_then_the_users_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "file").touch()  # below it nothing can be written, even by root
    assert cache_folder(PACKAGE, str(tmp_path / "given")) == tmp_path / "given" / NAME
    assert cache_folder(tmp_path, str(tmp_path / "file")) == tmp_path / "__pycache__" / NAME
    assert cache_folder(tmp_path / "file", None) == tmp_path / "home/.cache/kadanoff" / NAME
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert cache_folder(tmp_path / "file", None) is None


CODE = """
import kadanoff.spins.compiled as module
module.CACHE = {cache}
function = module.compiled(lambda x: x + 1)
print(function(1), function.stats.cache_path)
"""


@pytest.mark.parametrize("cached", [True, False])
def test_functions_run_with_and_without_a_folder(tmp_path, cached):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    (tmp_path / "code.py").write_text(CODE.format(cache="module.CACHE" if cached else "None"))
    finished = subprocess.run(
        [sys.executable, tmp_path / "code.py"], env=environment, capture_output=True, text=True, check=True
    )
    result, place = finished.stdout.split()
    assert result == "2"
    assert place.startswith(str(tmp_path / NAME)) if cached else place == "None"
