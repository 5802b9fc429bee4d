"""The scores of the study as one tidy table: a row for what was predicted of one test set.

Columns: `model` (a network, a baseline or the Bayes classifier), `start` (initial weights of a network, else empty),
`protocol`, `system` and `images` that it was trained on, `trial`, `tested_on` (a system, or a dataset of another size),
`test` (number of the test set), `macro_f1`, its jackknife `error` over images, and `chosen`, whether the validation set
prefers this baseline.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.phases.scores import mean_over, on_one_set
from kadanoff.phases.trials import LABELLED, Task, Trial

EQUILIBRIUM = "equilibrium"
Labels = Mapping[tuple[str, str], NDArray[np.int64]]
"""True labels (tests, n) of the test sets, by protocol and what is tested: a system, or a dataset of another size."""
Row = dict[str, Any]


def rows(labels: NDArray, predicted: NDArray, **names: Any) -> Iterator[Row]:
    """A row a test set, of labels (tests, n) and predictions (tests, n)."""
    for number, pair in enumerate(zip(labels, predicted, strict=True)):
        found = on_one_set(*pair)
        yield {"chosen": False} | names | {"test": number, "macro_f1": found.mean, "error": found.error}


def network_rows(model: str, trials: Mapping[Task, Trial], labels: Labels) -> Iterator[Row]:
    """All predictions of a network."""
    for task, trial in trials.items():
        names = {"model": model, "start": task.weights} | {
            key: value for key, value in task._asdict().items() if key != "weights"
        }
        yield from rows(labels[task.protocol, task.system], trial.tests, tested_on=task.system, **names)
        for name, predicted in trial.others.items():
            where = name.partition("/")[2]
            yield from rows(labels[task.protocol, where][:1], predicted[None], tested_on=where, **names)


def read_scores(path: Path) -> pd.DataFrame:
    """The table that `classify` has written of a model; KadanoffError if there is none, or it is damaged."""
    try:
        found = pd.read_csv(path, keep_default_na=False)
        return found.astype({"trial": int, "test": int, "macro_f1": float})
    except (OSError, ValueError, KeyError) as error:
        raise KadanoffError(
            f"{path} holds no scores ({error}). Make them with `dvc repro classify`, or fetch them with `dvc pull`."
        ) from error


def on_own_system(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows that are tested on the system that they were trained on."""
    return scores[scores.tested_on == scores.system]


def main(scores: pd.DataFrame, starts: Mapping[str, str]) -> pd.DataFrame:
    """Rows with all labelled images, and of networks with the initial weights in `starts`."""
    return scores[(scores.images == LABELLED) & (scores.start == scores.model.map(starts).fillna(""))]


def table_of(scores: pd.DataFrame) -> NDArray[np.float64]:
    """Macro-F1 (trials, tests)."""
    return scores.pivot(index="trial", columns="test", values="macro_f1").to_numpy()


def mean_score(scores: pd.DataFrame) -> Estimate:
    """Mean over trials and test sets."""
    return mean_over(table_of(scores))


def scatter_of_trials(scores: pd.DataFrame) -> float:
    """Standard deviation of the means of the trials; not a number for a single one."""
    return float(scores.groupby("trial").macro_f1.mean().std())


def first_score(scores: pd.DataFrame) -> Estimate:
    """Of the first trial on the first test set, with the error over its images."""
    first = scores.sort_values(["trial", "test"]).iloc[0]
    return Estimate(first.macro_f1, first.error)


def difference(one: pd.DataFrame, other: pd.DataFrame) -> Estimate:
    """Mean of one less the other on the same test sets, trial by trial; what has no trials stands beside each."""
    first, second = table_of(one), table_of(other)
    count = len(first) if not other.start.any() else min(len(first), len(second))
    return mean_over(first[:count] - second[:count])


def curves(scores: pd.DataFrame, protocol: str, system: str) -> pd.DataFrame:
    """The learning curves there: columns model, start, images, and the mean `macro_f1`."""
    here = on_own_system(scores)
    here = here[(here.protocol == protocol) & (here.system == system)]
    means = [(*names, mean_score(group)) for names, group in here.groupby(["model", "start", "images"], sort=False)]
    return pd.DataFrame(means, columns=["model", "start", "images", "macro_f1"]).sort_values(
        "images", kind="stable", ignore_index=True
    )


def transfer(scores: pd.DataFrame, starts: Mapping[str, str]) -> pd.DataFrame:
    """First scores of main networks: columns protocol, model, system, `tested_on`, `macro_f1`."""
    networks = main(scores[scores.start != ""], starts)
    keys = ["protocol", "model", "system", "tested_on"]
    found = [(*names, first_score(group)) for names, group in networks.groupby(keys, sort=False)]
    return pd.DataFrame(found, columns=[*keys, "macro_f1"])


def nested(table: pd.DataFrame, keys: list[str], value: str = "macro_f1") -> dict[str, Any]:
    """A column of a table as a record holds it: mappings by the first key, then the next, ..."""
    found: dict[str, Any] = {}
    for *names, last, number in table[[*keys, value]].itertuples(index=False, name=None):
        inner = found
        for name in names:
            inner = inner.setdefault(name, {})
        inner[last] = number
    return found
