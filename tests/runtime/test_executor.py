import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from kadanoff.errors import KadanoffError
from kadanoff.runtime.executor import in_processes

SCRIPT = """
import time
from kadanoff.runtime.executor import in_processes
if __name__ == "__main__":
    in_processes("sleep", time.sleep, [(60,), (60,)])
"""


def end_this_process():
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_come_in_order():
    assert in_processes("abs", abs, [(-3,), (2,), (-1,)]) == [3, 2, 1]


def test_a_killed_worker_is_a_sentence():
    with pytest.raises(KadanoffError, match="a process was killed"):
        in_processes("end", end_this_process, [()])


def test_workers_do_not_outlive_their_parent(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, tmp_path / "script.py"])
    deadline = time.monotonic() + 20
    children: list = []
    while len(children) < 3 and time.monotonic() < deadline:  # two workers and the resource tracker
        children = psutil.Process(parent.pid).children(recursive=True)
        time.sleep(0.1)
    time.sleep(1.0)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
