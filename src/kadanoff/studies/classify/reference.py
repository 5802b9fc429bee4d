"""What `classify_compare` holds models against: Bayes limits, baselines, and how far from equilibrium lattices are."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.estimate import Estimate
from kadanoff.phases.baselines import Predictor, best, fit_baselines
from kadanoff.phases.bayes import Limit, Scatter, bayes_limit, predict, region_distributions, scatter
from kadanoff.phases.microstates import Images, Microstates, draw, draw_tests
from kadanoff.phases.regions import TEST, region
from kadanoff.phases.systems import System
from kadanoff.phases.trials import LABELLED
from kadanoff.runtime.executor import in_processes
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.exact import exact_energy_distribution
from kadanoff.spins.statistics import independent_mean

EQUILIBRIUM = "equilibrium"
PROTOCOLS = (EQUILIBRIUM, "metropolis500", "metropolis750")
BAYES = "Bayes classifier"
UNSURE = "not shown to be in equilibrium"
"""What a dataset is called whose provenance does not say that it is equilibrated."""
RARE = 2.87e-7
"""Probability of more than 5 standard deviations above the mean of a normal distribution."""
Words = dict[str, NDArray[np.int8]]
"""Labels by whoever says them."""


@dataclass(frozen=True)
class Plan:
    """What every process is told; `curve` is the protocol, the system and the images of the learning curve."""

    root: Path
    systems: Mapping[str, System]
    protocols: tuple[str, ...]
    curve: tuple[str, str, tuple[int, ...]]
    tests: int
    seed: int
    scatter: int

    def dataset(self, system: str, protocol: str) -> Path:
        """As a `Bench` of `classify` has it."""
        return self.root / "data" / f"classify_{system}_{protocol}.zarr"

    def size(self, name: str) -> Path:
        """A dataset of another size."""
        return self.root / "data" / f"{name}.zarr"

    def inputs(self) -> list[Path]:
        """All datasets of the systems that are there, and those that have to be."""
        paths = {protocol: [self.dataset(system, protocol) for system in self.systems] for protocol in PROTOCOLS}
        needed = (EQUILIBRIUM, *self.protocols)
        return [path for protocol, found in paths.items() for path in found if protocol in needed or path.exists()]


@dataclass(frozen=True)
class Reference:
    """What is known of a system.

    `probabilities` are P(E|region), float64 (4, levels), in equilibrium, of `sites` spins. By protocol: `labels`
    (tests, n); `said`, what the Bayes classifier (in equilibrium) and every baseline say, int8 (1, tests, n); and
    `walls`, the share of the coldest region's lattices that equilibrium has not. `curve` is as `said` by labelled
    images, of baselines; `chosen` is the baseline that the validation set prefers, by protocol and labelled images.
    `equilibrated` is what the dataset of equilibrium says of itself.
    """

    sites: int
    limit: Limit
    probabilities: NDArray[np.float64]
    scatter: Scatter
    labels: dict[str, NDArray[np.int64]]
    said: dict[str, Words]
    curve: dict[int, Words]
    walls: dict[str, Estimate]
    chosen: dict[tuple[str, int], str]
    equilibrated: bool


class Size(NamedTuple):
    """A test set of lattices of another size: labels (n,), what the Bayes classifier says (n,), and its limit."""

    side: int
    labels: NDArray[np.int64]
    bayes: NDArray[np.int64]
    limit: Limit
    equilibrated: bool


def references(plan: Plan, sizes: Mapping[str, str]) -> tuple[dict[str, Reference], dict[str, Size]]:
    """All systems, and all datasets of another size with the system that each belongs to; in processes."""
    boundaries: dict[str, list[str]] = {}  # one process each: systems of one boundary share an exact density of states
    for name, system in plan.systems.items():
        boundaries.setdefault(system.boundary, []).append(name)
    tasks: list[tuple[list[str], dict[str, str]]] = [(names, {}) for names in boundaries.values()]
    tasks += [([], {name: system}) for name, system in sizes.items()]
    known: dict[str, Reference] = {}
    others: dict[str, Size] = {}
    for found, sized in in_processes("classify_compare", partial(_work, plan), tasks):
        known |= found
        others |= sized
    return {name: known[name] for name in plan.systems}, {name: others[name] for name in sizes}


def _work(plan: Plan, systems: list[str], sizes: Mapping[str, str]) -> tuple[dict[str, Reference], dict[str, Size]]:
    known = {name: _reference(plan, name) for name in systems}
    return known, {name: _size(plan, name, system) for name, system in sizes.items()}


def _reference(plan: Plan, name: str) -> Reference:
    ensembles = {p: open_dataset(plan.dataset(name, p)) for p in PROTOCOLS if plan.dataset(name, p) in plan.inputs()}
    ensemble = ensembles[EQUILIBRIUM]
    lattice = plan.systems[name].lattice(ensemble.spins.shape[-1])
    levels, probabilities = region_distributions(lattice, ensemble.temperatures)
    limit = bayes_limit(levels, probabilities)
    labels, said, curve, chosen = {}, {}, {}, {}
    for protocol in plan.protocols:
        states = draw(plan.dataset(name, protocol), ensembles[protocol], plan.tests, plan.seed)
        labels[protocol] = np.array([images.labels for images in states.tests])
        said[protocol], chosen[protocol, LABELLED] = _baselines(plan, states, LABELLED)
        if protocol == EQUILIBRIUM:
            bayes = [predict(limit, images.energies, lattice.sites) for images in states.tests]
            said[protocol] = {BAYES: np.array(bayes, np.int8)[None]} | said[protocol]
        if (protocol, name) == plan.curve[:2]:
            for images in plan.curve[2]:
                curve[images], chosen[protocol, images] = _baselines(plan, states, images)
    deviations = scatter(limit, probabilities, TEST, plan.scatter, plan.seed)
    walls = {protocol: kept_walls(found, lattice) for protocol, found in ensembles.items()}
    return Reference(
        lattice.sites, limit, probabilities, deviations, labels, said, curve, walls, chosen, _equilibrated(ensemble)
    )


def _equilibrated(ensemble: Ensemble) -> bool:
    return ensemble.provenance.get("equilibrated") is True


def _baselines(plan: Plan, states: Microstates, images: int) -> tuple[Words, str]:
    """What all say that were fitted on so many images, and which is the best on the validation set."""
    found = fit_baselines(states.train.first(images), states.validation, plan.seed)
    return {name: _said(predictor, states.tests) for name, predictor in found.items()}, best(found)


def _said(predictor: Predictor, tests: list[Images]) -> NDArray[np.int8]:
    return np.array([predictor(images) for images in tests], np.int8)[None]


def _size(plan: Plan, name: str, system: str) -> Size:
    ensemble = open_dataset(plan.size(name))
    lattice = plan.systems[system].lattice(ensemble.spins.shape[-1])
    limit = bayes_limit(*region_distributions(lattice, ensemble.temperatures))
    (images,) = draw_tests(plan.size(name), ensemble, 1, plan.seed)
    return Size(
        lattice.width, images.labels, predict(limit, images.energies, lattice.sites), limit, _equilibrated(ensemble)
    )


def kept_walls(ensemble: Ensemble, lattice: Lattice) -> Estimate:
    """Share of the coldest region's lattices whose energy, or a higher one, equilibrium has less often than `RARE`.

    The exact distribution already holds the walls that a boundary forces.
    """
    found = []
    for index in np.flatnonzero(region(ensemble.temperatures) == 0):
        exact = exact_energy_distribution(lattice, float(ensemble.temperatures[index]))
        above = np.cumsum(exact.probabilities[::-1])[::-1]
        middles = (exact.levels[1:] + exact.levels[:-1]) / 2
        found.append(above[np.searchsorted(middles, ensemble.energy[index] * lattice.sites)] < RARE)
    return independent_mean(np.concatenate(found))
