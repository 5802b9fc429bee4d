"""Training, validation and test configurations, with every temperature in each in the same proportion."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kadanoff.errors import KadanoffError


@dataclass(frozen=True)
class Split:
    """Indices into the configurations [temperature, sample] flattened to temperature * samples + sample.

    They go round the temperatures, so the first n of each part are stratified too: `train[:n]` for growing n are
    the nested training sets of a learning curve.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def stratified_split(temperatures: int, samples: int, seed: int) -> Split:
    """Split of 70/10/20 percent at each temperature (rounded down for validation and test, but at least 1 each).

    A pure function of its arguments. The order at a temperature is that of the raw words of Philox, whose stream
    NumPy guarantees in all versions, which it does not for `Generator.permutation`.

    Parameters
    ----------
    temperatures, samples
        Number of temperatures, and of configurations at each.
    seed
        Another seed, another split.

    Raises
    ------
    KadanoffError
        For fewer than 3 samples per temperature.
    """
    if samples < 3:
        raise KadanoffError(
            f"samples is {samples}; a split into training, validation and test needs at least 3 per temperature."
        )
    words = [np.random.Philox(np.random.SeedSequence((seed, t))).random_raw(samples) for t in range(temperatures)]
    shuffled = np.argsort(np.array(words).reshape(temperatures, samples), axis=1, kind="stable")
    indices = (np.arange(temperatures)[:, None] * samples + shuffled).T  # (samples, temperatures)
    held_out = max(1, samples // 10), max(1, samples // 5)
    validation, test, train = np.split(indices, np.cumsum(held_out))
    return Split(train.ravel(), validation.ravel(), test.ravel())
