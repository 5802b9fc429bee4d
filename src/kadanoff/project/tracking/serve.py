"""MLflow's user interface, on this machine only."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from kadanoff.errors import KadanoffError, without_secret
from kadanoff.project.tracking.store import artifact_root, store_uri
from kadanoff.project.tracking.sync import sync

HOST = "127.0.0.1"


def serve(root: Path, port: int = 5000, purposes: Mapping[str, str] | None = None) -> None:
    """Import what MLflow lacks, then become `mlflow ui`, which serves its pages on 127.0.0.1 until Ctrl-C.

    KadanoffError if MLFLOW_TRACKING_URI names a server, which has its own page.
    """
    uri = store_uri(root)
    if uri.startswith(("http:", "https:")):
        raise KadanoffError(
            f"MLFLOW_TRACKING_URI is {without_secret(uri)}: open it in a browser, or unset it to see the local store."
        )
    report = sync(root, purposes)
    print(report, *report.problems, sep="\n")
    print(f"MLflow is at http://{HOST}:{port} in a few seconds; Ctrl-C ends it.")
    print('At the first visit choose "Model training" at the top left: MLflow opens on pages for chat models.')
    sys.stdout.flush()
    # MLflow's own patterns, such as 10.*, are met by names that a foreign page can point to this machine
    hosts = [f"localhost:{port}", f"{HOST}:{port}"]
    command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri, "--default-artifact-root", artifact_root(root).as_uri()]
    command += ["--allowed-hosts", ",".join(hosts)]
    command += ["--cors-allowed-origins", ",".join(f"http://{host}" for host in hosts)]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}  # else a dozen more processes
    os.execve(sys.executable, command, os.environ | quiet)
