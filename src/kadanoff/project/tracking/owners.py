"""Which process owns a run, and whether it still lives."""

import json
import socket

import psutil
from mlflow.entities import Run

from kadanoff.project.tracking.store import PROCESS, Store

CLOCK_SECONDS = 2  # by which a process may seem older or younger than it is


def dead_runs(store: Store) -> list[Run]:
    """Runs that still say RUNNING although their process, on this machine, is gone."""
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    running = store.client.search_runs(experiments, "attributes.status = 'RUNNING'", max_results=1000)
    return [run for run in running if PROCESS in run.data.tags and not lives(run.data.tags)]


def lives(tags: dict[str, str]) -> bool:
    """Whether the process that these tags name may still live; one of another machine may."""
    try:
        owner = json.loads(tags[PROCESS])
        if owner["host"] != socket.gethostname():
            return True
        process = psutil.Process(owner["pid"])
        same = abs(process.create_time() - owner["started"]) < CLOCK_SECONDS  # else the number was given out again
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except (KeyError, ValueError, TypeError, psutil.AccessDenied):
        return True  # not a process of ours
