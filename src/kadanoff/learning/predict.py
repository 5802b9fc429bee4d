"""A trained network over many configurations."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


def predict(
    network: nn.Module, spins: NDArray, batch: int = 1024, device: torch.device | str = "cpu"
) -> NDArray[np.float32]:
    """Output of a network on `device` for configurations (n, y, x): float32 (n, y', x') or (n, classes)."""
    network.eval()
    with torch.inference_mode():
        blocks = [
            network(torch.from_numpy(spins[first : first + batch]).to(device).float().unsqueeze(1)).squeeze(1)
            for first in range(0, len(spins), batch)
        ]
    return torch.cat(blocks).float().cpu().numpy()
