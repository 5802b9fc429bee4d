"""The entries of `classify.systems` and `classify.models`: systems whose temperature is read, and image models."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from kadanoff.learning.parameters import TunedParams
from kadanoff.spins.boundary import Lattice
from kadanoff.validation import Name, Section

BATCH = 25
"""Images of a batch where nothing is learned: they fit into the cache of a core."""


class System(Section):
    """One entry of `classify.systems`, in the words of a dataset."""

    boundary: Literal["periodic", "antiperiodic", "skewed"] = "periodic"
    coupling: Literal[1, -1] = 1

    @property
    def start(self) -> Literal["hot", "ground"]:
        """Where chains begin that are to come to equilibrium: with the wall that the boundary forces, or anywhere."""
        return "ground" if self.boundary != "periodic" and self.coupling > 0 else "hot"

    def lattice(self, size: int) -> Lattice:
        """The lattice of a system at a size."""
        return Lattice.of(size, self.boundary, self.coupling)


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

    def arguments(self, outputs: int, size: int) -> dict[str, Any]:
        """Arguments of the registry's builder."""
        given = {"model": self.model, "outputs": outputs, "scale": self.scale, "options": self.options}
        return given | ({"size": size} if self.library == "transformers" else {})


def physics_weights(root: Path, name: str) -> Path:
    """Where the stage `pretrain` puts the weights of a model."""
    return root / "models" / "pretrain" / f"{name}.safetensors"
