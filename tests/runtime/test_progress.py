"""What a person sees of the work that is left, where there is no terminal."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from kadanoff.runtime.progress import WIDTH, progress


@pytest.fixture
def clock(monkeypatch):
    """Seconds, as they are set."""
    now = [0.0]
    monkeypatch.setattr("kadanoff.runtime.progress.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_notebook_shows_one_line_that_is_renewed(monkeypatch, capsys, clock):
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    with progress("simulate", 4) as advance:
        clock[0] = 5.0
        advance(0)  # compiled, nothing done yet
        advance()
        clock[0] = 5.5
        advance()
        clock[0] = 12.0
        advance()
    lines = ["simulate: 25%, about 15 s left\r", "simulate: 75%, about 4 s left\r", "simulate: done in 12 s\n"]
    assert capsys.readouterr().err == "".join(line[:-1].ljust(WIDTH) + line[-1] for line in lines)


def test_short_work_leaves_nothing_in_a_notebook(monkeypatch, capsys, clock):
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    with progress("simulate", 2) as advance:
        clock[0] = 0.9
        advance(2)
    assert capsys.readouterr().err == ""


def test_elsewhere_there_is_a_line_a_minute(monkeypatch, capsys, clock):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    with progress("simulate", 4) as advance:
        for clock[0] in (30.0, 60.0, 90.0):
            advance()
    assert capsys.readouterr().err == "simulate: 50%, about 60 s left\n"
