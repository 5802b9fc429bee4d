"""The figures of `superres_compare`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kadanoff.project.figures import figure, show_spins
from kadanoff.project.records import Recorder
from kadanoff.studies.superres.compare_tables import ROUNDED, SAMPLED, SWEPT, TRUTH, Outcome

GROUP = 4  # neighbouring levels of the energy that are drawn as one
FEWEST = 20  # configurations expected in a group, for its ratio to be drawn
LOOKS = {TRUTH: ("k", "o"), SAMPLED: ("C3", "s"), ROUNDED: ("C1", "v"), SWEPT: ("C0", "^")}


def _shown(item: Outcome, kinds: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of Monte Carlo and of the first network of each kind."""
    found = {TRUTH: LOOKS[TRUTH]} if TRUTH in kinds else {}
    for kind in (kind for kind in kinds if kind != TRUTH):
        found |= {name: LOOKS[kind] for name in [name for name in item.energies if name.endswith(kind)][:1]}
    return found


def draw_energies(record: Recorder, outcomes: Sequence[Outcome]) -> None:
    """Figure `energies`: P(E) of the draws on the exact one, and below it their ratio."""
    size = (3.6 * len(outcomes), 4.8)
    with figure(2, len(outcomes), figsize=size, height_ratios=(3, 2), sharex="col", squeeze=False) as (drawn, axes):
        for item, (top, bottom) in zip(outcomes, axes.T, strict=True):
            centres, exact = _groups(item.exact.levels / item.sites, item.exact.probabilities)
            top.plot(centres, exact, color="0.6", label="exact (Kaufman)")
            bottom.axhline(1, color="0.6")
            for name, (colour, marker) in _shown(item, (TRUTH, SAMPLED, SWEPT)).items():
                counts = _groups(item.exact.levels, item.energies[name])[1]
                shares, bars = counts / counts.sum(), np.sqrt(counts) / counts.sum()
                look = {"fmt": marker, "ms": 3.5, "color": colour, "lw": 1, "mfc": "white" if name == TRUTH else None}
                seen = counts > 0
                top.errorbar(centres[seen], shares[seen], bars[seen], label=name, **look)
                kept = exact * counts.sum() >= FEWEST
                bottom.errorbar(centres[kept], shares[kept] / exact[kept], bars[kept] / exact[kept], **look)
            wide = exact * item.count >= 1
            top.set(title=f"T = {item.temperature:.4g}", xlim=(centres[wide][0] - 0.05, centres[wide][-1] + 0.15))
            bottom.set(xlabel="energy per site ($|J|$)", ylim=(0, 2))
        axes[0, 0].set_ylabel(f"probability of {GROUP} levels")
        axes[1, 0].set_ylabel("ratio to the exact one")
        axes[0, 0].legend(loc="upper right")
        record.figure(
            "energies", drawn, "Distribution of the energy: exact, Monte Carlo and networks, and ratios to exact"
        )


def _groups(levels: NDArray, values: NDArray) -> tuple[NDArray, NDArray]:
    """Mean level and sum of the values of every `GROUP` neighbouring levels."""
    starts = np.arange(0, len(levels), GROUP)
    return np.add.reduceat(levels, starts) / np.diff([*starts, len(levels)]), np.add.reduceat(values, starts)


def draw_block_sums(record: Recorder, outcomes: Sequence[Outcome]) -> None:
    """Figure `block_sums`: how many spins of a block are up."""
    with figure(1, len(outcomes), figsize=(3.6 * len(outcomes), 3.0), sharey=True, squeeze=False) as (drawn, axes):
        for item, axis in zip(outcomes, axes[0], strict=True):
            shown = _shown(item, (TRUTH, ROUNDED, SAMPLED, SWEPT))
            for place, (name, (colour, _)) in enumerate(shown.items()):
                shares, bars = item.sums[name]
                where = np.arange(len(shares)) + (place - (len(shown) - 1) / 2) * 0.8 / len(shown)
                axis.bar(where, shares, 0.8 / len(shown), yerr=bars, color=colour, label=name, alpha=0.8)
            axis.set(title=f"T = {item.temperature:.4g}", xlabel="spins up in a block", xticks=range(len(shares)))
            axis.set(yscale="log", ylim=(3e-3, 2))
        axes[0, 0].set_ylabel("share of the blocks")
        axes[0, -1].legend(ncols=2, loc="upper center", fontsize=8)
        record.figure("block_sums", drawn, "Share of blocks with each number of up spins: Monte Carlo and networks")


def draw_pictures(record: Recorder, outcomes: Sequence[Outcome]) -> None:
    """Figure `pictures`: a row for each temperature; the coarse lattice, the true one, and what draws make of it."""
    names = ["coarse", *_shown(outcomes[0], (TRUTH, SAMPLED, ROUNDED, SWEPT))]
    size = (1.8 * len(names), 1.95 * len(outcomes))
    with figure(len(outcomes), len(names), figsize=size, squeeze=False) as (drawn, axes):
        for row, (item, line) in enumerate(zip(outcomes, axes, strict=True)):
            for name, axis in zip(names, line, strict=True):
                show_spins(axis, item.pictures[name], "" if row else name)
            line[0].set_ylabel(f"T = {item.temperature:.4g}")
        record.figure("pictures", drawn, "A coarse lattice, the one it came from, and what networks draw from it")
