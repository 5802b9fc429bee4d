"""Image models of Hugging Face's Transformers and of timm that take lattices: (B, 1, H, W) spins to (B, outputs).

A new model is its name in one of the two libraries. Nothing is downloaded here: weights are loaded by
`kadanoff.learning.pretrained`.
"""

import difflib
import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from kadanoff.errors import KadanoffError

LOADING = (
    *("architecture", "cache_dir", "checkpoint_path", "model_args"),
    *("pretrained", "pretrained_cfg", "pretrained_cfg_overlay"),
)
"""Options that would load files: a recipe from outside must not."""


class Reader(nn.Module):
    """An image model that sees lattices: `body` takes (B, channels, H', W') and returns (B, outputs).

    A spin becomes `scale` x `scale` pixels of as many `channels` as the model has; zeros, which are no spins, are added
    below and to the right until the sides are multiples of `patch`. `name` is what messages call it.
    """

    keep_statistics = False
    """Whether batch normalization keeps its statistics in training: a few hundred images do not measure them better."""

    def __init__(self, body: nn.Module, name: str, channels: int, scale: int, patch: int) -> None:
        super().__init__()
        self.body, self.name = body, name
        self.channels, self.scale, self.patch = channels, scale, patch
        takes = inspect.signature(body.forward).parameters
        # position embeddings that were learned at one size are interpolated at others
        self.options = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in takes else {}

    def pixels(self, spins: Tensor) -> Tensor:
        """(B, 1, H, W) spins as the images (B, channels, H', W') that the model sees."""
        if self.scale > 1:
            spins = spins.repeat_interleave(self.scale, -1).repeat_interleave(self.scale, -2)
        right, below = (-spins.shape[axis] % self.patch for axis in (-1, -2))
        return pad(spins, (0, right, 0, below)).expand(-1, self.channels, -1, -1)

    def train(self, mode: bool = True) -> "Reader":
        """As of any module, but for `keep_statistics`."""
        super().train(mode)
        for module in self.modules() if self.keep_statistics else ():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def forward(self, spins: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, outputs)."""
        found = self.body(self.pixels(spins), **self.options)
        return found if isinstance(found, Tensor) else found.logits

    def check(self, height: int, width: int) -> None:
        """Try a lattice; KadanoffError with the library's reason if the model does not take it."""
        before = self.training
        try:
            with torch.inference_mode():
                self.eval()(torch.zeros(1, 1, height, width, device=next(self.parameters()).device))
        except Exception as error:  # every model has its own way to refuse
            raise KadanoffError(
                f"the lattice is {height} x {width}, which {self.name} does not take: {' '.join(str(error).split())} "
                "Take another size, or a model that is built for this one."
            ) from error
        finally:
            self.train(before)


def transformers_model(name: str, outputs: int, size: int, scale: int, options: dict[str, Any]) -> Reader:
    """Image classifier of Transformers by its model type (``vit``, ``swin``, ...), with random initialization.

    `options` are keys of its configuration; images are `size` spins wide and have one channel unless they say more.
    KadanoffError if there is no such model or option, or the library refuses a value.
    """
    from transformers import AutoConfig, AutoModelForImageClassification
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as KNOWN

    _known(f"transformers has no image classifier {name!r}", name, KNOWN)
    _loads_nothing(options)
    plain = AutoConfig.for_model(name).to_dict()
    for key in options:
        _known(f"the configuration of {name} has no key {key!r}", key, plain)
    own = {"num_channels": 1, "image_size": size * scale}
    given = {key: value for key, value in own.items() if key in plain} | options
    try:
        config = AutoConfig.for_model(name, num_labels=outputs, **given)
        config.architectures = config.architectures or []  # where there are several kinds, the first
        body = AutoModelForImageClassification.from_config(config)
    except Exception as error:  # every model has its own way to refuse
        raise _refused("transformers", name, given, error) from error
    return reader_of_transformers(body, name, scale)


def reader_of_transformers(body: Any, name: str, scale: int) -> Reader:
    """A loaded or built classifier of Transformers as a `Reader`."""
    patch = getattr(body.config, "patch_size", 1)
    return Reader(body, name, getattr(body.config, "num_channels", 3), scale, patch if isinstance(patch, int) else 1)


def timm_model(name: str, outputs: int, scale: int, options: dict[str, Any]) -> Reader:
    """Model of timm (``resnet18``, ``resnet50``, ...), with random initialization.

    `options` are those of ``timm.create_model``. KadanoffError if there is no such model, or it refuses an option.
    """
    import timm

    _known(f"timm has no model {name!r}", name, timm.list_models())
    _loads_nothing(options)
    given = {"in_chans": 1} | options
    try:
        body = timm.create_model(name, pretrained=False, num_classes=outputs, **given)
    except Exception as error:  # every model has its own way to refuse
        raise _refused("timm", name, given, error) from error
    return Reader(body, name, given["in_chans"], scale, 1)


def _loads_nothing(options: dict[str, Any]) -> None:
    if loading := [key for key in options if key in LOADING]:
        raise KadanoffError(f"options has {loading[0]!r}, which would load files; remove it, give `weights` instead.")


def _refused(library: str, name: str, given: dict[str, Any], error: Exception) -> KadanoffError:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return KadanoffError(f"{library} refuses {name} with {given} ({reason}). Change these options.")


def _known(what: str, name: str, choices: Iterable[str]) -> None:
    known = list(choices)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0)
        raise KadanoffError(f"{what}; the nearest are {', '.join(near)}. Take one of its names.")
