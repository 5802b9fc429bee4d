"""MLflow as a view on the records. Only this package imports mlflow; importing it takes about a second.

`live` shows a run while it happens, `published` reads records, `sync` imports those that MLflow lacks,
`serve` opens the user interface.
"""

from kadanoff.lab.tracking.serve import serve
from kadanoff.lab.tracking.sync import SyncReport, sync

__all__ = ["SyncReport", "serve", "sync"]
