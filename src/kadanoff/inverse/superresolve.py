"""Fine lattices drawn from coarse ones: by a trained network, or block by block from tables."""

from collections.abc import Callable, Sequence
from typing import Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kadanoff.errors import KadanoffError, numbers, real, whole
from kadanoff.inverse import kernels
from kadanoff.inverse.tables import FULL, Table
from kadanoff.learning.processor import torch_threads
from kadanoff.montecarlo.rng import stream_key
from kadanoff.networks.superres import Blocks, Pixels, SeedKernel, Superresolution
from kadanoff.spins.surroundings import Part, block_shape, rows, states

Spins = NDArray[np.int8]
Stream = tuple[np.uint64, int]  # key of the random bits, and the number of the first lattice
Band = tuple[int, int]  # which row of a lattice is the first of these, and how many rows that lattice has
REACH = 6
"""Coarse rows away from a block that have to do with its state: 2, 1 and 1 in the three parts, 1 and 1 in the sweep."""
MOST_LATTICES = 1 << 32  # of one seed: their numbers count in 32 bits
BATCH = 1 << 18
"""Fine sites that a convolutional network takes at a time: few enough for its values to stay in the cache."""


@overload
def superresolve(
    model: Superresolution,
    spins: Spins,
    temperature: float,
    *,
    seed: int,
    first: int = 0,
    rule: str | None = None,
    return_log_prob: Literal[False] = False,
) -> Spins: ...
@overload
def superresolve(
    model: Superresolution,
    spins: Spins,
    temperature: float,
    *,
    seed: int,
    first: int = 0,
    rule: str | None = None,
    return_log_prob: Literal[True],
) -> tuple[Spins, NDArray[np.float64]]: ...
def superresolve(
    model: Superresolution,
    spins: Spins,
    temperature: float,
    *,
    seed: int,
    first: int = 0,
    rule: str | None = None,
    return_log_prob: bool = False,
) -> Spins | tuple[Spins, NDArray[np.float64]]:
    """Draw one fine lattice for every coarse one.

    Parameters
    ----------
    model
        Of `kadanoff.load_model`.
    spins
        Coarse lattices: int8 (n, y, x), or (n, x) for chains, with even sides. A network of `upsample` takes them as
        its rule makes them; `kadanoff grow` dresses others first.
    temperature
        Of the fine lattices that the network to be used was trained on, in units of |J|/k_B.
    seed, first
        The result depends on the seed and on the number of each lattice, first, first + 1, ..., not on how the
        lattices are cut into calls.
    rule
        The rule that made the coarse lattices, to be checked against the network's.
    return_log_prob
        Whether to return ln P(fine | coarse) of each lattice as well. Whole blocks are then drawn without their last
        sweep: of what that leaves the probability is a sum over all that it may have replaced.

    Returns
    -------
    NDArray
        int8 (n, block y, block x), or (n, block x); with `return_log_prob` a pair of it and float64 (n,), in nats.

    Raises
    ------
    KadanoffError
        If the model is of another kind, the dimension, the rule, a side or the temperature is not what the networks
        were trained for, or a spin is not +1 or -1.

    Examples
    --------
    >>> import kadanoff
    >>> coarse = kadanoff.simulate(16, 2.6, samples=10, seed=1).read(0)
    >>> kadanoff.superresolve(kadanoff.load_model("superres/blocks"), coarse, 2.6, seed=1).shape
    (10, 32, 32)
    """
    if not isinstance(model, Superresolution):
        raise KadanoffError(
            f"the model is a {type(model).__name__}; superresolve takes a network of `superres` or `upsample`, as "
            "`kadanoff.load_model` gives it."
        )
    temperature, spins = real(temperature, "temperature", 0, np.inf), numbers(spins, "spins")
    model.check(np.shape(spins), rule)
    if not (np.size(spins) and np.isin(spins, (-1, 1)).all()):
        raise KadanoffError(
            f"the coarse spins, of shape {np.shape(spins)}, must be +1 and -1, at least one of them; give those of a "
            "dataset, or 2 * bits - 1."
        )
    spins = np.ascontiguousarray(spins, np.int8)
    network = model.at(temperature)
    first = whole(first, "first", 0, MOST_LATTICES - len(spins))
    stream = stream_key(seed, "superresolve", temperature, *spins.shape[1:]), first
    source = tables(network) if isinstance(network, Blocks) else network
    if not isinstance(source, list):
        fine = independent_spins(probabilities(source, spins), stream)
    else:
        fine = (draw_parts if return_log_prob else draw_blocks)(spins, source, model.block, stream)
    return (fine, log_prob(source, fine, spins)) if return_log_prob else fine


def log_prob(source: Pixels | SeedKernel | Sequence[Table], fine: Spins, coarse: Spins) -> NDArray[np.float64]:
    """Ln P(fine | coarse), in nats, of fine lattices (n, block y, block x), or (n, block x): float64 (n,).

    It is that of the draw, to its 32 bits, by a network of independent spins, or by `draw_parts` from tables, which are
    `tables(network)` of `Blocks`. It is -inf for what is never drawn, as where the rule gives other coarse spins.
    KadanoffError if fine lattices are not made of equal blocks, one for each coarse spin.
    """
    block = fine.shape[-1] // max(1, coarse.shape[-1])
    if fine.shape != (len(coarse), *(block * side for side in coarse.shape[1:])):
        raise KadanoffError(
            f"the fine lattices have the shape {fine.shape}, the coarse ones {coarse.shape}; give as many fine ones, "
            "whose sides are the same multiple of the coarse sides."
        )
    if not isinstance(source, Sequence):
        up = _in_bits(probabilities(source, coarse)) / (FULL + 1)
        with np.errstate(divide="ignore"):
            return np.log(np.where(fine > 0, up, 1 - up)).reshape(len(fine), -1).sum(1)
    return np.sum([_Blocks(coarse, block, fine).log_prob(table) for table in source], axis=0)


def probabilities(network: Callable[[Tensor], Tensor], spins: Spins) -> NDArray[np.float32]:
    """P(+1) of every fine spin, by a network of independent ones: float32 (n, block y, block x), or (n, block x).

    With its method `logits` for the network, ln(P / (1 - P)).
    """
    step = max(1, BATCH // (4 * spins[0].size))
    with torch.inference_mode(), torch_threads(1):  # a draw depends on the rounding
        found = [
            network(torch.from_numpy(spins[start : start + step]).float().unsqueeze(1)).squeeze(1)
            for start in range(0, len(spins), step)
        ]
    return torch.cat(found).numpy()


def independent_spins(chances: NDArray, stream: Stream) -> Spins:
    """Independent spins (n, ...) that are +1 with the given probabilities."""
    flat = _in_bits(chances).reshape(len(chances), -1).astype(np.uint64)
    spins = np.empty(flat.shape, np.int8)
    kernels.independent_spins(flat, spins, *stream)
    return spins.reshape(chances.shape)


def _in_bits(chances: NDArray) -> NDArray[np.float64]:
    """Probabilities in whole units of 2^-32, and not of 1 / FULL, so that a probability of 1 is always met."""
    return np.floor(chances.astype(np.float64) * (FULL + 1))


def tables(network: Blocks, sharpness: float = 1.0) -> list[Table]:
    """The network's distributions over all that its parts can see; `sharpness` multiplies their log-probabilities.

    A sharpness above 1 is a lower temperature: with the exact conditional of a block it multiplies the coupling K.
    """
    return sharpened(network, log_probabilities(network), sharpness)


def log_probabilities(network: Blocks) -> list[NDArray[np.float64]]:
    """Logarithms of P(state | row), of each part: (2^inputs, 2^sites)."""
    with torch.inference_mode(), torch_threads(1):  # a draw depends on the rounding
        return [
            conditional(torch.from_numpy(rows(part.inputs)).float()).double().numpy()
            for part, conditional in zip(network.scheme, network.parts, strict=True)
        ]


def sharpened(network: Blocks, logs: Sequence[NDArray[np.float64]], sharpness: float) -> list[Table]:
    """Tables of the network's `log_probabilities`."""
    found = []
    for part, values in zip(network.scheme, logs, strict=True):
        weights = np.exp(sharpness * (values - values.max(axis=1, keepdims=True)))
        probabilities = weights / weights.sum(axis=1, keepdims=True)
        if network.odd:  # those of own spin -1 from those of +1: rounding would spoil the symmetry
            own = rows(part.inputs)[:, :1]
            probabilities = np.where(own > 0, probabilities, probabilities[::-1, ::-1])
        found.append(Table(part, probabilities))
    return found


def draw_blocks(spins: Spins, scheme: Sequence[Table], block: int, stream: Stream, band: Band | None = None) -> Spins:
    """Draw all blocks, part by part, then again by a sweep: int8 (n, y, x) -> (n, block y, block x); chains alike.

    Blocks that are drawn first do not know their neighbours, to which they are therefore bound too weakly; the sweep
    gives each colour once more, given the other. The spins may be a `band` of the rows of larger lattices, from an even
    row on: the blocks of all but the `REACH` rows at either end are then those of the whole.
    """
    lattice = _Blocks(spins, block)
    lattice.draw_parts(scheme, stream, band)
    lattice.sweep(scheme[-1], stream, 0, band)
    return lattice.result()


def draw_parts(spins: Spins, scheme: Sequence[Table], block: int, stream: Stream, fine: Spins | None = None) -> Spins:
    """The same without the sweep. With `fine`, parts that are not in the scheme have its blocks."""
    lattice = _Blocks(spins, block, fine)
    lattice.draw_parts(scheme, stream)
    return lattice.result()


def random_blocks(spins: Spins, rule_states: NDArray[np.bool_], block: int, stream: Stream) -> Spins:
    """Blocks drawn evenly from the states that the rule allows, (2, states) for coarse spins -1 and +1."""
    dimension = spins.ndim - 1
    every = tuple((y, x) for y in range(dimension) for x in range(2))
    part = Part(every, ((0, 0),), ())
    return draw_parts(spins, [Table(part, rule_states.astype(np.float64))], block, stream)


def sweep_blocks(spins: Spins, fine: Spins, conditional: Table, stream: Stream, sweeps: int, done: int = 0) -> Spins:
    """Block-Gibbs sweeps at fixed coarse spins: both colours of the checkerboard, each given the other.

    `conditional` is the table of the last part: P(state | coarse spin, touching spins). Sweeps count from `done`.
    """
    lattice = _Blocks(spins, fine.shape[-1] // spins.shape[-1], fine)
    for sweep in range(done, done + sweeps):
        lattice.sweep(conditional, stream, sweep)
    return lattice.result()


def count(spins: Spins, fine: Spins, part: Part) -> NDArray[np.int64]:
    """How often each state was seen in each surrounding, over all blocks: (2^inputs, 2^sites)."""
    lattice = _Blocks(spins, fine.shape[-1] // spins.shape[-1], fine)
    height, width = lattice.shape
    counts = np.zeros((2**part.inputs, 2 ** (height * width)), np.int64)
    kernels.count(lattice.coarse, lattice.fine, *_places(part), lattice.shape, counts)
    return counts


class _Blocks:
    """Coarse and fine lattices as the kernels take them: int8 (n, y, x), chains with y = 1."""

    def __init__(self, spins: Spins, block: int, fine: Spins | None = None) -> None:
        self.dimension = spins.ndim - 1
        self.shape = block_shape(block, self.dimension)
        self.states = states(block, self.dimension)
        self.coarse = np.ascontiguousarray(spins.reshape(len(spins), -1, spins.shape[-1]))
        height, width = self.coarse.shape[1] * self.shape[0], self.coarse.shape[2] * self.shape[1]
        self.fine = np.zeros((len(spins), height, width), np.int8)
        if fine is not None:
            self.fine[:] = fine.reshape(self.fine.shape)

    def draw_parts(self, scheme: Sequence[Table], stream: Stream, band: Band | None = None) -> None:
        """Draw all parts in their order, in place."""
        for number, table in enumerate(scheme):
            self.draw(table.part, table.thresholds, stream, number, band)

    def sweep(self, conditional: Table, stream: Stream, number: int, band: Band | None = None) -> None:
        """Block-Gibbs sweep `number`, in place: both colours of the checkerboard, each given the other."""
        for colour in range(2):
            part = conditional.part._replace(sublattices=((0, colour), (1, 1 - colour))[: self.dimension])
            self.draw(part, conditional.thresholds, stream, 1000 + 2 * number + colour, band)

    def draw(
        self, part: Part, thresholds: NDArray[np.uint32], stream: Stream, number: int, band: Band | None = None
    ) -> None:
        """Draw the blocks of a part in place; `number` tells draws from the same stream apart."""
        key, first = stream
        for y, x in part.sublattices:
            kernels.draw(
                self.coarse, self.fine, (y, self.dimension, x, 2), _places(part), self.shape, thresholds, self.states,
                (key, number, first, *(band or (0, self.coarse.shape[1]))),
            )  # fmt: skip

    def log_prob(self, table: Table) -> NDArray[np.float64]:
        """Sum of ln P over the blocks of a part, given all that they see: float64 (n,)."""
        totals = np.zeros(len(self.coarse))
        for y, x in table.part.sublattices:
            sublattice = (y, self.dimension, x, 2)
            kernels.add_logarithms(
                self.coarse, self.fine, sublattice, _places(table.part), self.shape, table.logarithms, totals
            )
        return totals

    def result(self) -> Spins:
        """The fine lattices in the shape of the coarse ones."""
        return self.fine if self.dimension == 2 else self.fine[:, 0]


def _places(part: Part) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    coarse, fine = (np.array(places, np.int64).reshape(-1, 2) for places in (part.coarse, part.fine))
    return coarse, fine
