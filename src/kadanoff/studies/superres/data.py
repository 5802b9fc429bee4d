"""The configurations of a variant of `superres`: which of them train and test, and what stands beside them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.inverse.critical import FERROMAGNET, model_of
from kadanoff.inverse.superresolve import Spins
from kadanoff.inverse.training import coarsened
from kadanoff.networks.superres import Superresolution
from kadanoff.spins.surroundings import coarse_spins

FEWEST = 2  # test configurations: one has no error bar


@dataclass(frozen=True)
class Data:
    """Fine lattices, of which the first `train` of every temperature train, and Monte Carlo at other sizes."""

    paths: list[Path]
    fine: Ensemble
    train: int
    smaller: Ensemble | None = None
    larger: Ensemble | None = None

    @property
    def dimension(self) -> int:
        """1 for chains, 2 for square lattices."""
        return self.fine.spins.ndim - 2

    @property
    def temperatures(self) -> NDArray[np.float64]:
        """Of the fine lattices, ascending, in |J|/k_B."""
        return self.fine.temperatures

    def test(self, index: int) -> Spins:
        """Fine configurations (n, y, x) or (n, x) of one temperature that trained nothing."""
        return self.fine.read(index, slice(self.train, None))

    def check(self, model: Superresolution) -> None:
        """Refuse a rule that cannot coarsen these lattices, or a coarse lattice that cannot be refined.

        Raises
        ------
        KadanoffError
            Then.
        """
        coarse_spins(model.rule, model.block, self.dimension)  # refuses what leaves no spins
        model.check(coarsened(self.fine.read(0, slice(0, 1)), model.rule, model.block).shape)


def open_data(root: Path, where: str, dataset: str, train: int) -> Data:
    """The dataset of the entry `where` of params.yaml, opened lazily.

    Raises
    ------
    KadanoffError
        If it is missing; is not of periodic ferromagnets without a field; its temperatures do not ascend; or too few
        configurations are left to test on.
    """
    path = root / "data" / f"{dataset}.zarr"
    found = open_dataset(path)
    check_physics(dataset, found)
    samples = found.spins.shape[1]
    if samples - train < FEWEST:
        raise KadanoffError(
            f"{where}.train is {train}, but {dataset} has {samples} configurations of each "
            f"temperature; at least {FEWEST} must be left to test on. Train on fewer, or raise "
            f"datasets.{dataset}.samples."
        )
    return Data([path], found, train)


def beside(data: Data, root: Path, where: str, smaller: str, larger: str, block: int) -> Data:
    """The same with Monte Carlo at 1/block and block times the size, named by the section `where`.

    Raises
    ------
    KadanoffError
        If one is missing, is of other physics, or has another dimension, size or temperatures.
    """
    paths = [root / "data" / f"{entry}.zarr" for entry in (smaller, larger)]
    found = [open_dataset(path) for path in paths]
    for key, entry, ensemble, factor in zip(
        ("smaller", "larger"), (smaller, larger), found, (1 / block, block), strict=True
    ):
        check_physics(entry, ensemble)
        _check_beside(f"{where}.{key}", entry, ensemble, data.fine, factor)
    return replace(data, paths=[*data.paths, *paths], smaller=found[0], larger=found[1])


def check_physics(name: str, ensemble: Ensemble) -> None:
    """Refuse what is no periodic ferromagnet without a field, and temperatures that do not ascend.

    Raises
    ------
    KadanoffError
        Then.
    """
    found = model_of(ensemble)
    if found != FERROMAGNET:
        raise KadanoffError(
            f"dataset {name} has boundary {found['boundary']}, coupling {found['coupling']:g} and field "
            f"{found['field']:g}; super-resolution takes periodic ferromagnets without a field. Take another dataset."
        )
    if len(ensemble.temperatures) < 1 or (np.diff(ensemble.temperatures) <= 0).any():
        raise KadanoffError(
            f"dataset {name} has the temperatures {ensemble.temperatures.tolist()}; list them in ascending order."
        )


def _check_beside(key: str, name: str, ensemble: Ensemble, fine: Ensemble, factor: float) -> None:
    wanted = tuple(int(side * factor) for side in fine.spins.shape[2:])
    if ensemble.spins.shape[2:] != wanted:
        sides, due = (" x ".join(map(str, shape)) for shape in (ensemble.spins.shape[2:], wanted))
        raise KadanoffError(
            f"{key} is {name}, whose lattices have the size {sides}; beside the variant's dataset it must be {due}."
        )
    if not np.array_equal(ensemble.temperatures, fine.temperatures):
        raise KadanoffError(
            f"{key} is {name}, whose temperatures are not those of the variant's dataset; simulate both at the same."
        )
