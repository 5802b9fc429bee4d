"""Where a vision transformer looks, by attention rollout, and what a configuration has there: energy, domain walls."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.networks.vision import Reader
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.statistics import independent_mean

BATCH = 20  # images: twelve layers of twelve heads of ViT-Base take 0.5 GB
SHARE = 0.05
"""Part of all sites that a cluster needs to be a domain."""
LEAST = 10
"""Configurations that correlations need."""


def rollout(network: Reader, spins: NDArray[np.int8]) -> NDArray[np.float32]:
    """How much of the class token comes from each patch: spins (n, y, x) to (n, rows, columns), of sum 1 each.

    Attentions are averaged over heads, the residual adds the identity, and the layers are multiplied: Abnar and
    Zuidema, ACL 2020, arXiv:2005.00928. The network stays in evaluation, in the implementation that gives attentions.

    Raises
    ------
    KadanoffError
        If the network has no attention of a class token to patches.
    """
    rows, columns = (-(-side * network.scale // network.patch) for side in spins.shape[1:])
    device = next(network.eval().parameters()).device
    with torch.inference_mode():
        parts = [
            _rolled(_attentions(network, torch.from_numpy(part).to(device).float().unsqueeze(1), rows * columns))
            for part in np.split(spins, range(BATCH, len(spins), BATCH))
        ]
    last = torch.cat(parts)[:, -rows * columns :]  # patches come after all other tokens
    return (last / last.sum(1, keepdim=True)).reshape(-1, rows, columns).cpu().numpy()


def _attentions(network: Reader, spins: Tensor, patches: int) -> tuple[Tensor, ...]:
    body: Any = network.body
    layers: tuple[Tensor, ...] = ()
    if getattr(getattr(body, "config", None), "num_attention_heads", None):
        body.set_attn_implementation("eager")
        layers = body(network.pixels(spins), output_attentions=True, **network.options).attentions or ()
    tokens = layers[0].shape[-1] if layers else 0
    if tokens <= patches or {layer.shape[::2] + layer.shape[3:] for layer in layers} != {(len(spins), tokens, tokens)}:
        raise KadanoffError(
            f"{network.name} has no attention of a class token to patches, which rollout needs. Take a vision "
            "transformer of the library transformers, such as vit, deit or dinov2."
        )
    return layers


def _rolled(layers: tuple[Tensor, ...]) -> Tensor:
    """First row of the product of all layers (B, heads, tokens, tokens), the last one leftmost: (B, tokens)."""
    row = torch.zeros_like(layers[0][:, 0, :1])
    row[..., 0] = 1
    for layer in reversed(layers):
        mixed = layer.mean(1) + torch.eye(layer.shape[-1], device=layer.device)
        row = row @ (mixed / mixed.sum(-1, keepdim=True))
    return row[:, 0]


def patch_means(values: NDArray, patch: int | Fraction) -> NDArray[np.float64]:
    """Means of values (n, y, x) over patches as wide as `patch` spins, whose outer parts count for nothing.

    Shape (n, rows, columns): rows from the top, columns from the left. A spin in two patches counts in parts.
    """
    inside = []
    for side in values.shape[1:]:
        edges = np.minimum(np.arange(math.ceil(side / Fraction(patch)) + 1) * float(patch), side)
        first, last, spin = edges[:-1, None], edges[1:, None], np.arange(side)
        inside.append(np.clip(np.minimum(last, spin + 1) - np.maximum(first, spin), 0, 1) / (last - first))
    return inside[0] @ values @ inside[1].T


def local_energy(spins: NDArray[np.int8], lattice: Lattice) -> NDArray[np.float64]:
    """Half of the energy of each spin's bonds, and all of that of its ghost's: its mean is the energy per site."""
    right, down = _bonds(spins, lattice)
    return -(right + np.roll(right, 1, 2) + down + np.roll(down, 1, 1)) / 2 - lattice.ghost * spins


def domain_walls(spins: NDArray[np.int8], lattice: Lattice) -> NDArray[np.bool_]:
    """Which sites of spins (n, y, x) lie on a wall between domains, as opposed to beside a few thermally excited spins.

    A domain is a cluster, joined by bonds of negative energy, of at least `SHARE` of all sites, so that of an
    antiferromagnet is staggered; ghosts are domains too. Walls are bonds of positive energy between domains, or of one
    with itself round an antiperiodic lattice. This was fixed before any attention was measured.
    """
    right, down = _bonds(spins, lattice)
    large = np.stack([_in_domain(*bonds) for bonds in zip(right > 0, down > 0, strict=True)])
    walls = large & (lattice.ghost * spins < 0)
    for bonds, axis in ((right, 2), (down, 1)):
        crossed = (bonds < 0) & large & np.roll(large, -1, axis)
        walls |= crossed | np.roll(crossed, 1, axis)
    return walls


def _bonds(spins: NDArray[np.int8], lattice: Lattice) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """J s s' of the bonds to the right and down, the negative of their energy."""
    return lattice.right * spins * np.roll(spins, -1, 2), lattice.down * spins * np.roll(spins, -1, 1)


def _in_domain(right: NDArray[np.bool_], down: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which sites (y, x) are in large clusters, from the bonds that join them."""
    sites = np.arange(right.size).reshape(right.shape)
    ends = np.concatenate([np.roll(sites, -1, 1)[right], np.roll(sites, -1, 0)[down]])
    starts = np.concatenate([sites[right], sites[down]])
    graph = coo_array((np.ones(len(starts), np.int8), (starts, ends)), shape=(right.size, right.size))
    labels = connected_components(graph, directed=False)[1].reshape(right.shape)
    return np.bincount(labels.ravel())[labels] >= SHARE * right.size


@dataclass(frozen=True)
class Correlation:
    """Pearson's correlation over patches between attention and a local quantity, means over configurations with errors.

    `pearson` is of maps of the same configuration. `others` pairs attention with the local maps of all other
    configurations, which keeps what all share by position; `excess` is `pearson` less that. Both are jackknifed, which
    makes the error of `others` too large by 2^(1/2) where nothing is shared. `used` (n,) says which configurations
    have contrast in both maps, `each` is the correlation of every one of these.
    """

    pearson: Estimate
    others: Estimate
    excess: Estimate
    used: NDArray[np.bool_]
    each: NDArray[np.float64]


def correlation(attention: NDArray, local: NDArray) -> Correlation:
    """Correlate maps (n, rows, columns) of attention and of a local quantity.

    Raises
    ------
    KadanoffError
        If fewer than `LEAST` configurations have two maps with any contrast.
    """
    maps = [np.asarray(item, float).reshape(len(item), -1) for item in (attention, local)]
    # rounding is no contrast
    used = np.all([np.ptp(item, 1) > 1e-6 * np.abs(item).max(1, initial=0) for item in maps], 0)
    if (count := int(used.sum())) < LEAST:
        raise KadanoffError(
            f"{count} of {len(used)} configurations have contrast in both maps; a correlation needs {LEAST}. Take more "
            "images, temperatures where there is more to see (domain walls lie near T_c), or a network that does not "
            "attend to the same places in all of them."
        )
    centred = [item[used] - item[used].mean(1, keepdims=True) for item in maps]
    seen, there = (item / np.linalg.norm(item, axis=1, keepdims=True) for item in centred)
    pairs = seen @ there.T
    own, total, rest = pairs.diagonal(), pairs.sum(), count - 1
    others = (total - own.sum()) / (count * rest)
    # without one of the configurations each
    left = total - own.sum() - pairs.sum(0) - pairs.sum(1) + 2 * own
    left_others, left_own = left / (rest * (rest - 1)), (own.sum() - own) / rest
    return Correlation(
        pearson=independent_mean(own),
        others=_jackknifed(others, left_others),
        excess=_jackknifed(own.mean() - others, left_own - left_others),
        used=used,
        each=own,
    )


def _jackknifed(value: float, without: NDArray[np.float64]) -> Estimate:
    """A number, with the error that it has by what it is without each of n configurations: Efron (1982), chapter 3."""
    return Estimate(float(value), float(np.sqrt((len(without) - 1) * without.var())), n=len(without))


def at_equal(local: NDArray, given: NDArray) -> NDArray[np.float64]:
    """What a straight line in `given` leaves of `local`, in every configuration of its own; all (n, rows, columns)."""
    own, other = (item - item.mean((1, 2), keepdims=True) for item in (local, given))
    power = (other**2).sum((1, 2), keepdims=True)
    return own - (own * other).sum((1, 2), keepdims=True) / np.where(power > 0, power, 1) * other
