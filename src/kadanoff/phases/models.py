"""The entries of `classify.models`: image models by name, each with its pre-training and its fine-tuning."""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from kadanoff.learning.parameters import TunedParams
from kadanoff.validation import Name, Section

BATCH = 25
"""Images that are looked at together where nothing is learned: they fit into the cache of a core."""

MOST_LAYERS = 1000


class FineTuning(TunedParams):
    """How a probed network is trained on; 0 epochs leave it as the probe makes it."""

    epochs: int = Field(ge=0)


class Model(Section):
    """One line of params.yaml; its other keys override `classify.training`.

    `options` go to the library: keys of a configuration of Transformers, or arguments of ``timm.create_model``.
    `pretrain` overrides `pretrain.training`, and `scratch` the training from random initialization, weights
    `none`; `protocols` are those that it is trained on; `compare` lists the initial weights of the learning curve,
    `weights` are those of everything else.
    """

    library: Literal["transformers", "timm"]
    model: str
    options: dict[str, Any] = Field(default_factory=dict)
    scale: int = Field(default=1, gt=0, le=16)
    weights: str = "physics"
    compare: list[str] = Field(default=["none", "physics"])
    protocols: list[Name] | None = None
    pretrain: dict[str, Any] = Field(default_factory=dict)
    scratch: dict[str, Any] = Field(default_factory=dict)

    @field_validator("options")
    @classmethod
    def _few_layers(cls, options: dict[str, Any]) -> dict[str, Any]:
        for key, value in options.items():
            numbers = value if isinstance(value, list) else [value]
            if re.search("layers|depth", key) and any(isinstance(n, int | float) and n > MOST_LAYERS for n in numbers):
                raise ValueError(f"{key} is more than {MOST_LAYERS}, which would take for ever to build; lower it")
        return options

    def arguments(self, outputs: int, size: int) -> dict[str, Any]:
        """Arguments of the registry's builder."""
        given = {"model": self.model, "outputs": outputs, "scale": self.scale, "options": self.options}
        return given | ({"size": size} if self.library == "transformers" else {})


def physics_weights(root: Path, name: str) -> Path:
    """Where the stage `pretrain` puts the weights of a model."""
    return root / "models" / "pretrain" / f"{name}.safetensors"
