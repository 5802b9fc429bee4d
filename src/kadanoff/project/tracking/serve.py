"""MLflow's user interface, on this machine only."""

import os
import socket
import warnings
from pathlib import Path

from kadanoff.errors import KadanoffError, without_secret
from kadanoff.project.tracking.store import artifact_root, store_uri
from kadanoff.project.tracking.sync import sync

HOST = "127.0.0.1"
NAMES = ("localhost", HOST, "[::1]")  # of this machine, in the address that a browser has asked for


def serve(root: Path, port: int = 5000) -> None:
    """Import what MLflow lacks, then serve its pages on 127.0.0.1 until Ctrl-C.

    The server runs in this very process, which `mlflow ui` would start as a child: nothing is left when it is killed.

    Raises
    ------
    KadanoffError
        If the port is taken, or MLFLOW_TRACKING_URI names a server, which has its own page.
    """
    uri = store_uri(root)
    if uri.startswith(("http:", "https:")):
        raise KadanoffError(
            f"MLFLOW_TRACKING_URI is {without_secret(uri)}: open it in a browser, or unset it to see the local store."
        )
    _require_free(port)
    report = sync(root)
    print(report, *report.problems, sep="\n")
    print(f"MLflow is at http://{HOST}:{port} in a few seconds; Ctrl-C ends it.")
    print(
        'At the first visit choose "Model training" at the top left: MLflow opens on pages for chat models.', flush=True
    )
    _run_server(uri, artifact_root(root).as_uri(), port)


def _run_server(uri: str, artifacts: str, port: int) -> None:
    warnings.simplefilter("ignore")  # MLflow's own affair
    import uvicorn
    from mlflow.server import constants

    # what `mlflow ui` tells its server; job execution would start a dozen more processes
    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: uri,
        constants.ARTIFACT_ROOT_ENV_VAR: artifacts,
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    # MLflow's own patterns, such as 10.*, are met by names that a foreign page can point to this machine
    hosts = [f"{name}:{port}" for name in NAMES]
    os.environ.setdefault("MLFLOW_SERVER_ALLOWED_HOSTS", ",".join(hosts))
    os.environ.setdefault("MLFLOW_SERVER_CORS_ALLOWED_ORIGINS", ",".join(f"http://{host}" for host in hosts))
    uvicorn.run("mlflow.server.fastapi_app:app", host=HOST, port=port, log_level="warning")


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does, past closed connections
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise KadanoffError(
                f"port {port} on {HOST} is not free ({error}); give another one with `--port`."
            ) from error
