"""The entries of superres.variants: what is trained on what, and the training of one network."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from kadanoff.inverse.training import Spins, train_blocks, train_pixels, train_seed_kernel
from kadanoff.learning.fit import Fit
from kadanoff.learning.parameters import TrainingParams
from kadanoff.learning.randomness import seeded
from kadanoff.learning.training import Settings
from kadanoff.networks.registry import build
from kadanoff.networks.superres import Blocks, Pixels, SeedKernel, Superresolution
from kadanoff.studies import variants
from kadanoff.validation import Name, Section

PIXELWISE = ("pixels", "seed_kernel")


class Variant(Section):
    """What is trained on what; the other keys of an entry override `superres.training`.

    `train` configurations of each temperature train, the others are the test set.
    """

    network: str
    dataset: Name
    rule: str
    block: int = Field(gt=1)
    width: int | None = Field(default=None, gt=0)
    layers: int | None = Field(default=None, gt=1)
    energy_weight: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    train: int = Field(gt=1)

    @model_validator(mode="after")
    def _rules(self) -> "Variant":
        if self.energy_weight and self.network not in PIXELWISE:
            raise ValueError(
                f"energy_weight is {self.energy_weight:g}; it is a part of the loss of {' and '.join(PIXELWISE)} only"
            )
        return self

    def arguments(self, dimension: int, temperatures: Iterable[float]) -> dict[str, Any]:
        """Arguments of the network's builder."""
        values = {key: getattr(self, key) for key in ("rule", "block", "width", "layers")}
        place = {"dimension": dimension, "temperatures": [float(value) for value in temperatures]}
        return place | {key: value for key, value in values.items() if value is not None}


def read_variant(root: Path, name: str, study: str = "superres") -> tuple[Variant, TrainingParams]:
    """The entry `name` of STUDY.variants, and its training parameters; KadanoffError if a key breaks a rule."""
    return variants.read_variant(root, study, name, Variant)


def built(network: str, arguments: dict[str, Any]) -> Superresolution:
    """The registry's network of this name, with freshly drawn weights."""
    model = build(network, **arguments)
    assert isinstance(model, Superresolution)  # no other network takes these arguments
    return model


def train(
    variant: Variant, training: TrainingParams, temperature: float, fine: Spins, seed: int, folder: Path
) -> tuple[Superresolution, list[Fit]]:
    """Train one network on fine configurations (n, y, x) or (n, x); it goes on from a checkpoint in `folder`."""
    settings = Settings(**(training.model_dump() | {"seed": seed, "threads": 1}))
    with seeded(seed):
        model = built(variant.network, variant.arguments(fine.ndim - 1, [temperature]))
    folder.mkdir(exist_ok=True)
    network, task = model.networks[0], (fine, variant.rule, variant.block, settings)
    if isinstance(network, Blocks):
        return model, train_blocks(network, *task, folder)
    if isinstance(network, SeedKernel):
        return model, [train_seed_kernel(network, fine, variant.block, settings, variant.energy_weight, folder)]
    assert isinstance(network, Pixels)
    return model, [train_pixels(network, *task, variant.energy_weight, folder)]
