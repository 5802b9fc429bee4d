"""Configurations of a dataset as the tensors that `fit` takes."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kadanoff.errors import KadanoffError
from kadanoff.lab.store import Ensemble
from kadanoff.learning.split import Split, stratified_split
from kadanoff.spins.blocking import average

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class CoarseTask:
    """Configurations, their block averages, and which of them train, validate and test.

    `spins` is int8 (n, y, x) and `target` float32 (n, y/block, x/block), n running over temperature, then sample.
    """

    spins: NDArray[np.int8]
    target: NDArray[np.float32]
    split: Split

    def pair(self, rows: NDArray[np.int64]) -> Pair:
        """(inputs (n, 1, y, x), targets (n, 1, y', x')) of the configurations `rows`."""
        return torch.from_numpy(self.spins[rows]).unsqueeze(1), torch.from_numpy(self.target[rows]).unsqueeze(1)


def coarse_task(ensemble: Ensemble, block: int, seed: int) -> CoarseTask:
    """The block-averaging task on a dataset of square lattices, split 70/10/20 at every temperature.

    Raises
    ------
    KadanoffError
        If the dataset holds chains, is damaged, or the block does not divide the lattice.
    """
    if ensemble.spins.ndim != 4:
        raise KadanoffError("the dataset holds chains; coarse-graining networks take square lattices (dimension: 2).")
    spins = ensemble.read()
    temperatures, samples = spins.shape[:2]
    flat = spins.reshape(temperatures * samples, *spins.shape[2:])
    return CoarseTask(flat, average(flat, block), stratified_split(temperatures, samples, seed))
