"""Where an image model's first weights come from: drawn, pre-trained on physics, or a checkpoint of its library.

Checkpoints are safetensors, by a local folder or by their name on Hugging Face's hub; no code comes with them.
"""

import math
from os.path import isdir  # False, too, for what no file system can hold
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, load_model
from kadanoff.networks.registry import build
from kadanoff.networks.vision import Reader, reader_of_transformers

NONE, PHYSICS = "none", "physics"
TRANSIENT = ("dtype", "id2label", "label2id", "model_type", "problem_type", "transformers_version")
"""Keys of a configuration that do not shape the network."""


def initial(
    library: str, arguments: dict[str, Any], weights: str, physics: Path | None = None
) -> tuple[Reader, Recipe]:
    """A network with its first weights, and what rebuilds it. What is drawn follows torch's seed.

    Parameters
    ----------
    library, arguments
        ``transformers`` or ``timm``, and the arguments of its entry in the registry.
    weights
        ``none``, ``physics``, a local folder with model.safetensors (and config.json, for Transformers), or a name on
        the hub. The last layer is always drawn, since it has other outputs. A checkpoint of Transformers brings its own
        architecture, whatever the arguments say.
    physics
        The file that the stage `pretrain` wrote for this model.

    Raises
    ------
    KadanoffError
        If there is no such model or option, or the weights are not to be had, damaged, or of another network.
    """
    if weights in (NONE, PHYSICS):
        network = cast(Reader, build(library, **arguments))
        if weights == PHYSICS:
            _adopt(network, physics)
        return network, Recipe(library, arguments)
    return (_from_transformers if library == "transformers" else _from_timm)(arguments, weights)


def _adopt(network: nn.Module, path: Path | None) -> None:
    """Take every weight of a pre-trained network but those of its last layer, which has other outputs."""
    if path is None or not path.is_file():
        raise KadanoffError(
            f"weights is 'physics', but there is no {path}. Make it with `dvc repro pretrain` or fetch it with "
            "`dvc pull`, or take weights: none."
        )
    found, own = load_model(path).state_dict(), network.state_dict()
    other = [name for name in own if name not in found or found[name].shape[1:] != own[name].shape[1:]]
    last = [name for name in own if name not in other and found[name].shape != own[name].shape]
    if other or len(last) > 2 or found.keys() != own.keys():
        raise KadanoffError(
            f"{path} holds another network (it differs in {', '.join([*other, *last][:3])}). Pre-train this model with "
            "`dvc repro pretrain`, or give it the same options."
        )
    network.load_state_dict(own | {name: found[name] for name in own if name not in last})


def _from_transformers(arguments: dict[str, Any], weights: str) -> tuple[Reader, Recipe]:
    from transformers import AutoModelForImageClassification

    try:
        body, found = AutoModelForImageClassification.from_pretrained(
            weights,
            num_labels=arguments["outputs"],
            ignore_mismatched_sizes=True,
            use_safetensors=True,
            local_files_only=isdir(weights),
            trust_remote_code=False,
            dtype=torch.float32,  # whatever it was saved in
            output_loading_info=True,
        )
        # it draws whatever the file does not have or has in other shapes; only heads may be drawn
        drawn = {*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])}
        trunk, _ = max(body.named_children(), key=lambda child: sum(part.numel() for part in child[1].parameters()))
        if lost := sorted(name for name in drawn if name.startswith(f"{trunk}.")):
            raise ValueError(f"It lacks {', '.join(lost[:3])}, ... in these shapes.")
    except Exception as error:  # a damaged folder raises whatever its parser stumbles over
        raise _unavailable(weights, error) from error
    config, known = body.config.to_diff_dict(), type(body.config)().to_dict()  # files have keys of other times as well
    kept = {key: value for key, value in config.items() if key in known and key not in TRANSIENT and key[0] != "_"}
    kept["architectures"] = [type(body).__name__]  # some have several kinds of classifiers
    rebuilt = arguments | {"model": body.config.model_type, "options": kept}
    return reader_of_transformers(body, weights, arguments["scale"]), Recipe("transformers", rebuilt)


def _from_timm(arguments: dict[str, Any], weights: str) -> tuple[Reader, Recipe]:
    import timm
    from huggingface_hub import hf_hub_download
    from safetensors import safe_open

    network = cast(Reader, build("timm", **arguments))
    try:
        name = "model.safetensors"
        file = str(Path(weights) / name) if isdir(weights) else hf_hub_download(weights, name)
        with safe_open(file, "pt") as content:
            sizes = {name: math.prod(content.get_slice(name).get_shape()) for name in content.keys()}  # noqa: SIM118
        own = network.body.state_dict().keys()
        missing, others = sorted(own - sizes.keys()), sorted(sizes.keys() - own)
        # timm would pass over both; a last layer that is not there is drawn anyway
        if len(missing) > 2:
            raise ValueError(f"It lacks {', '.join(missing[:3])}, ...")
        if sum(sizes[name] for name in others) > sum(sizes.values()) / 10:  # buffers of other versions are small
            raise ValueError(f"It is larger: it has {', '.join(others[:3])}, ...")
        network.body = timm.create_model(
            arguments["model"],
            pretrained=True,
            pretrained_cfg_overlay={"file": file},
            num_classes=arguments["outputs"],
            **({"in_chans": 1} | arguments["options"]),
        )
    except Exception as error:  # as above
        raise _unavailable(weights, error) from error
    return network, Recipe("timm", arguments)


def _unavailable(weights: str, error: Exception) -> KadanoffError:
    reason = " ".join(str(error).split())[:200]
    if isdir(weights):
        return KadanoffError(
            f"weights is {weights!r}, a folder from which this model cannot be loaded: {reason} It must hold "
            "model.safetensors of the same library and architecture, and for transformers config.json."
        )
    return KadanoffError(
        f"weights is {weights!r}: no local folder, and no safetensors of that name on Hugging Face's hub ({reason}). "
        f"`hf download {weights} --local-dir FOLDER` fetches a folder to give here; or take physics, or none."
    )
