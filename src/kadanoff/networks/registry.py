"""Every network by its name in `params.yaml`. A new one is an entry below: a function that builds it."""

import inspect
import reprlib
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, validate_call
from torch import nn

from kadanoff.errors import KadanoffError
from kadanoff.networks import coarsen, superres, vision

LARGEST, LONGEST = 100_000, 200
"""Numbers and lengths of the options of an image model, at most."""


def _bounded(options: Any) -> Any:
    if isinstance(options, int | float) and not abs(options) <= LARGEST:  # NaN too
        raise ValueError(f"numbers of options reach up to {LARGEST:,}")
    if isinstance(options, str | list | tuple | dict):
        if len(options) > LONGEST:
            raise ValueError(f"parts of options have a length of at most {LONGEST}")
        for part in options.values() if isinstance(options, dict) else () if isinstance(options, str) else options:
            _bounded(part)
    return options


# a recipe may come from outside: without bounds `layers: 10**9` takes all memory before anything else refuses it
Block = Annotated[int, Field(ge=2, le=64)]
Size = Annotated[int, Field(ge=1, le=2**14)]
Width = Annotated[int, Field(ge=1, le=10_000)]
Layers = Annotated[int, Field(ge=1, le=100)]
Temperature = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Temperatures = Annotated[Sequence[Temperature], Field(min_length=1, max_length=1000)]
Dimension = Literal[1, 2]
Scale = Annotated[int, Field(ge=1, le=64)]
Options = Annotated[dict[str, Any], AfterValidator(_bounded)]

_NETWORKS: dict[str, Callable[..., nn.Module]] = {}


def register(builder: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Enter `builder` under its own name; its parameters are the network's arguments, of the types that they have."""
    _NETWORKS[builder.__name__] = validate_call(config=ConfigDict(strict=True))(builder)
    return builder


def build(name: str, **arguments: Any) -> nn.Module:
    """Network `name` with random initialization; KadanoffError if there is none, or it refuses the arguments."""
    if name not in _NETWORKS:
        raise KadanoffError(f"network is {reprlib.repr(name)}; choose one of {', '.join(_NETWORKS)}.")
    builder = _NETWORKS[name]
    try:
        inspect.signature(builder).bind(**arguments)
    except TypeError as error:
        takes = ", ".join(inspect.signature(builder).parameters)
        raise KadanoffError(f"network {name!r}: {error}; its arguments are {takes}.") from error
    try:
        return builder(**arguments)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise KadanoffError(f"network {name!r}: {place} is {reprlib.repr(fault['input'])}: {fault['msg']}.") from error


@register
def drawn(block: Block, size: Size) -> nn.Module:
    """The report's diagram, for lattices of any size; trained at `size`."""
    return coarsen.Drawn(block, size)


@register
def cnn(block: Block, size: Size) -> nn.Module:
    """The report's convolutional network, for lattices of any size; trained at `size`."""
    return coarsen.Cnn(block, size)


@register
def mlp(block: Block, size: Size) -> nn.Module:
    """The report's perceptron, for lattices of one `size`."""
    return coarsen.Mlp(block, size)


@register
def exact(block: Block, size: Size) -> nn.Module:
    """One linear map of a block, for lattices of any size; trained at `size`."""
    return coarsen.Exact(block, size)


@register
def pixels(
    rule: str, block: Block, dimension: Dimension, temperatures: Temperatures, width: Width, layers: Layers
) -> nn.Module:
    """The super-resolution network of Efthymiou, Beach and Melko, one a temperature."""
    networks = [superres.Pixels(block, dimension, width, layers) for _ in temperatures]
    return superres.Superresolution(rule, block, dimension, temperatures, networks)


@register
def blocks(rule: str, block: Block, dimension: Dimension, temperatures: Temperatures, width: Width) -> nn.Module:
    """Whole blocks that obey the rule, one network a temperature."""
    networks = [superres.Blocks(rule, block, dimension, width) for _ in temperatures]
    return superres.Superresolution(rule, block, dimension, temperatures, networks)


@register
def symmetric_blocks(
    rule: str, block: Block, dimension: Literal[2], temperatures: Temperatures, width: Width
) -> nn.Module:
    """The same, with a table for Gibbs sweeps of the coarse lattice (`kadanoff.inverse.renormalized`)."""
    networks = [superres.Blocks(rule, block, dimension, width, gibbs=True) for _ in temperatures]
    return superres.Superresolution(rule, block, dimension, temperatures, networks)


@register
def seed_kernel(rule: str, block: Block, dimension: Literal[2], temperatures: Temperatures) -> nn.Module:
    """The kernel of CNN-RG-Fast, one a temperature."""
    networks = [superres.SeedKernel(block) for _ in temperatures]
    return superres.Superresolution(rule, block, dimension, temperatures, networks)


@register
def transformers(model: str, outputs: Width, size: Size, scale: Scale, options: Options) -> nn.Module:
    """An image classifier of Hugging Face's Transformers, by its model type."""
    return vision.transformers_model(model, outputs, size, scale, options)


@register
def timm(model: str, outputs: Width, scale: Scale, options: Options) -> nn.Module:
    """A model of timm, by its name; most take any size."""
    return vision.timm_model(model, outputs, scale, options)
