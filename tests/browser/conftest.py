"""A fresh clone with its results and without data, MLflow's pages of it, and a browser."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import pytest
from browser import Browser
from project import ROOT, Project

STARTUP = 120  # seconds after which a server hangs; on a loaded machine a fresh clone may take half of it


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """What a second person has: the repository with its records, and what is not committed yet; no data, no runs."""
    folder = tmp_path_factory.mktemp("clone") / "kadanoff"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    for command in (["git", "diff", "--name-only", "HEAD"], ["git", "ls-files", "-o", "--exclude-standard"]):
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
        for name in names:
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    return Project(folder)


@pytest.fixture(scope="session")
def mlflow_ui(clone, tmp_path_factory):
    """Address of MLflow's pages, as `kadanoff ui` serves them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("ui") / "log"
    with log.open("w") as output:
        server = subprocess.Popen(
            ["kadanoff", "ui", "--port", str(port)],
            cwd=clone.folder,
            env=clone.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that its workers end with it
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, server, log)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def _wait_for(address, server, log):
    deadline = time.monotonic() + STARTUP
    while True:
        assert server.poll() is None, f"kadanoff ui ended:\n{log.read_text()}"
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"kadanoff ui is not there after {STARTUP} s:\n{log.read_text()}"
            time.sleep(0.1)


@pytest.fixture(scope="session")
def window(tmp_path_factory):
    """A browser for all tests: it takes seconds to start."""
    browser = Browser(tmp_path_factory.mktemp("profile"), ROOT / "tests" / "artifacts")
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(window, request):
    """The browser. After the test its picture is kept, also of a failure, and it must not have complained."""
    window.sit_down()
    yield window
    window.picture(request.node.name.removeprefix("test_"))
    assert window.complaints() == []
