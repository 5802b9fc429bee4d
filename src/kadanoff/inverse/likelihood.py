"""How probable a network holds fine lattices, given the coarse ones that a rule made of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kadanoff.inverse.superresolve import Spins, count, logits, tables
from kadanoff.learning.fit import Fit
from kadanoff.networks.superres import Blocks, Pixels, SeedKernel
from kadanoff.spins.surroundings import Part

GROUPS = 100  # of configurations, for the error of a likelihood that is counted rather than summed


def negative_log_likelihood(network: nn.Module, fine: Spins, coarse: Spins) -> NDArray[np.float64]:
    """-ln P(fine | coarse) per site in nats, of every configuration, or for `Blocks` of groups of them.

    Fine configurations are int8 (n, y, x) or (n, x), coarse ones what the rule makes of them. Its mean is the entropy
    of the fine lattices given the coarse ones, which no network changes, and the divergence of the network's
    distribution from the true one: lower is better, whatever the kind of network.
    """
    if isinstance(network, Pixels | SeedKernel):
        return independent_likelihood(logits(network, coarse), fine)
    assert isinstance(network, Blocks)
    groups = np.array_split(np.arange(len(fine)), min(GROUPS, len(fine)))
    total = np.zeros(len(groups))
    for table in tables(network):
        with np.errstate(divide="ignore"):
            logs = np.log(table.probabilities)
        for number, rows in enumerate(groups):
            # the same at every place of a torus, so all blocks are counted, not only those that the part draws
            seen = count(coarse[rows], fine[rows], table.part)
            loss = -float((seen * np.where(seen, logs, 0.0)).sum() / seen.sum())
            total[number] += _share(network, table.part) * loss * coarse[0].size / fine[0].size
    return total


def independent_likelihood(logits: NDArray[np.float32], fine: Spins) -> NDArray[np.float64]:
    """-ln P(fine) per site in nats of independent spins, of every configuration, from ln(P / (1 - P)) of each."""
    # ln P is -ln(1 + exp(-s x)) for the spin s and the logit x, also where P is 1 to all digits
    return np.logaddexp(0.0, -fine * logits.astype(np.float64)).reshape(len(fine), -1).mean(1)


def losses(network: nn.Module, fits: Sequence[Fit], sites: int) -> dict[str, float]:
    """Training and validation loss per site in the epoch whose weights the network holds; `sites` are those of a block.

    With them, for each part of a draw, which epoch that was, and its validation loss beside that of the last one.
    """
    shares = [_share(network, part) / sites for part in network.scheme] if isinstance(network, Blocks) else [1.0]
    best = {
        key: sum(share * getattr(fit.best, key) for share, fit in zip(shares, fits, strict=True))
        for key in ("train_loss", "validation_loss")
    }
    return best | {
        f"part{number}_{key}" if len(fits) > 1 else key: value
        for number, fit in enumerate(fits)
        for key, value in fit.metrics().items()
    }


def _share(network: Blocks, part: Part) -> float:
    """Share of the blocks that a part draws."""
    return len(part.sublattices) / sum(len(other.sublattices) for other in network.scheme)
