"""Where machine code is kept: never stale, never where another user can write."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kadanoff.spins.compiled import PACKAGE, cache_folder

NAME = cache_folder(PACKAGE, None).name


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, and a package that cannot be written, even by root."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "package").touch()
    return tmp_path


def test_the_package_keeps_its_code(tmp_path):
    assert cache_folder(tmp_path, None) == tmp_path / "__pycache__" / NAME
    assert NAME.startswith("numba-")


def test_the_users_setting_comes_first(tmp_path, temporary):
    assert cache_folder(PACKAGE, str(tmp_path / "given")) == tmp_path / "given" / NAME
    assert cache_folder(tmp_path / "other", str(temporary / "package")) == tmp_path / "other/__pycache__" / NAME


def test_a_package_that_is_read_only_uses_a_folder_of_this_user(temporary):
    found = cache_folder(temporary / "package", None)
    assert found == temporary / f"kadanoff-{os.getuid()}" / NAME
    assert found.parent.stat().st_mode & 0o777 == 0o700


def others_may_write(own):
    own.mkdir()
    own.chmod(0o770)


def is_a_link(own):
    (own.parent / "elsewhere").mkdir(mode=0o700)
    own.symlink_to(own.parent / "elsewhere")


def is_of_another_user(own):
    own.mkdir(mode=0o700)
    if os.getuid():
        pytest.skip("only root gives folders away")
    os.chown(own, 12345, -1)


@pytest.mark.parametrize("prepare", [others_may_write, is_a_link, is_of_another_user, Path.touch])
def test_a_folder_that_another_may_write_is_not_used(temporary, prepare):
    prepare(temporary / f"kadanoff-{os.getuid()}")
    assert cache_folder(temporary / "package", None) is None


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
    assert bool(list(tmp_path.rglob("*.nbi"))) == cached
