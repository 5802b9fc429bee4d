"""What networks are compared with: Bayes limits, baselines, and how far from equilibrium lattices are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.estimate import Estimate
from kadanoff.phases.baselines import best, fit_baselines
from kadanoff.phases.bayes import Limit, Scatter, bayes_limit, predict, region_distributions, scatter, share_with_walls
from kadanoff.phases.microstates import Images, Microstates, draw, draw_tests
from kadanoff.phases.regions import TEST
from kadanoff.phases.systems import System
from kadanoff.phases.trials import LABELLED
from kadanoff.runtime.executor import in_processes
from kadanoff.studies.classify.scores import EQUILIBRIUM, Row, rows

PROTOCOLS = (EQUILIBRIUM, "metropolis500", "metropolis750")
BAYES = "Bayes classifier"
UNSURE = "not shown to be in equilibrium"
"""What a dataset is called whose provenance does not say that it is equilibrated."""


@dataclass(frozen=True)
class Plan:
    """What every process is told; `curve` is the protocol, the system and the images of the learning curve."""

    root: Path
    systems: Mapping[str, System]
    sizes: Mapping[str, str]  # systems of the datasets of another size
    protocols: tuple[str, ...]
    curve: tuple[str, str, tuple[int, ...]]
    tests: int
    seed: int
    scatter: int

    def dataset(self, system: str, protocol: str) -> Path:
        """As a `Bench` of `classify` has it."""
        return self.root / "data" / "classify" / f"classify_{system}_{protocol}.zarr"

    def size(self, name: str) -> Path:
        """A dataset of another size."""
        return self.root / "data" / "classify" / f"{name}.zarr"

    def inputs(self) -> list[Path]:
        """All datasets of the systems that are there, and those that have to be."""
        paths = [(protocol, self.dataset(system, protocol)) for protocol in PROTOCOLS for system in self.systems]
        needed = (EQUILIBRIUM, *self.protocols)
        systems = [path for protocol, path in paths if protocol in needed or path.exists()]
        return [*systems, *map(self.size, self.sizes)]


@dataclass(frozen=True)
class Reference:
    """What is known of a system, or of its lattices of another size: `side` spins wide.

    `probabilities` are P(E|region), float64 (4, levels), in equilibrium; `walls`, by protocol, the share of the coldest
    region's lattices that equilibrium has not; `equilibrated` is what the dataset of equilibrium says of itself.
    """

    side: int
    limit: Limit
    probabilities: NDArray[np.float64]
    scatter: Scatter
    walls: dict[str, Estimate]
    equilibrated: bool


class Known(NamedTuple):
    """A reference, and the scores of baselines and the Bayes classifier."""

    reference: Reference
    scores: list[Row]


def references(plan: Plan) -> dict[str, Known]:
    """All systems, and all datasets of another size; in processes."""
    boundaries: dict[str, list[str]] = {}  # one process each: systems of one boundary share an exact density of states
    for name, system in plan.systems.items():
        boundaries.setdefault(system.boundary, []).append(name)
    tasks = [*boundaries.values(), *([name] for name in plan.sizes)]
    found = in_processes("classify_compare", partial(_known, plan), [(names,) for names in tasks])
    known = {name: each for group in found for name, each in group.items()}
    return {name: known[name] for name in (*plan.systems, *plan.sizes)}


def _known(plan: Plan, names: list[str]) -> dict[str, Known]:
    return {name: _size(plan, name) if name in plan.sizes else _system(plan, name) for name in names}


def _system(plan: Plan, name: str) -> Known:
    ensembles = {p: open_dataset(plan.dataset(name, p)) for p in PROTOCOLS if plan.dataset(name, p) in plan.inputs()}
    reference = _reference(plan, plan.systems[name], ensembles)
    scores: list[Row] = []
    for protocol in plan.protocols:
        states = draw(plan.dataset(name, protocol), ensembles[protocol], plan.tests, plan.seed)
        curve = plan.curve[2] if (protocol, name) == plan.curve[:2] else ()
        for images in (LABELLED, *curve):
            scores += _baselines(plan, states, protocol, name, images)
        if protocol == EQUILIBRIUM:
            scores += _bayes(reference, states.tests, name)
    return Known(reference, scores)


def _size(plan: Plan, name: str) -> Known:
    ensemble = open_dataset(plan.size(name))
    reference = _reference(plan, plan.systems[plan.sizes[name]], {EQUILIBRIUM: ensemble})
    tests = draw_tests(plan.size(name), ensemble, 1, plan.seed)
    return Known(reference, _bayes(reference, tests, name))


def _reference(plan: Plan, system: System, ensembles: Mapping[str, Ensemble]) -> Reference:
    ensemble = ensembles[EQUILIBRIUM]
    lattice = system.lattice(ensemble.spins.shape[-1])
    levels, probabilities = region_distributions(lattice, ensemble.temperatures)
    limit = bayes_limit(levels, probabilities)
    return Reference(
        side=lattice.width,
        limit=limit,
        probabilities=probabilities,
        scatter=scatter(limit, probabilities, TEST, plan.scatter, plan.seed),
        walls={protocol: share_with_walls(found, lattice) for protocol, found in ensembles.items()},
        equilibrated=ensemble.provenance.get("equilibrated") is True,
    )


def _baselines(plan: Plan, states: Microstates, protocol: str, system: str, images: int) -> list[Row]:
    fitted = fit_baselines(states.train.first(images), states.validation, plan.seed)
    found: list[Row] = []
    for model, predictor in fitted.items():
        names = _names(system) | {"protocol": protocol, "images": images}
        found += _rows(states.tests, predictor, names | {"model": model, "chosen": model == best(fitted)})
    return found


def _bayes(reference: Reference, tests: list[Images], system: str) -> list[Row]:
    def predictor(images: Images) -> NDArray[np.int64]:
        return predict(reference.limit, images.energies, reference.side**2)

    return _rows(tests, predictor, _names(system) | {"model": BAYES})


def _rows(tests: list[Images], predictor: Callable[[Images], NDArray[np.int64]], names: Row) -> list[Row]:
    labels, predicted = (np.array(each) for each in zip(*((t.labels, predictor(t)) for t in tests), strict=True))
    return list(rows(labels, predicted, **names))


def _names(system: str) -> Row:
    names = {"start": "", "protocol": EQUILIBRIUM, "system": system, "tested_on": system}
    return names | {"images": LABELLED, "trial": 0}
