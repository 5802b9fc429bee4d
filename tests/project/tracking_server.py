"""A tracking server on this machine, and a busy client: for the tests of tracking."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import psutil


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address, seconds=60):
    """What is at the address, once there is something."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address) as answer:
                return answer.read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def tracking_server(folder):
    """Address of an `mlflow server` that keeps all in `folder`."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", f"{folder}/files"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | quiet, stdout=log, stderr=log)
        try:
            wait_for(f"{address}/health")
            yield address
        finally:
            family = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            process.wait()
            for child in family:
                if child.is_running():
                    child.kill()


POINTS = 700  # two numbers each: more than one batch of 1000


def log_much(root, environment, stage, variant, start):
    """One run with many points, parameters and a file; for a process of its own that waits for the others."""
    from kadanoff.project import view
    from kadanoff.project.records import recorded

    view.LIVE_AFTER_SECONDS = -1.0
    os.chdir(root)
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # of the test that started the server of forks
    os.environ.update(environment)
    start.wait()
    with recorded(stage, variant, parameters={f"p{number}": number for number in range(150)}) as run:
        for epoch in range(POINTS):
            run.epoch(epoch, loss=epoch / 8, rate=float(variant))
        run.text("table.md", variant)
