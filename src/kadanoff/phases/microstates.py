"""Table 1 drawn from a dataset: every image is a chain of its own, and no chain is in two sets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kadanoff.data.store import Ensemble, open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.phases.regions import REGIONS, TEST, TRAIN, VALIDATION, region


@dataclass(frozen=True)
class Images:
    """Configurations with what is known of each.

    `spins` is int8 (n, y, x), `labels` int64 (n,) numbers of regions, `temperatures` and `energies` float64 (n,), and
    `chains` int64 (n,) their places in the dataset, temperature * samples + sample. The labels come mixed: the first
    images of each region are spread evenly, so that the first n are a smaller set of the same proportions.
    """

    spins: NDArray[np.int8]
    labels: NDArray[np.int64]
    temperatures: NDArray[np.float64]
    energies: NDArray[np.float64]
    chains: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: slice | NDArray) -> "Images":
        """Some of them, by a slice, a mask or their places."""
        return Images(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def augmented(self, seed: int) -> "Images":
        """Every image in one of the eight positions of the square, with or without all spins reversed, at random.

        A torus is as likely as before; a skewed lattice keeps all bonds but those to its fixed rows.
        """
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
        position, spins = random.integers(0, 8, len(self)), np.empty_like(self.spins)
        for number in range(8):
            moved = np.rot90(self.spins[position == number], number % 4, (1, 2))
            spins[position == number] = moved[:, :, ::-1] if number >= 4 else moved
        signs = 1 - 2 * random.integers(0, 2, (len(self), 1, 1), np.int8)
        return replace(self, spins=spins * signs)


@dataclass(frozen=True)
class Microstates:
    """The sets of one system; the test sets are independent of each other."""

    train: Images
    validation: Images
    tests: list[Images]


@dataclass(frozen=True)
class Datasets:
    """The datasets of a project, and how many test sets are drawn from each, by which seed: the same for everyone."""

    folder: Path
    tests: int
    seed: int

    def path(self, system: str, protocol: str) -> Path:
        """The dataset of a system as a protocol makes it."""
        return self.folder / f"classify_{system}_{protocol}.zarr"

    def size(self, name: str) -> Path:
        """A dataset of another size."""
        return self.folder / f"{name}.zarr"

    def sets(self, system: str, protocol: str) -> Microstates:
        """The sets of a system."""
        return draw(self.path(system, protocol), self.tests, self.seed)

    def test(self, name: str) -> Images:
        """The one test set of a dataset of another size."""
        return draw_tests(self.size(name), 1, self.seed)[0]


@lru_cache(maxsize=4)  # trials of a process take turns among few datasets
def draw(path: Path, tests: int, seed: int) -> Microstates:
    """Draw the sets of Table 1, and `tests` test sets, in a random order of the chains of each region.

    Raises
    ------
    KadanoffError
        If a region has too few chains, or the lattice is none of two dimensions.
    """
    train, validation, *others = _sets(path, (TRAIN, VALIDATION, *(TEST,) * tests), seed)
    return Microstates(train, validation, others)


def draw_tests(path: Path, tests: int, seed: int) -> list[Images]:
    """Test sets alone, of a dataset that nothing was trained on; raises as `draw` does."""
    return _sets(path, (TEST,) * tests, seed)


def _sets(path: Path, sets: Sequence[tuple[int, ...]], seed: int) -> list[Images]:
    ensemble = open_dataset(path)
    if ensemble.spins.ndim != 4:
        raise KadanoffError(f"{path} holds chains; microstates are square lattices. Take dimension: 2.")
    labels = np.repeat(region(ensemble.temperatures), ensemble.spins.shape[1])
    orders = [_shuffled(np.flatnonzero(labels == number), seed, number) for number in range(len(REGIONS))]
    ends = np.cumsum(sets, axis=0)
    for name, order, needed in zip(REGIONS, orders, ends[-1], strict=True):
        if len(order) < needed:
            raise KadanoffError(
                f"{path} has {len(order)} chains in the {name} region, but Table 1 with these test sets needs "
                f"{needed}. Raise its samples, give it temperatures there, or ask for fewer test sets."
            )
    parts = [np.split(order, end)[:-1] for order, end in zip(orders, ends.T, strict=True)]
    return [_images(ensemble, _interleaved(chosen)) for chosen in zip(*parts, strict=True)]


def _shuffled(chains: NDArray[np.int64], seed: int, number: int) -> NDArray[np.int64]:
    # raw words, whose stream NumPy guarantees in all versions
    words = np.random.Philox(np.random.SeedSequence((seed, number))).random_raw(len(chains))
    return chains[np.argsort(words, kind="stable")]


def _interleaved(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """All parts in one row, each spread evenly over it."""
    places = np.concatenate([(np.arange(len(part)) + 0.5) / len(part) for part in parts])
    return np.concatenate(parts)[np.argsort(places, kind="stable")]


def _images(ensemble: Ensemble, chains: NDArray[np.int64]) -> Images:
    samples = ensemble.spins.shape[1]
    rows, columns = np.divmod(chains, samples)
    spins = np.empty((len(chains), *ensemble.spins.shape[2:]), np.int8)
    for row in np.unique(rows):  # one temperature at a time: the dataset is read once, in its order
        here = rows == row
        spins[here] = ensemble.read(int(row))[columns[here]]
    temperatures = ensemble.temperatures[rows]
    return Images(spins, region(temperatures), temperatures, ensemble.energy[rows, columns], chains)
