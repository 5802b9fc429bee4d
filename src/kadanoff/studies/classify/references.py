"""What networks are compared with: Bayes limits, baselines, and how far from equilibrium lattices are."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.estimate import Estimate
from kadanoff.phases.baselines import best, fit_baselines
from kadanoff.phases.bayes import Limit, Scatter, bayes_limit, predict, region_distributions, scatter, share_with_walls
from kadanoff.phases.microstates import Datasets
from kadanoff.phases.models import System
from kadanoff.phases.regions import EQUILIBRIUM, LABELLED, TEST
from kadanoff.phases.scores import score_rows
from kadanoff.runtime.executor import in_processes
from kadanoff.studies.classify.params import Params

PROTOCOLS = (EQUILIBRIUM, "metropolis500")
BAYES = "Bayes classifier"
Row = dict[str, Any]


@dataclass(frozen=True)
class Reference:
    """What is known of a system, or of its lattices of another size: `side` spins wide.

    `probabilities` are P(E|region), float64 (4, levels), in equilibrium; `walls`, by protocol, the share of the coldest
    region's lattices that equilibrium has not.
    """

    side: int
    limit: Limit
    probabilities: NDArray[np.float64]
    scatter: Scatter
    walls: dict[str, Estimate]


def datasets(root: Path, given: Params, protocols: list[str]) -> list[Path]:
    """All datasets of the systems that are there, and those that have to be; then those of other sizes."""
    data, needed = given.data(root), (EQUILIBRIUM, *protocols)
    paths = [(protocol, data.path(system, protocol)) for protocol in PROTOCOLS for system in given.systems]
    sizes = [data.size(name) for names in given.sizes.values() for name in names]
    return [*(path for protocol, path in paths if protocol in needed or path.exists()), *sizes]


def references(
    root: Path, given: Params, protocols: list[str], sets: int
) -> tuple[dict[str, Reference], dict[str, Reference], list[Row]]:
    """Of all systems, and of all datasets of another size, and scores of baselines and Bayes classifiers; in processes.

    How far a score scatters around a limit comes from so many `sets`, drawn from the exact distributions.
    """
    boundaries: dict[str, list[str]] = {}  # one process each: systems of one boundary share an exact density of states
    for name, system in given.systems.items():
        boundaries.setdefault(system.boundary, []).append(name)
    sizes = [name for names in given.sizes.values() for name in names]
    tasks = [*boundaries.values(), *([name] for name in sizes)]
    found = in_processes("classify_compare", partial(_known, root, given, protocols, sets), [(each,) for each in tasks])
    limits = {name: limit for group, _ in found for name, limit in group.items()}
    rows = [row for _, group in found for row in group]
    return {name: limits[name] for name in given.systems}, {name: limits[name] for name in sizes}, rows


def _known(
    root: Path, given: Params, protocols: list[str], sets: int, names: list[str]
) -> tuple[dict[str, Reference], list[Row]]:
    """References and scores of a few systems or datasets of another size."""
    data, limits = given.data(root), {}
    rows: list[Row] = []
    for name in names:
        if name in given.systems:
            paths = {protocol: data.path(name, protocol) for protocol in PROTOCOLS}
            found = {p: open_dataset(path) for p, path in paths.items() if path in datasets(root, given, protocols)}
            limits[name] = _reference(given.systems[name], found, sets, given.seed)
            tests = data.sets(name, EQUILIBRIUM).tests if EQUILIBRIUM in protocols else []
            for protocol in protocols:
                rows += _baselines(given, data, name, protocol)
        else:
            system = next(system for system, sizes in given.sizes.items() if name in sizes)
            ensembles = {EQUILIBRIUM: open_dataset(data.size(name))}
            limits[name] = _reference(given.systems[system], ensembles, sets, given.seed)
            tests = [data.test(name)]
        side, limit = limits[name].side, limits[name].limit
        rows += score_rows(tests, [predict(limit, t.energies, side**2) for t in tests], **_names(name), model=BAYES)
    return limits, rows


def _reference(system: System, ensembles: Mapping[str, Ensemble], sets: int, seed: int) -> Reference:
    ensemble = ensembles[EQUILIBRIUM]
    lattice = system.lattice(ensemble.spins.shape[-1])
    levels, probabilities = region_distributions(lattice, ensemble.temperatures)
    limit = bayes_limit(levels, probabilities)
    return Reference(
        side=lattice.width,
        limit=limit,
        probabilities=probabilities,
        scatter=scatter(limit, probabilities, TEST, sets, seed),
        walls={protocol: share_with_walls(found, lattice) for protocol, found in ensembles.items()},
    )


def _baselines(given: Params, data: Datasets, system: str, protocol: str) -> list[Row]:
    states, rows = data.sets(system, protocol), []
    curve = given.curve.images if (protocol, system) == (given.curve.protocol, given.curve.system) else []
    for images in (LABELLED, *curve):
        fitted = fit_baselines(states.train[:images], states.validation, given.seed)
        names = _names(system) | {"protocol": protocol, "images": images}
        for model, predictor in fitted.items():
            predicted = [predictor(test) for test in states.tests]
            row = names | {"model": model, "chosen": model == best(fitted)}
            rows += score_rows(states.tests, predicted, **row)
    return rows


def _names(system: str) -> Row:
    names = {"start": "", "protocol": EQUILIBRIUM, "system": system, "tested_on": system}
    return names | {"images": LABELLED, "trial": 0, "chosen": False}
