"""Trained networks by path or by name, for Python and for MLflow's pyfunc flavour."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from kadanoff.errors import KadanoffError, shown
from kadanoff.inverse.superresolve import superresolve
from kadanoff.learning import checkpoints
from kadanoff.learning.predict import predict
from kadanoff.networks.superres import Superresolution
from kadanoff.spins.exact import T_C

PRETRAINED = Path(__file__).parent / "pretrained"
"""Small networks that come with the package; `make pretrained` writes the folder from the records."""


def pretrained() -> pd.DataFrame:
    """The networks that come with the package: by name their task, held-out metric, its value, and md5."""
    described = json.loads((PRETRAINED / "models.json").read_text(encoding="utf-8"))
    return pd.DataFrame(described).T.rename_axis("name")


def load_model(model: Path | str) -> nn.Module:
    """Trained network in evaluation mode, on the CPU; it takes float32 [n, 1, y, x], of chains [n, 1, x].

    `model` is a name of `pretrained` such as `coarsen/exact`, a file such as `models/coarsen/exact.safetensors`, or a
    registered model of the project's MLflow store: `models:/coarsen@champion`, `models:/coarsen/1`. One of `superres`
    holds a network for each temperature: `network.at(temperature)`.

    Raises
    ------
    KadanoffError
        If there is no such file or model, it is damaged, its weights have not been pulled, or it is not one of ours.

    Examples
    --------
    >>> import kadanoff, torch
    >>> network = kadanoff.load_model("coarsen/exact")
    >>> network(torch.ones(1, 1, 16, 16)).shape
    torch.Size([1, 1, 8, 8])
    """
    with weights_file(model) as path:
        return checkpoints.load_model(path)


@contextmanager
def weights_file(model: Path | str) -> Iterator[Path]:
    """The safetensors file of a model that is given by path or by name, inside the block; errors as `load_model`."""
    if str(model).startswith("models:/"):
        from kadanoff.project.tracking.registry import registered_weights

        with registered_weights(str(model)) as path:
            yield path
    elif str(model) in (known := pretrained()).index:
        yield PRETRAINED / known.file[str(model)]
    elif "." in str(model):
        yield Path(model)
    else:
        names = ", ".join(known.index)
        raise KadanoffError(f"there is no pretrained network {shown(model)}; take {names}, or a .safetensors file.")


class Predictor:
    """What `mlflow.pyfunc.load_model` gives: plain NumPy spins in, plain NumPy out."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def predict(self, spins: NDArray, params: dict[str, Any] | None = None) -> NDArray[np.float32]:
        """Output for configurations int8 (n, y, x) of +1 and -1: float32 (n, y', x').

        A super-resolution network draws fine lattices with the one of its networks that was trained nearest to T_c,
        always from the same random bits; one of chains takes (n, 1, x). KadanoffError if a shape or value is another.
        """
        spins = np.asarray(spins)
        if spins.ndim != 3:
            raise KadanoffError(
                f"the spins have shape {spins.shape}; give (n, y, x), one configuration as spins[None]."
            )
        if not np.isin(spins, (-1, 1)).all():
            raise KadanoffError("the spins have values other than +1 and -1; give those of a dataset, or 2 * bits - 1.")
        if not isinstance(self._network, Superresolution):
            return predict(self._network, spins)
        nearest = min(self._network.temperatures, key=lambda temperature: abs(temperature - T_C))
        chains = self._network.dimension == 1 and spins.shape[1] == 1
        fine = superresolve(self._network, spins[:, 0] if chains else spins, nearest, seed=0).astype(np.float32)
        return fine[:, None] if chains else fine


def _load_pyfunc(path: str) -> Predictor:
    """Entry point of MLflow: `path` is the safetensors file of a logged model."""
    if not Path(path).exists():  # the record was imported before its weights were there
        raise KadanoffError("this model's weights are not in MLflow yet; run `dvc pull`, then `kadanoff runs sync`.")
    return Predictor(checkpoints.load_model(path))
