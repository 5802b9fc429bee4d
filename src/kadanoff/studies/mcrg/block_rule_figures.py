"""The figures of the stage `block_rule`: weights on the block's sites, and means by the block's sum."""

import numpy as np

from kadanoff.project.figures import figure
from kadanoff.project.records import Recorder
from kadanoff.renormalization.learned import Weights, orbit
from kadanoff.renormalization.rules import Spins
from kadanoff.spins.observables import block_sums

COLUMNS = 8


def draw_weights(record: Recorder, weights: Weights) -> None:
    """Figure `weights`: a panel for each term, its sites on the block (square) and its ring."""
    side, rows = weights.block + 2, -(-len(weights.values) // COLUMNS)
    largest = max(map(abs, weights.values.values()))
    with figure(rows, COLUMNS, figsize=(9, 1.7 * rows), squeeze=False) as (drawn, axes):
        for axis in axes.flat[len(weights.values) :]:
            axis.set_visible(False)
        for axis, (term, value) in zip(axes.flat, weights.values.items(), strict=False):
            shown = np.full((side, side), np.nan)
            for y, x in orbit(term, weights.block)[0]:
                shown[y, x] = value
            image = axis.imshow(shown, cmap="RdBu_r", vmin=-largest, vmax=largest)
            edge = np.array([0.5, side - 1.5])
            axis.plot(edge[[0, 1, 1, 0, 0]], edge[[0, 0, 1, 1, 0]], color="0.3", lw=1)
            axis.set(xticks=[], yticks=[], title=f"{value:.3f}")
            axis.spines[:].set(visible=True, color="0.8")
        drawn.colorbar(image, ax=axes, shrink=0.8, label="weight")
        record.figure("weights", drawn, "Weight of each term; one of its images, on the block (outlined) and its ring")


def draw_means(record: Recorder, spins: Spins, weights: Weights) -> None:
    """Figure `means`: <s'> by the block's sum on critical lattices, beside majority's."""
    total, mean = block_sums(spins, weights.block).ravel(), weights.mean(spins).ravel()
    values = np.unique(total)
    with figure(figsize=(5, 3.4)) as (drawn, axis):
        violins = axis.violinplot([mean[total == value] for value in values], values, widths=1.6, showextrema=False)
        (majority,) = axis.plot(values, np.sign(values), "k_", ms=16)
        axis.set(xlabel="sum of the block's spins", ylabel=r"$\langle s' \rangle$", xticks=values)
        axis.legend([violins["bodies"][0], majority], ["learned", "majority"], loc="lower right")
        caption = "Mean block spin by the block's sum on critical lattices: its spread is what the ring decides"
        record.figure("means", drawn, caption)
