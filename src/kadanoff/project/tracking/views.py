"""A saved view of each experiment: the numbers that are compared, as columns and as a chart.

MLflow keeps saved views as tags of the experiment. These are what its page "Save as new view" writes; the test in a
browser opens one.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from mlflow import MlflowClient

from kadanoff.project.records.read import Published
from kadanoff.project.records.runinfo import flatten
from kadanoff.project.tracking.runs import PARENT, clean

TAG = "mlflow.sharedViewState.kadanoff"
MOST_PARAMETERS = 4  # columns of parameters that differ between runs
SECTION = "compared"  # of the charts


def save_view(client: MlflowClient, experiment: str, records: Sequence[Published]) -> None:
    """Save the view of the experiment with these records of one stage, if it is another one than before.

    It shows the rows of what they compare, or the runs themselves with the parameters in which they differ.
    """
    compared = [record for record in records if record.comparison]
    if compared:
        parameters, rows = compared[0].info.compared_by, compared[0].comparison
        metrics = [name for name in rows[0] if name not in parameters]
        numeric = [name for name in parameters if _is_axis({row[name] for row in rows})]
        view = _view("What is compared", f"tags.`{PARENT}` LIKE '%'", parameters, metrics, numeric)
    else:
        metrics = list(dict.fromkeys(name for record in records for name in record.summary))
        tags = ["task"] if any(record.info.model for record in records) else []
        if not metrics:
            return
        view = _view("Headline numbers", "", _differing(records), metrics, tags=tags)
    if client.get_experiment(experiment).tags.get(TAG) != view:
        client.set_experiment_tag(experiment, TAG, view)


def _is_axis(values: set[str]) -> bool:
    """Whether these are three or more numbers."""
    known = values - {""}
    return len(known) > 2 and all(value.replace(".", "").isdigit() for value in known)


def _differing(records: Sequence[Published]) -> list[str]:
    """Parameters that have several values, the first ones."""
    flat = [flatten(record.info.parameters) for record in records]
    names = dict.fromkeys(name for each in flat for name in each)
    return [name for name in names if len({str(each.get(name)) for each in flat}) > 1][:MOST_PARAMETERS]


def _view(
    name: str,
    search: str,
    parameters: Iterable[str],
    metrics: Iterable[str],
    numeric: Sequence[str] = (),
    tags: Sequence[str] = (),
) -> str:
    known = [*map(clean, metrics)]
    shown = [key for key in known if not key.endswith("_stderr")]
    columns = {
        "tags": tags,
        "params": [*map(clean, parameters)],
        "metrics": [key for key in known if key in {*shown, f"{shown[0]}_stderr"}],
    }
    charts: list[dict[str, Any]] = [
        {"type": "PARALLEL", "selectedParams": columns["params"], "selectedMetrics": shown, "showAllRuns": True}
    ]
    charts += [
        {"type": "SCATTER", "xaxis": {"key": x, "type": "PARAM"}, "yaxis": {"key": y, "type": "METRIC"}}
        for x in map(clean, numeric)
        for y in shown[:2]
    ]
    common = {"runsCountToCompare": 100, "metricSectionId": SECTION, "deleted": False, "isGenerated": False}
    state = {
        "searchFilter": search,
        "orderByKey": f"metrics.`{shown[0]}`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [f"{kind}.`{key}`" for kind, keys in columns.items() for key in keys],
        "runsHiddenMode": "SHOWALL",
        "compareRunCharts": [{"uuid": f"chart{place}"} | common | chart for place, chart in enumerate(charts)],
        "compareRunSections": [{"uuid": SECTION, "name": name, "display": True, "isReordered": False}],
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    return json.dumps({"name": name, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"})
