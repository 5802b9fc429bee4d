"""Fine-tuning of image models to the temperature regions, and what they then predict."""

from math import nan
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from kadanoff.errors import KadanoffError
from kadanoff.learning.fit import Fit, fit
from kadanoff.learning.predict import predict
from kadanoff.learning.randomness import derived_seed
from kadanoff.learning.training import Epoch, Pair, Settings
from kadanoff.networks.vision import Reader
from kadanoff.phases.microstates import Images
from kadanoff.phases.models import BATCH
from kadanoff.phases.regions import REGIONS


def tune(network: Reader, train: Images, validation: Images, settings: Settings, device: str, folder: Path) -> Fit:
    """Train in place by cross-entropy, on images under another random symmetry in every epoch; resumes from `folder`.

    Where no epoch brings a lower validation loss than the start, the network stays as it was, and the best epoch is 0.

    Raises
    ------
    KadanoffError
        As `check`, or if training fails as `fit` says.
    """
    check(network, train, validation)

    def augmented(epoch: int) -> Pair:
        return _pair(train.augmented(derived_seed(settings.seed, epoch, 2)))  # 0 and 1 are the order and the dropout

    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    before = _validation_loss(network, validation, device)
    if not settings.epochs:
        return Fit((), Epoch(0, nan, before, nan))
    found = fit(network, augmented, _pair(validation), settings, loss=label_loss, device=device, checkpoint=folder)
    # in bfloat16, weights of a convolution that see its padding alone may come out as no numbers
    sound = all(tensor.isfinite().all() for tensor in network.state_dict().values())
    if not sound or not _validation_loss(network, validation, device) < before:
        network.load_state_dict(start)
        return Fit(found.history, Epoch(0, nan, before, nan))
    return found


def check(network: Reader, train: Images, validation: Images) -> None:
    """Refuse what cannot be learned.

    Raises
    ------
    KadanoffError
        If a region has no image, or the model does not take the size.
    """
    for name, images in (("training", train), ("validation", validation)):
        for number in set(range(len(REGIONS))) - set(images.labels.tolist()):
            raise KadanoffError(
                f"the {name} set of {len(images)} images has none of the {REGIONS[number]} region; a classifier needs "
                "some of each. Take more images."
            )
    network.check(*train.spins.shape[1:])


def _validation_loss(network: Reader, images: Images, device: str) -> float:
    logits = predict(network.to(device), images.spins, BATCH, device)
    network.to("cpu")
    return float(label_loss(torch.from_numpy(logits), torch.from_numpy(images.labels)))


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of (B, regions) with labels (B,), which `fit` hands over as float32."""
    return cross_entropy(logits, labels.long())


def regions_of(network: Reader, spins: NDArray[np.int8], device: torch.device) -> NDArray[np.int8]:
    """Number of the likeliest region of each configuration (n, y, x): int8 (n,)."""
    return predict(network, spins, BATCH, device).argmax(1).astype(np.int8)


def _pair(images: Images) -> Pair:
    return torch.from_numpy(images.spins).unsqueeze(1), torch.from_numpy(images.labels)
