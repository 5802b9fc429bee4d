"""Macro-F1 of all trials of a model, with errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.phases.microstates import Images
from kadanoff.phases.scores import confusion, mean_over, on_one_set, scores_of
from kadanoff.phases.trials import LABELLED, Bench, Task, Trial

Confusion = NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """By protocol, then system: macro-F1, its scatter over trials, and the confusions [true, said] of all trials.

    `training` is how long the first trial trained, and which of its epochs was the best, 0 for the start.

    `transfer` goes on by the system that was tested, `sizes` by the dataset, both for the first trial alone; `curve` is
    by weights, then labelled images.
    """

    main: dict[str, dict[str, Estimate]]
    scatter: dict[str, dict[str, float]]
    confusions: dict[str, dict[str, Confusion]]
    training: dict[str, dict[str, dict[str, float]]]
    transfer: dict[str, dict[str, dict[str, Estimate]]]
    sizes: dict[str, Estimate]
    curve: dict[str, dict[int, Estimate]]

    def metrics(self) -> dict[str, Any]:
        """As a record holds them."""
        found: dict[str, Any] = {}
        for protocol, systems in self.main.items():
            rows = {
                system: {
                    "macro_f1": value,
                    "scatter_of_trials": self.scatter[protocol][system],
                    "training": self.training[protocol][system],
                }
                for system, value in systems.items()
            }
            mean = np.mean([value.mean for value in systems.values()])
            error = np.sqrt(np.sum([value.error**2 for value in systems.values()])) / len(systems)
            found[protocol] = rows | {
                "mean_error": Estimate(1 - float(mean), float(error)),
                "transfer": self.transfer[protocol],
            }
        curve = {w: {f"images={n}": value for n, value in points.items()} for w, points in self.curve.items()}
        return found | {"sizes": self.sizes, "curve": {w.replace("/", "_"): points for w, points in curve.items()}}


def score(bench: Bench, trials: dict[Task, Trial], curve: tuple[str, str]) -> Scores:
    """Everything that the trials tell; `curve` is the protocol and the system of the learning curve."""
    states: dict[tuple[str, str], list[Images]] = {}

    def tests(protocol: str, system: str) -> list[Images]:
        if (protocol, system) not in states:
            states[protocol, system] = bench.microstates(system, protocol).tests
        return states[protocol, system]

    groups: dict[Task, list[Trial]] = {}
    for task, trial in trials.items():
        groups.setdefault(task._replace(trial=0), []).append(trial)
    found = Scores({}, {}, {}, {}, {}, {}, {})
    for task, group in groups.items():
        images = tests(task.protocol, task.system)
        labels, said = np.array([found.labels for found in images]), np.array([trial.tests for trial in group])
        table = scores_of(labels, said)
        if task.weights == bench.model.weights and task.images == LABELLED:
            _add_main(found, task, group, table, images)
            found.transfer.setdefault(task.protocol, {})[task.system] = {
                system: on_one_set(tests(task.protocol, system)[0].labels, group[0].others[f"system/{system}"])
                for system in bench.systems
                if system != task.system
            }
            for name, words in group[0].others.items():
                if name.startswith("size/"):
                    dataset = name.removeprefix("size/")
                    found.sizes[dataset] = on_one_set(bench.size_test(dataset).labels, words)
        if (task.protocol, task.system) == curve:
            found.curve.setdefault(task.weights, {})[task.images] = mean_over(table)
    return found


def _add_main(
    found: Scores, task: Task, group: Sequence[Trial], table: NDArray[np.float64], images: list[Images]
) -> None:
    scatter = float(table.mean(1).std(ddof=1)) if len(table) > 1 else float("nan")
    found.main.setdefault(task.protocol, {})[task.system] = mean_over(table)
    found.scatter.setdefault(task.protocol, {})[task.system] = scatter
    found.training.setdefault(task.protocol, {})[task.system] = group[0].fit.metrics()
    found.confusions.setdefault(task.protocol, {})[task.system] = np.sum(
        [confusion(i.labels, said) for trial in group for i, said in zip(images, trial.tests, strict=True)], axis=0
    )
