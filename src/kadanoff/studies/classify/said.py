"""What the networks of `classify_compare` said, and how it scores: on their own system, elsewhere, with few labels."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.phases.models import Model
from kadanoff.phases.scores import on_one_set, scores_of
from kadanoff.phases.trials import LABELLED, Said, Task
from kadanoff.studies.classify.reference import BAYES, EQUILIBRIUM, PROTOCOLS, Reference, Size

Trials = Mapping[Task, Said]


def protocols_of(said: Mapping[str, Trials]) -> list[str]:
    """Protocols of any trial, in the order of `PROTOCOLS`."""
    found = {task.protocol for trials in said.values() for task in trials}
    return sorted(found, key=lambda protocol: ((*PROTOCOLS, protocol).index(protocol), protocol))


def main(model: Model, trials: Trials, protocol: str | None = None, system: str | None = None) -> Trials:
    """Trials with all images and the weights of the model's entry."""
    wanted = {"weights": model.weights, "images": LABELLED}
    wanted |= {"protocol": protocol} if protocol else {}
    wanted |= {"system": system} if system else {}
    return {task: said for task, said in trials.items() if wanted.items() <= task._asdict().items()}


def stacked(trials: Trials) -> NDArray[np.int8]:
    """(trials, tests, n)."""
    return np.array([trials[task].tests for task in sorted(trials, key=lambda task: task.trial)])


def transfers(
    models: Mapping[str, Model], said: Mapping[str, Trials], references: Mapping[str, Reference], protocol: str
) -> dict[str, dict[str, dict[str, Estimate]]]:
    """The first trial of each model and system on the first test set of every system."""
    found: dict[str, dict[str, dict[str, Estimate]]] = {}
    for name, model in models.items():
        for task, trial in main(model, said[name], protocol).items():
            if task.trial == 0:
                heard = {system: trial.others.get(f"system/{system}") for system in references}
                heard[task.system] = trial.tests[0]
                found.setdefault(name, {})[task.system] = {
                    system: on_one_set(references[system].labels[protocol][0], words)
                    for system, words in heard.items()
                    if words is not None
                }
    return found


def resized(
    models: Mapping[str, Model], said: Mapping[str, Trials], sizes: Mapping[str, Size]
) -> dict[str, dict[str, Estimate]]:
    """The first trial of each model, and the Bayes classifier, on the datasets of other sizes."""
    found: dict[str, dict[str, Estimate]] = {}
    for name, model in models.items():
        for task, trial in main(model, said[name], EQUILIBRIUM).items():
            heard = {dataset: trial.others[f"size/{dataset}"] for dataset in sizes if f"size/{dataset}" in trial.others}
            if task.trial == 0 and heard:
                seen = {dataset: on_one_set(sizes[dataset].labels, words) for dataset, words in heard.items()}
                found.setdefault(name, {}).update(seen)
    return found | {BAYES: {dataset: on_one_set(size.labels, size.bayes) for dataset, size in sizes.items()}}


def curves(
    said: Mapping[str, Trials], references: Mapping[str, Reference], curve: tuple[str, str]
) -> dict[str, dict[int, NDArray[np.float64]]]:
    """Scores (trials, tests) by `MODEL, WEIGHTS`, and by baseline, where any model has a learning curve."""
    groups: dict[str, dict[int, list[NDArray[np.int8]]]] = {}
    for name, trials in said.items():
        for task in sorted(trials, key=lambda task: task.trial):
            if (task.protocol, task.system) == curve:
                points = groups.setdefault(f"{name}, {task.weights}", {})
                points.setdefault(task.images, []).append(trials[task].tests)
    if not groups:
        return {}
    reference = references[curve[1]]
    for images, baselines in (reference.curve | {LABELLED: reference.said[curve[0]]}).items():
        for name, words in baselines.items():
            if name != BAYES:
                groups.setdefault(name, {})[images] = list(words)
    labels = reference.labels[curve[0]]
    return {
        name: {images: scores_of(labels, np.array(points[images])) for images in sorted(points)}
        for name, points in groups.items()
    }
