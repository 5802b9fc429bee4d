"""Seeds of training: every draw is a pure function of a seed and of what it is for, never of what ran before."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derived_seed(seed: int, *place: int) -> int:
    """64-bit seed of the draws at `place` (an epoch, a temperature) under `seed`.

    From NumPy's SeedSequence, whose output is the same in all versions.
    """
    return int(np.random.SeedSequence((seed, *place)).generate_state(1, np.uint64)[0])


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Torch draws inside of the block, on the CPU and on `device`, follow from `seed`; afterwards nothing has changed.

    Wrap the building of a network to make its initial weights repeatable.
    """
    gpus = [device] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield
