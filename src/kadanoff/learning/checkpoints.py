"""Files of a training: finished weights with their recipe, and the state from which a killed run goes on.

Weights are safetensors (no pickle, no code). The state of a running training is PyTorch's own format, read with
`weights_only=True`, which holds the optimizer's nested dictionaries and strides as they are; it never leaves the
checkpoint folder.
"""

import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from kadanoff.errors import KadanoffError
from kadanoff.lab.files import disk_errors, write_atomic
from kadanoff.networks import registry

FORMAT = 1
_KEY = "kadanoff"  # one metadata key: safetensors writes several in random order
_STATE = "training.pt"


@dataclass(frozen=True)
class Recipe:
    """What rebuilds a network, and where its weights come from.

    Parameters
    ----------
    network, arguments
        Name in the registry, and the arguments of its `build`.
    training
        Provenance, free of form (dataset, rule, seed, ...): whatever JSON can hold.
    """

    network: str
    arguments: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)


def save_model(path: Path | str, module: nn.Module, recipe: Recipe) -> None:
    """Write weights and recipe as safetensors: the same weights and recipe give the same bytes.

    Raises
    ------
    KadanoffError
        If the disk refuses; a file that was there before is then intact.
    """
    path = Path(path)
    text = json.dumps({"format": FORMAT, **asdict(recipe)}, sort_keys=True)
    save_weights(path, module.state_dict(), {_KEY: text})


def save_weights(path: Path, weights: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors by name as safetensors, atomically; raises as `save_model` does."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with disk_errors(path):
        write_atomic(path, safetensors.torch.save(plain, metadata=metadata))


def load_model(path: Path | str) -> nn.Module:
    """Trained network in evaluation mode, on the CPU; a coarsening one takes float32 [n, 1, y, x].

    Raises
    ------
    KadanoffError
        If the file is missing, damaged, not one of ours, or its weights do not fit the network it names.
    """
    recipe, weights = _read(Path(path))
    try:
        network = registry.build(recipe.network, **recipe.arguments)
    except (KadanoffError, TypeError, ValueError, RuntimeError) as error:
        raise KadanoffError(f"{path} cannot be rebuilt: {error} Was it written by a newer version?") from error
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split()[:40])
        raise KadanoffError(
            f"{path} says that it is network {recipe.network!r} {recipe.arguments}, but holds the weights of "
            f"another ({reason} ...). Train it again, or take the file that belongs to this network."
        ) from error
    return network.eval()


def read_recipe(path: Path | str) -> Recipe:
    """Recipe of a weights file.

    Raises
    ------
    KadanoffError
        If the file is missing, damaged or not one of ours.
    """
    return _read(Path(path))[0]


def _read(path: Path) -> tuple[Recipe, dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            text = (file.metadata() or {}).get(_KEY)
    except OSError as error:
        raise KadanoffError(f"cannot read {path}: {error.strerror or error}. Give a .safetensors file.") from error
    except SafetensorError as error:
        raise KadanoffError(
            f"{path} is not a whole safetensors file ({error}). Fetch it again (`dvc pull`), or train it again."
        ) from error
    if text is None:
        raise KadanoffError(
            f"{path} holds weights without a recipe (no {_KEY!r} in its metadata), so the network cannot be rebuilt. "
            "Take a file that a training stage wrote under models/."
        )
    return _parsed(path, text), weights


def _parsed(path: Path, text: str) -> Recipe:
    try:
        found = json.loads(text)
        version = found.pop("format")
        if version == FORMAT:
            return Recipe(**found)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise KadanoffError(f"{path} has a recipe that cannot be read: {error}. Train it again.") from error
    raise KadanoffError(f"{path} has format {version}; this version reads {FORMAT}. Train it again, or update.")


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Replace the training state in `folder`, atomically: tensors, numbers, strings, and dicts and lists of them.

    Raises
    ------
    KadanoffError
        If the disk refuses; the state before is then intact.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with disk_errors(folder / _STATE):
        write_atomic(folder / _STATE, buffer.getvalue())


def load_state(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """Training state of `folder`, its tensors on `device`; None if there is none.

    Raises
    ------
    KadanoffError
        If the file is damaged.
    """
    path = folder / _STATE
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a damaged archive raises whatever its parser stumbles over
        raise KadanoffError(f"{path} is damaged ({error}). Remove it to train from the start.") from error
