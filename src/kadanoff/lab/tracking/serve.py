"""MLflow's user interface, on this machine only."""

import os
import socket
import sys
from pathlib import Path

from kadanoff.errors import KadanoffError
from kadanoff.lab.tracking.store import artifact_root, store_uri
from kadanoff.lab.tracking.sync import sync

HOST = "127.0.0.1"


def serve(root: Path, port: int = 5000) -> None:
    """Import what MLflow lacks, then become `mlflow ui` on 127.0.0.1. Does not return.

    Raises
    ------
    KadanoffError
        If the port is taken, or MLFLOW_TRACKING_URI names a server, which has its own page.
    """
    uri = store_uri(root)
    if uri.startswith(("http:", "https:")):
        raise KadanoffError(f"MLFLOW_TRACKING_URI is {uri}: open it in a browser, or unset it to see the local store.")
    _require_free(port)
    report = sync(root)
    print(report, *report.problems, sep="\n")
    print(f"MLflow is at http://{HOST}:{port} in a few seconds; Ctrl-C ends it.", flush=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri, "--default-artifact-root", artifact_root(root).as_uri()]
    command += ["--uvicorn-opts", "--log-level warning"]
    # job execution would start a dozen more processes; the warnings are MLflow's own affair
    quiet = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONWARNINGS": "ignore",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
    }
    os.execve(sys.executable, command, os.environ | quiet)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does, past closed connections
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise KadanoffError(
                f"port {port} on {HOST} is not free ({error}); give another one with `--port`."
            ) from error
