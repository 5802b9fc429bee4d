"""The scores of the study as one tidy table: a row for what was predicted of one test set.

Columns: `model` (a network, a baseline or the Bayes classifier), `start` (initial weights of a network, else empty),
`protocol`, `system` and `images` that it was trained on, `trial`, `tested_on` (a system, or a dataset of another size),
`test` (number of the test set), `macro_f1`, its jackknife `error` over images, and `chosen`, whether the validation set
prefers this baseline.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.phases.regions import LABELLED
from kadanoff.phases.scores import mean_over
from kadanoff.phases.trials import Task, Trial

TRAINED = ["model", "start", "protocol", "system", "images", "trial"]
COLUMNS = ["chosen", "tested_on", *TRAINED, "test", "macro_f1", "error"]


def scores_of(model: str, trials: Mapping[Task, Trial]) -> pd.DataFrame:
    """All scores of a network."""
    rows = [
        {"chosen": False, "model": model, "start": task.weights} | task._asdict() | row
        for task, trial in trials.items()
        for row in trial.scores
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


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
    found = pd.DataFrame(means, columns=["model", "start", "images", "macro_f1"])
    return found.sort_values("images", kind="stable", ignore_index=True)


def transfer(scores: pd.DataFrame, starts: Mapping[str, str]) -> pd.DataFrame:
    """`main` scores of first trials on first test sets, with the error over its images.

    Columns protocol, model, system, `tested_on`, `macro_f1`.
    """
    found = main(scores, starts)
    found = found[(found.trial == 0) & (found.test == 0)]
    first = [Estimate(*pair) for pair in zip(found.macro_f1, found.error, strict=True)]
    return found[["protocol", "model", "system", "tested_on"]].assign(macro_f1=first)


def nested(table: pd.DataFrame, keys: list[str], value: str = "macro_f1") -> dict[str, Any]:
    """A column of a table as a record holds it: mappings by the first key, then the next, ..."""
    found: dict[str, Any] = {}
    for *names, last, number in table[[*keys, value]].itertuples(index=False, name=None):
        inner = found
        for name in names:
            inner = inner.setdefault(name, {})
        inner[last] = number
    return found
