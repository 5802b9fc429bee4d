"""Files of a training: finished weights with their recipe, and the state from which a killed run resumes.

Weights are safetensors (no pickle, no code). The state of a running training is PyTorch's own format, read with
`weights_only=True`, which holds the optimizer's nested dictionaries and strides as they are; it never leaves the
checkpoint folder.
"""

import hashlib
import io
import json
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from kadanoff.errors import KadanoffError
from kadanoff.networks import registry
from kadanoff.runtime.files import disk_errors, write_atomic

FORMAT = 1
_KEY = "kadanoff"  # one metadata key: safetensors writes several in random order
_STATE = "training.pt"


@dataclass(frozen=True)
class Recipe:
    """What rebuilds a network: its name in the registry, and the arguments of its `build`.

    `training` is where the weights come from (dataset, rule, seed, ...): whatever JSON can hold.
    """

    network: str
    arguments: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)


def save_model(path: Path | str, module: nn.Module, recipe: Recipe) -> None:
    """Write weights and recipe as safetensors: the same weights and recipe give the same bytes.

    Raises
    ------
    KadanoffError
        If a weight is not finite or not float32, or the disk refuses; a file that was there before is then intact.
    """
    weights = module.state_dict()
    _require_sound(path, weights)
    found = {"format": FORMAT, "sha256": _digest(weights), **asdict(recipe)}
    save_weights(Path(path), weights, {_KEY: json.dumps(found, sort_keys=True)})


def save_weights(path: Path, weights: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors by name as safetensors, atomically; KadanoffError if the disk refuses."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with disk_errors(path):
        write_atomic(path, safetensors.torch.save(plain, metadata=metadata))


def load_model(path: Path | str) -> nn.Module:
    """Trained network in evaluation mode, on the CPU; a coarsening one takes float32 [n, 1, y, x].

    Raises
    ------
    KadanoffError
        If the file is missing, damaged, not one of ours, its weights are not finite or not float32, or do not fit the
        network that it names.
    """
    recipe, weights, digest = _read(Path(path))
    _require_sound(path, weights)
    if digest not in (None, _digest(weights)):
        raise KadanoffError(f"{path} is damaged: its weights are not those saved. Fetch it again (`dvc pull`).")
    try:
        with torch.device("meta"), _most_parameters(2 * len(weights) + 100):  # numbers of a recipe may be anything
            fits = _shapes(registry.build(recipe.network, **recipe.arguments).state_dict()) == _shapes(weights)
        network = registry.build(recipe.network, **recipe.arguments) if fits else None
    except Exception as error:  # it raises whatever its network stumbles over
        raise KadanoffError(f"{path} cannot be rebuilt: {error} Was it written by a newer version?") from error
    if network is None:
        raise KadanoffError(
            f"{path} says that it is network {recipe.network!r} {reprlib.repr(recipe.arguments)}, but holds the "
            "weights of another. Train it again, or take the file that belongs to this network."
        )
    network.load_state_dict(weights)
    return network.eval()


def _require_sound(path: Path | str, weights: dict[str, Tensor]) -> None:
    """Refuse weights that no network of ours has, on writing and on reading."""
    for name, tensor in weights.items():
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise KadanoffError(f"{path}: {name} is {tensor.dtype}; weights are float32. Convert them, or train again.")
        if not tensor.isfinite().all():
            raise KadanoffError(f"{path}: {name} has values that are not finite numbers. Train the network again.")


def _digest(weights: dict[str, Tensor]) -> str:
    """SHA-256 of names and values: a flipped bit is a weight, too, and safetensors has no checksum."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def _most_parameters(most: int) -> Iterator[None]:
    """Refuse inside the block to build a network of more parameter tensors than these, before the next one is made."""
    made = 0

    def count(*_: Any) -> None:
        nonlocal made
        made += 1
        if made > most:
            raise KadanoffError(f"the network has more parts than the file has weights ({most} are too many).")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _shapes(weights: dict[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in weights.items()}


def read_recipe(path: Path | str) -> Recipe:
    """Recipe of a weights file; KadanoffError if it is missing, damaged or not one of ours."""
    return _read(Path(path))[0]


def _read(path: Path) -> tuple[Recipe, dict[str, Tensor], str | None]:
    """Recipe, weights and the digest of those that were saved; a file that was made elsewhere may have none."""
    try:
        with safe_open(path, "pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            text = (file.metadata() or {}).get(_KEY)
    except OSError as error:
        made, (stage, *rest) = "", path.parts[path.parts.index("models") + 1 :] if "models" in path.parts else [""]
        if rest:
            made = f"train it with `dvc repro {stage}@{Path(rest[0]).stem}`, fetch it with `dvc pull`, or "
        raise KadanoffError(
            f"cannot read {path}: {error.strerror or error}; {made}give another .safetensors file."
        ) from error
    except SafetensorError as error:
        raise KadanoffError(
            f"{path} is not a whole safetensors file ({error}). Fetch it again (`dvc pull`), or train it again."
        ) from error
    if text is None:
        raise KadanoffError(
            f"{path} holds weights without a recipe (no {_KEY!r} in its metadata), so the network cannot be rebuilt. "
            "Take a file that a training stage wrote under models/."
        )
    try:
        found = json.loads(text)
        version, digest = found.pop("format"), found.pop("sha256", None)
        if version != FORMAT:
            raise KadanoffError(f"{path} has format {version}; this version reads {FORMAT}. Train it again, or update.")
        return Recipe(**found), weights, digest
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise KadanoffError(f"{path} has a recipe that cannot be read: {error}. Train it again.") from error


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Replace the training state in `folder`, atomically: tensors, numbers, strings, and dicts and lists of them."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with disk_errors(folder / _STATE):
        write_atomic(folder / _STATE, buffer.getvalue())


def load_state(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """Training state of `folder`, its tensors on `device`; None if there is none, KadanoffError if it is damaged."""
    path = folder / _STATE
    try:
        return torch.load(path, map_location=device, weights_only=True) if path.exists() else None
    except Exception as error:  # a damaged archive raises whatever its parser stumbles over
        raise KadanoffError(f"{path} is damaged ({error}). Remove it to train from the start.") from error
