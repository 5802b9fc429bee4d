"""Block rules with a few weights: P(s' | spins around) ~ exp(s' h), h = sum_k w_k O_k, so that <s'> = tanh h.

O_k is an odd product of spins of the block and of the ring around it, summed over the images that the square's eight
symmetries about the block's centre make of it. So the rule has these symmetries, and turns over with the spins,
whatever the weights.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import combinations, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from kadanoff.errors import KadanoffError, shown
from kadanoff.renormalization.rules import Means, Rule, Spins
from kadanoff.runtime.files import disk_errors, write_atomic
from kadanoff.spins.observables import check_block

Sites = tuple[tuple[int, ...], ...]
LARGEST_BLOCK = 8
"""With its ring it is 10 x 10: a coordinate is one digit."""
GROUP_SITES = 1 << 16
"""Fine spins that are blocked at once: few enough for caches."""


def orbit(term: str, block: int) -> tuple[Sites, ...]:
    """The different images of a term about the block's centre.

    A term is written as the sites of its product, y and x from the ring's corner: `11` is the block's first spin.
    KadanoffError if these are not an odd number of different sites of the block and its ring.
    """
    last = block + 1
    sites = [(int(site[0]), int(site[1])) for site in term.split() if re.fullmatch(rf"[0-{last}]{{2}}", site)]
    if len(sites) % 2 == 0 or len(set(sites)) < len(term.split()):
        raise KadanoffError(
            f"{shown(term)} is no term of a rule for blocks of {block}; write an odd number of different sites, each "
            f"two digits y and x from 0 to {last}, as in '11' or '11 12 21'."
        )
    found = set()
    for flip, up, left in product((False, True), repeat=3):
        moved = [(x, y) if flip else (y, x) for y, x in sites]
        found.add(tuple(sorted((last - y if up else y, last - x if left else x) for y, x in moved)))
    return tuple(sorted(found))


def compact_terms(block: int, triples: int) -> tuple[str, ...]:
    """All single spins of the block and its ring, and the most compact products of three: so many of them.

    The order is by the sum of squared distances from the block's centre. KadanoffError for a block that is too large.
    """
    if not 2 <= block <= LARGEST_BLOCK:
        raise KadanoffError(f"block is {shown(block)}; a rule with weights has blocks of 2 to {LARGEST_BLOCK}.")
    around = list(product(range(block + 2), repeat=2))

    def spread(sites: Sites) -> int:
        return sum((2 * y - block - 1) ** 2 + (2 * x - block - 1) ** 2 for y, x in sites)

    found: dict[Sites, None] = {}
    for spins, most in (1, len(around)), (3, triples):
        wanted = len(found) + most
        for sites in sorted(combinations(around, spins), key=spread):
            if len(found) < wanted:
                found.setdefault(orbit(_name(sites), block)[0])
    return tuple(_name(sites) for sites in found)


def first_weights(block: int, terms: Sequence[str]) -> NDArray[np.float64]:
    """Where training starts: 0.4 for each spin of the block, and nothing else."""
    inside = {_name([(y, x)]) for y, x in product(range(1, block + 1), repeat=2)}
    return np.array([0.4 if term in inside else 0.0 for term in terms])


def _name(sites: Sequence[tuple[int, ...]]) -> str:
    return " ".join(f"{y}{x}" for y, x in sites)


def features(spins: Spins, block: int, terms: Sequence[str]) -> NDArray[np.int8]:
    """The O_k of every block: spins int8 (n, y, x) -> int8 (term, n, y / block, x / block).

    KadanoffError if the block size does not divide the sides, or a term is none.
    """
    check_block(spins.shape[1:], block)
    count, height, width = spins.shape
    around = np.pad(spins, ((0, 0), (1, 1), (1, 1)), mode="wrap")
    places: dict[tuple[int, ...], NDArray[np.int8]] = {
        (y, x): np.ascontiguousarray(around[:, y : y + height : block, x : x + width : block])
        for y, x in product(range(block + 2), repeat=2)
    }
    found = np.zeros((len(terms), count, height // block, width // block), np.int8)
    for total, term in zip(found, terms, strict=True):
        for sites in orbit(term, block):
            total += reduce(np.multiply, [places[site] for site in sites])
    return found


@dataclass(frozen=True)
class Weights:
    """A rule's block size, and its weights by term: `Weights(2, {"11": 0.48, "01": 0.27, "00": -0.29})`."""

    block: int
    values: dict[str, float]

    def rule(self) -> Rule:
        """The rule, to draw with."""
        return Rule(self.block, self.mean)

    def mean(self, spins: Spins) -> Means:
        """<s'>, float32 (n, y / block, x / block), of spins int8 (n, y, x); KadanoffError as `features`."""
        check_block(spins.shape[1:], self.block)
        return self._means[_surroundings(spins)] if self.block == 2 else self._computed(spins)

    @cached_property
    def _means(self) -> NDArray[np.float32]:
        """<s'> of a block of 2 by the number of its surroundings, (2^16,): with its ring it fills a torus of 4 x 4."""
        up = np.arange(1 << 16)[:, None] >> np.arange(16) & 1
        return self._computed((2 * up - 1).astype(np.int8).reshape(-1, 4, 4))[:, 0, 0]

    def _computed(self, spins: Spins) -> Means:
        weights = np.array(list(self.values.values()), np.float32)
        return np.concatenate(
            [
                np.tanh(np.tensordot(weights, features(group, self.block, list(self.values)).astype(np.float32), 1))
                for group in _groups(spins)
            ]
        )

    def save(self, path: Path) -> None:
        """Write the weights as safetensors, a number for each term; KadanoffError if the disk refuses."""
        tensors = {term: np.array([value], np.float32) for term, value in self.values.items()}
        with disk_errors(path):
            write_atomic(path, save(tensors, {"block": str(self.block)}))


def _surroundings(spins: Spins) -> NDArray[np.uint16]:
    """Number of the 4 x 4 spins of each block of 2 and its ring, (n, y / 2, x / 2): bit k where the k-th one is up."""
    up = (np.pad(spins, ((0, 0), (1, 1), (1, 1)), mode="wrap") > 0).astype(np.uint16)
    height, width = spins.shape[1:]
    found = np.zeros((len(spins), height // 2, width // 2), np.uint16)
    for y, x in product(range(4), repeat=2):
        found |= up[:, y : y + height : 2, x : x + width : 2] << np.uint16((y - 1) % 4 * 4 + (x - 1) % 4)
    return found


def _groups(spins: Spins) -> Iterator[Spins]:
    together = max(1, GROUP_SITES // spins[0].size) if len(spins) else 1
    for first in range(0, max(1, len(spins)), together):
        yield spins[first : first + together]


def load_weights(path: Path) -> Weights:
    """What `Weights.save` wrote.

    KadanoffError if there is no such file, it is damaged, or holds anything but a number for each term of such a rule.
    """
    try:
        with safe_open(path, "np") as file:
            block = (file.metadata() or {}).get("block", "")
            tensors = {term: file.get_tensor(term) for term in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise KadanoffError(
            f"cannot read {path}: {error}; train it with `dvc repro block_rule`, or fetch it with `dvc pull`."
        ) from error
    if not re.fullmatch(f"[2-{LARGEST_BLOCK}]", block) or not tensors:
        raise KadanoffError(f"{path} is no block rule: it names no block size or no terms. Take one of `block_rule`.")
    for term, value in tensors.items():
        orbit(term, int(block))
        if value.shape != (1,) or value.dtype != np.float32 or not np.isfinite(value).all():
            raise KadanoffError(f"{path}: {shown(term)} must be one finite float32 number. Train the rule again.")
    return Weights(int(block), {term: float(value[0]) for term, value in tensors.items()})


def load_rule(path: Path) -> Rule:
    """The rule of a weights file; errors as `load_weights`."""
    return load_weights(path).rule()
