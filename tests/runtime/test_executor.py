import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from kadanoff.errors import KadanoffError
from kadanoff.runtime import executor
from kadanoff.runtime.executor import in_processes

SCRIPT = """
import time, signal
from kadanoff.cli import _terminated
from kadanoff.runtime.executor import in_processes
if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)  # as `kadanoff` does
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have begun the tests without it
    in_processes("sleep", time.sleep, [(60,), (60,)])
"""


def end_this_process():
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_come_in_order():
    assert in_processes("abs", abs, [(-3,), (2,), (-1,)]) == [3, 2, 1]


def test_workers_that_do_not_see_the_folder_are_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "_here", lambda *_, workers: None)  # they wrote elsewhere
    with pytest.raises(KadanoffError, match="they must see it under this path"):
        in_processes("abs", abs, [(-3,)], tmp_path)


def test_a_killed_worker_is_a_sentence():
    with pytest.raises(KadanoffError, match="a process was killed"):
        in_processes("end", end_this_process, [()])


@pytest.fixture
def parent(tmp_path):
    """A process with two tasks of a minute."""
    (tmp_path / "script.py").write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, tmp_path / "script.py"], stderr=subprocess.DEVNULL)
    yield parent
    parent.kill()
    parent.wait()


def children(parent):
    """Its processes, once all are there: two workers and the resource tracker."""
    deadline = time.monotonic() + 20
    found: list = []
    while len(found) < 3 and time.monotonic() < deadline:
        found = psutil.Process(parent.pid).children(recursive=True)
        time.sleep(0.1)
    time.sleep(1.0)
    return found


def test_workers_do_not_outlive_their_parent(parent):
    found = children(parent)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(found, timeout=10)
    assert alive == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nobody_waits_for_tasks_that_are_interrupted(parent, number):
    found = children(parent)
    parent.send_signal(number)
    assert parent.wait(timeout=40) == {signal.SIGINT: -signal.SIGINT, signal.SIGTERM: 143}[number]
    _, alive = psutil.wait_procs(found, timeout=10)
    assert alive == []
