"""Configurations of a dataset as the tensors that `fit` takes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.learning.split import Split, stratified_split
from kadanoff.learning.training import Pair
from kadanoff.spins.blocking import RULES


@dataclass(frozen=True)
class CoarseTask:
    """Configurations, what a block rule makes of them, and which of them train, validate and test.

    `spins` is int8 (n, y, x) and `target` (n, y/block, x/block), n running over temperature, then sample.
    """

    rule: str
    spins: NDArray[np.int8]
    target: NDArray[Any]
    split: Split

    def pair(self, rows: NDArray[np.int64]) -> Pair:
        """(inputs (n, 1, y, x), targets (n, 1, y', x')) of the configurations `rows`."""
        return torch.from_numpy(self.spins[rows]).unsqueeze(1), torch.from_numpy(self.target[rows]).unsqueeze(1)


def coarse_task(ensemble: Ensemble, rule: str, block: int, seed: int) -> CoarseTask:
    """Learning a block rule on a dataset of square lattices, split 70/10/20 at every temperature.

    Raises
    ------
    KadanoffError
        If there is no such rule, the dataset holds chains or is damaged, or the block does not divide the lattice.
    """
    if rule not in RULES:
        raise KadanoffError(f"rule is {rule!r}; choose one of {', '.join(RULES)}.")
    if ensemble.spins.ndim != 4:
        raise KadanoffError("the dataset holds chains; coarse-graining networks take square lattices (dimension: 2).")
    spins = ensemble.read()
    temperatures, samples = spins.shape[:2]
    flat = spins.reshape(temperatures * samples, *spins.shape[2:])
    return CoarseTask(rule, flat, RULES[rule](flat, block), stratified_split(temperatures, samples, seed))
