"""MLflow as a view of the records. Only this package imports mlflow, which takes seconds.

`sync` imports the records, `registry` names the best network of each study, `serve` opens the user interface.
"""

import os

# read by mlflow: no usage reports, no links in a stage's output, and a server that is down costs seconds, not minutes
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

from kadanoff.project.tracking.serve import serve
from kadanoff.project.tracking.sync import SyncReport, sync

__all__ = ["SyncReport", "serve", "sync"]
