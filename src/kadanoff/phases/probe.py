"""The last layer of a classifier from logistic regression on what the layers before it give.

Kumar et al., ICLR 2022: fine-tuning that starts from a probe leaves good pre-trained features as they are, where a
random last layer would first distort them. Where the layers come with the number that they were pre-trained to give,
the regression is on this number alone, unless the validation set says otherwise: few labels place the limits of regions
on one axis, not in 64, and they hold for other systems and sizes.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from kadanoff.learning.predict import predict
from kadanoff.learning.randomness import derived_seed
from kadanoff.phases.microstates import Images
from kadanoff.phases.models import BATCH
from kadanoff.phases.regions import REGIONS

STRENGTHS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6)
"""Inverse strengths of the penalty; the regression that loses least on the validation set is taken."""
VIEWS = 2
"""Of each image, all but the first under a random symmetry: features know nothing of those of a lattice."""
COMPONENTS = 64
"""Principal components of the features that the regression sees at most: a temperature needs few."""
ERRORS = 1.0
"""Standard errors by which the axes must lose less than the number alone (Breiman et al., 1984, section 3.4.3)."""

Features = NDArray[np.float64]


class Regression(NamedTuple):
    """Weights (regions, f) and biases (regions,) for features, and what each validation image loses (n,).

    The loss is Brier's: the squared distance of the probabilities from the truth, 2 at most. Minus the log of a
    probability has no bound, and few images of which a regression is too sure would decide.
    """

    weight: Features
    bias: Features
    losses: Features


def probe(
    network: nn.Module,
    train: Images,
    validation: Images,
    seed: int,
    device: torch.device,
    reader: nn.Module | None = None,
) -> None:
    """Set the last layer of `network`, on the CPU, in place; nothing changes if there is not one linear layer.

    `reader` is the pre-trained network whose other layers `network` has; its last one gives a single number.
    """
    last = _last(network, len(REGIONS))
    if last is None:
        return
    views = [train, *(train.augmented(derived_seed(seed, view)) for view in range(1, VIEWS))]
    network.to(device)
    seen = np.concatenate([_features(network, last, view, device) for view in views])
    held = _features(network, last, validation, device)
    network.to("cpu")
    labels = np.tile(train.labels, VIEWS), validation.labels
    found = _regression(*_principal(seen), (seen, held), labels)
    if reader is not None and (number := _last(reader, 1)) is not None:
        alone = _regression(*_reading(seen, number), (seen, held), labels)
        gains = alone.losses - found.losses  # image by image
        found = found if gains.mean() > ERRORS * gains.std(ddof=1) / np.sqrt(len(gains)) else alone
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(found.weight))
        last.bias.copy_(torch.from_numpy(found.bias))


def _principal(seen: Features) -> tuple[Features, Features]:
    """Matrix (f, k) and offset (k,) of what a regression sees of features (n, f): features @ matrix + offset."""
    scaler = StandardScaler().fit(seen)
    found = PCA(min(COMPONENTS, *seen.shape), svd_solver="full").fit(scaler.transform(seen))
    matrix = found.components_.T / scaler.scale_[:, None]
    return matrix, -scaler.mean_ @ matrix - found.mean_ @ found.components_.T


def _reading(seen: Features, last: nn.Linear) -> tuple[Features, Features]:
    """As `_principal`, for the number itself, standardized: its bias drops out."""
    matrix = last.weight.detach().cpu().double().numpy().T
    values = seen @ matrix
    scale = values.std() or 1.0
    return matrix / scale, -values.mean(0) / scale


def _regression(
    matrix: Features, offset: Features, features: tuple[Features, Features], labels: tuple[NDArray, NDArray]
) -> Regression:
    """The logistic regression with the lowest validation loss; of training and validation set."""
    (seen, held), found = (each @ matrix + offset for each in features), []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, solver="newton-cholesky", max_iter=1000).fit(seen, labels[0])
        losses = np.square(model.predict_proba(held) - np.eye(len(REGIONS))[labels[1]]).sum(1)
        found.append(Regression(model.coef_ @ matrix.T, model.intercept_ + model.coef_ @ offset, losses))
    return min(found, key=lambda each: each.losses.mean())


def _last(network: nn.Module, outputs: int) -> nn.Linear | None:
    linear = [module for module in network.modules() if isinstance(module, nn.Linear) and module.bias is not None]
    layers = [layer for layer in linear if layer.out_features == outputs]
    return layers[0] if len(layers) == 1 else None  # some models average two


def _features(network: nn.Module, last: nn.Linear, images: Images, device: torch.device) -> Features:
    found: list[torch.Tensor] = []
    hook = last.register_forward_hook(lambda _, inputs, __: found.append(inputs[0].float().cpu()))
    try:
        predict(network, images.spins, BATCH, device)
    finally:
        hook.remove()
    return torch.cat(found).numpy().astype(np.float64)
