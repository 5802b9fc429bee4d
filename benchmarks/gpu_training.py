"""Images per second that image models learn from, on the way that the stages `pretrain` and `classify` train them."""

import time
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.gpu import start
from kadanoff.learning.fit import fit
from kadanoff.learning.randomness import seeded
from kadanoff.learning.training import Settings
from kadanoff.networks.registry import build
from kadanoff.phases.classifiers import label_loss
from kadanoff.phases.regions import REGIONS

EPOCHS = 4  # the first compiles


class Network(NamedTuple):
    """An image model by its library and name, and the `images` of an epoch: lattices, a spin `scale` pixels wide."""

    library: str
    model: str
    options: dict[str, Any]
    size: int
    scale: int
    images: int
    batch: int


BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
TINY = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
# at 224 x 224 pixels, as others measure them
CASES = [
    Network("transformers", "vit", {"patch_size": 16} | BASE, 112, 2, 8192, 256),
    Network("timm", "resnet50", {}, 112, 2, 8192, 256),
]
SMALL_CASES = [
    Network("transformers", "vit", {"patch_size": 4} | TINY, 8, 1, 4, 2),
    Network("timm", "resnet18", {}, 64, 1, 4, 2),
]


def measure(case: Network) -> dict[str, float]:
    """The case and its images per second in the best epoch, in bfloat16, compiled where there is a GPU.

    Weights are random. A batch of validation is part of an epoch.
    """
    arguments = {"model": case.model, "outputs": len(REGIONS), "scale": case.scale, "options": case.options}
    with seeded(0):
        network = build(case.library, **arguments | ({"size": case.size} if case.library == "transformers" else {}))
    _, spins, _ = start(case.size, case.images)
    pair = torch.from_numpy(spins).unsqueeze(1), torch.arange(case.images) % len(REGIONS)
    validation = pair[0][: case.batch], pair[1][: case.batch]
    settings = Settings(
        seed=0, epochs=EPOCHS, batch_size=case.batch, learning_rate=1e-5, early_stopping_patience=EPOCHS,
        optimizer="adamw", precision="bfloat16", compile=True, threads=torch.get_num_threads(),
    )  # fmt: skip
    ends = [time.perf_counter()]
    fit(network, pair, validation, settings, loss=label_loss, on_epoch=lambda _: ends.append(time.perf_counter()))
    return case._asdict() | {"images_per_second": case.images / min(np.diff(ends[1:]).tolist())}
