"""The last layer of a classifier from logistic regression on what the layers before it give.

Kumar et al., ICLR 2022: fine-tuning that starts from a probe leaves good pre-trained features as they are, where a
random last layer would first distort them.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kadanoff.learning.predict import predict
from kadanoff.learning.randomness import derived_seed
from kadanoff.phases.microstates import Images
from kadanoff.phases.models import BATCH
from kadanoff.phases.regions import REGIONS

STRENGTHS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
"""Inverse strengths of the penalty; the one with the lowest validation loss is taken."""
VIEWS = 5
"""Of each image, all but the first turned at random: features know nothing of the symmetries of a lattice."""
COMPONENTS = 64
"""Principal components of the features that the regression sees at most: a temperature needs few."""
Features = NDArray[np.float64]


def probe(network: nn.Module, train: Images, validation: Images, seed: int, device: torch.device) -> None:
    """Set the last layer of `network`, on the CPU, in place; nothing changes if there is not one linear layer."""
    last = _last(network)
    if last is None:
        return
    views = [train, *(train.turned(derived_seed(seed, view)) for view in range(1, VIEWS))]
    network.to(device)
    seen = np.concatenate([_features(network, last, view, device) for view in views])
    held = _features(network, last, validation, device)
    network.to("cpu")
    weight, bias = _regression(seen, np.tile(train.labels, VIEWS), held, validation.labels)
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(weight))
        last.bias.copy_(torch.from_numpy(bias))


def _regression(
    seen: Features, labels: NDArray[np.int64], held: Features, held_labels: NDArray[np.int64]
) -> tuple[Features, Features]:
    """Weights (regions, features) and biases of the logistic regression with the lowest validation loss."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(seen)
    axes = PCA(min(COMPONENTS, *seen.shape), svd_solver="full").fit(scaler.transform(seen))
    inside, outside = (axes.transform(scaler.transform(features)) for features in (seen, held))
    fitted = [
        LogisticRegression(C=strength, solver="newton-cholesky", max_iter=1000).fit(inside, labels)
        for strength in STRENGTHS
    ]
    best = min(fitted, key=lambda model: log_loss(held_labels, model.predict_proba(outside)))
    weight = best.coef_ @ axes.components_ / scaler.scale_
    return weight, best.intercept_ - best.coef_ @ axes.components_ @ axes.mean_ - weight @ scaler.mean_


def _last(network: nn.Module) -> nn.Linear | None:
    layers = [
        module
        for module in network.modules()
        if isinstance(module, nn.Linear) and module.out_features == len(REGIONS) and module.bias is not None
    ]
    return layers[0] if len(layers) == 1 else None  # some models average two


def _features(network: nn.Module, last: nn.Linear, images: Images, device: torch.device) -> Features:
    found: list[torch.Tensor] = []
    hook = last.register_forward_hook(lambda _, inputs, __: found.append(inputs[0].float().cpu()))
    try:
        predict(network, images.spins, BATCH, device)
    finally:
        hook.remove()
    return torch.cat(found).numpy().astype(np.float64)
