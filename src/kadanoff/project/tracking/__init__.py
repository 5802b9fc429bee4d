"""MLflow as a view on the records. Only this package imports mlflow; importing it takes about a second.

`live` shows a run while it happens, `sync` imports the records that MLflow lacks, `serve` opens the user interface,
`versions` and `where` lead from commits to runs and back, `champions` names the best network of each study.
"""

import os

# read by mlflow: no usage reports, no links among a stage's output, no minutes of silent retries when a server is down
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

from kadanoff.project.tracking.serve import serve
from kadanoff.project.tracking.sync import SyncReport, sync

__all__ = ["SyncReport", "serve", "sync"]
