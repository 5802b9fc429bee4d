"""The last layer of a classifier from logistic regression on what the layers before it give.

Kumar et al., ICLR 2022: fine-tuning that starts from a probe leaves good pre-trained features as they are, where a
random last layer would first distort them.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kadanoff.learning.predict import predict
from kadanoff.phases.microstates import Images
from kadanoff.phases.regions import REGIONS

STRENGTHS = (1.0, 30.0, 1000.0)
"""Inverse strengths of the penalty; the one with the lowest validation loss is taken."""
BATCH = 100


def probe(network: nn.Module, train: Images, validation: Images, device: torch.device) -> None:
    """Set the last layer of `network`, on the CPU, in place; nothing changes if there is not one linear layer."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.preprocessing import StandardScaler

    last = _last(network)
    if last is None:
        return
    network.to(device)
    seen, held = (_features(network, last, images, device) for images in (train, validation))
    network.to("cpu")
    scaler = StandardScaler().fit(seen)
    fitted = [
        LogisticRegression(C=strength, solver="newton-cholesky").fit(scaler.transform(seen), train.labels)
        for strength in STRENGTHS
    ]
    best = min(fitted, key=lambda model: log_loss(validation.labels, model.predict_proba(scaler.transform(held))))
    weight = best.coef_ / scaler.scale_
    bias = best.intercept_ - weight @ scaler.mean_
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(weight))
        last.bias.copy_(torch.from_numpy(bias))


def _last(network: nn.Module) -> nn.Linear | None:
    layers = [
        module
        for module in network.modules()
        if isinstance(module, nn.Linear) and module.out_features == len(REGIONS) and module.bias is not None
    ]
    return layers[0] if len(layers) == 1 else None  # some models average two


def _features(network: nn.Module, last: nn.Linear, images: Images, device: torch.device) -> NDArray[np.float64]:
    found: list[torch.Tensor] = []
    hook = last.register_forward_hook(lambda _, inputs, __: found.append(inputs[0].float().cpu()))
    try:
        predict(network, images.spins, BATCH, device)
    finally:
        hook.remove()
    return torch.cat(found).numpy().astype(np.float64)
