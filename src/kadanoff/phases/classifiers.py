"""Fine-tuning of image models to the temperature regions, and what they then say."""

from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from kadanoff.errors import KadanoffError
from kadanoff.learning.fit import Fit, fit
from kadanoff.learning.predict import predict
from kadanoff.learning.randomness import derived_seed
from kadanoff.learning.training import Pair, Settings
from kadanoff.networks.vision import Reader
from kadanoff.phases.microstates import Images
from kadanoff.phases.regions import REGIONS

BATCH = 100  # images that are looked at together where nothing is learned


def tune(network: Reader, train: Images, validation: Images, settings: Settings, device: str, folder: Path) -> Fit:
    """Train in place by cross-entropy, on images turned, mirrored and flipped at random; resumes from `folder`.

    Turned or mirrored, a torus is as likely as before; a skewed lattice keeps all bonds but those to its fixed rows.
    Where no epoch brings a lower validation loss than the start, the network stays as it was.

    Raises
    ------
    KadanoffError
        As `check`, or if training fails as `fit` says.
    """
    check(network, train, validation)

    def turned(epoch: int) -> Pair:
        seed = derived_seed(settings.seed, epoch, 2)  # 0 and 1 are the order and the dropout
        return _turned(train, np.random.Generator(np.random.Philox(np.random.SeedSequence(seed))))

    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    before = _validation_loss(network, validation, device)
    found = fit(network, turned, _pair(validation), settings, loss=label_loss, device=device, checkpoint=folder)
    if before <= _validation_loss(network, validation, device):
        network.load_state_dict(start)
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


def _turned(images: Images, random: np.random.Generator) -> Pair:
    """Every image in one of the eight positions of the square, with or without all spins reversed."""
    spins, labels = _pair(images)
    turned = torch.empty_like(spins)
    position = torch.from_numpy(random.integers(0, 8, len(images)))
    for number in range(8):
        here = position == number
        moved = spins[here].rot90(number % 4, (2, 3))
        turned[here] = moved.flip(3) if number >= 4 else moved
    signs = 1 - 2 * torch.from_numpy(random.integers(0, 2, (len(images), 1, 1, 1)))
    return turned * cast(Tensor, signs).to(torch.int8), labels
