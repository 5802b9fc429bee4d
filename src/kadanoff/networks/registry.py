"""Every network by its name in `params.yaml`. A new one is an entry below: a function that builds it."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from kadanoff.errors import KadanoffError
from kadanoff.networks import coarsen, superres, vision

_NETWORKS: dict[str, Callable[..., nn.Module]] = {}


def register(builder: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Enter `builder` under its own name; its parameters are the network's arguments."""
    _NETWORKS[builder.__name__] = builder
    return builder


def names() -> tuple[str, ...]:
    """Names of all networks, in the order of their entries."""
    return tuple(_NETWORKS)


def build(name: str, **arguments: Any) -> nn.Module:
    """Network `name` with freshly drawn weights.

    Raises
    ------
    KadanoffError
        If there is no such network, it does not take these arguments, or refuses their values.
    """
    if name not in _NETWORKS:
        raise KadanoffError(f"network is {name!r}; choose one of {', '.join(_NETWORKS)}.")
    builder = _NETWORKS[name]
    try:
        inspect.signature(builder).bind(**arguments)
    except TypeError as error:
        takes = ", ".join(inspect.signature(builder).parameters)
        raise KadanoffError(f"network {name!r}: {error}; its arguments are {takes}.") from error
    return builder(**arguments)


def _fitted(network: coarsen.Coarsener, size: int) -> nn.Module:
    network.check(size, size)
    return network


@register
def drawn(block: int, size: int) -> nn.Module:
    """The report's diagram, for lattices of any size; trained at `size`."""
    return _fitted(coarsen.Drawn(block), size)


@register
def cnn(block: int, size: int) -> nn.Module:
    """The report's convolutional network, for lattices of any size; trained at `size`."""
    return _fitted(coarsen.Cnn(block), size)


@register
def mlp(block: int, size: int) -> nn.Module:
    """The report's perceptron, for lattices of one `size`."""
    return coarsen.Mlp(block, size)


@register
def exact(block: int, size: int) -> nn.Module:
    """One linear map of a block, for lattices of any size; trained at `size`."""
    return _fitted(coarsen.Exact(block), size)


@register
def pixels(rule: str, block: int, dimension: int, temperatures: Sequence[float], width: int, layers: int) -> nn.Module:
    """The super-resolution network of Efthymiou, Beach and Melko, one a temperature."""
    networks = [superres.Pixels(block, dimension, width, layers) for _ in temperatures]
    return superres.Superresolution(rule, block, dimension, temperatures, networks)


@register
def blocks(rule: str, block: int, dimension: int, temperatures: Sequence[float], width: int) -> nn.Module:
    """Whole blocks that obey the rule, one network a temperature."""
    networks = [superres.Blocks(rule, block, dimension, width) for _ in temperatures]
    return superres.Superresolution(rule, block, dimension, temperatures, networks)


@register
def symmetric_blocks(rule: str, block: int, dimension: int, temperatures: Sequence[float], width: int) -> nn.Module:
    """The same, to enlarge lattices that are dressed first."""
    if dimension != 2:
        raise KadanoffError("symmetric_blocks dresses square lattices, not chains; take blocks.")
    networks = [superres.Blocks(rule, block, dimension, width, dressing=True) for _ in temperatures]
    return superres.Superresolution(rule, block, dimension, temperatures, networks)


@register
def seed_kernel(rule: str, block: int, dimension: int, temperatures: Sequence[float]) -> nn.Module:
    """The kernel of CNN-RG-Fast, one a temperature."""
    if dimension != 2:
        raise KadanoffError("seed_kernel enlarges square lattices, not chains; take pixels or blocks.")
    networks = [superres.SeedKernel(block) for _ in temperatures]
    return superres.Superresolution(rule, block, dimension, temperatures, networks)


@register
def transformers(model: str, outputs: int, size: int, scale: int, options: dict[str, Any]) -> nn.Module:
    """An image classifier of Hugging Face's Transformers, by its model type."""
    return vision.transformers_model(model, outputs, size, scale, options)


@register
def timm(model: str, outputs: int, scale: int, options: dict[str, Any]) -> nn.Module:
    """A model of timm, by its name; most take any size."""
    return vision.timm_model(model, outputs, scale, options)
