"""A trained network over many configurations."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


def predict(network: nn.Module, spins: NDArray, batch: int = 1024) -> NDArray[np.float32]:
    """Output of a network for configurations (n, y, x): float32 (n, y', x')."""
    network.eval()
    with torch.inference_mode():
        blocks = [
            network(torch.from_numpy(spins[first : first + batch]).float().unsqueeze(1)).squeeze(1)
            for first in range(0, len(spins), batch)
        ]
    return torch.cat(blocks).numpy()
