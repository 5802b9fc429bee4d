"""Examples in docstrings: they run, and every public name has one."""

import doctest
import importlib
from pathlib import Path

import matplotlib
import pytest

import kadanoff

SOURCES = Path(kadanoff.__file__).parent
MODULES = [
    ".".join(path.relative_to(SOURCES.parent).with_suffix("").parts)
    for path in sorted(SOURCES.rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.fixture(scope="module")
def ensemble():
    """That of the class's docstring, which the examples of its methods go on with."""
    return kadanoff.simulate(16, [1.5, 3.0], samples=100, seed=1)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name, ensemble, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    module = importlib.import_module(name)
    found = doctest.testmod(
        module, extraglobs={"kadanoff": kadanoff, "ensemble": ensemble}, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert found.attempted
    assert not found.failed


def test_every_public_name_has_an_example():
    public = {name: getattr(kadanoff, name) for name in kadanoff.__all__ if name != "KadanoffError"}
    methods = {name: getattr(kadanoff.Ensemble, name) for name in dir(kadanoff.Ensemble) if name[0] != "_"}
    assert not [name for name, thing in (public | methods).items() if ">>> " not in thing.__doc__]
