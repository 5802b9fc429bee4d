"""Tables and figures of the stage `attention`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kadanoff.estimate import Estimate
from kadanoff.phases.attention import Correlation
from kadanoff.phases.microstates import Images
from kadanoff.phases.regions import REGIONS
from kadanoff.project.figures import figure, show_spins
from kadanoff.project.records import Recorder
from kadanoff.project.tables import Cell, table
from kadanoff.spins.exact import T_C
from kadanoff.spins.statistics import independent_mean, jackknife

BINS = 12  # of patches by their energy, as many in each
COLOURS = ("C0", "C9", "C3", "C1")  # of regions
SURE = 3.0  # standard errors
WEAK = 0.1  # a correlation that explains 1% of the variance
WHAT = {"energy": "local energy", "walls": "domain walls", "walls_at_equal_energy": "domain walls at equal energy"}
WORDS = {
    "energy": ("higher", "lower", "energy"),
    "walls": ("more", "fewer", "domain walls"),
    "walls_at_equal_energy": ("more", "fewer", "domain walls than others of their energy"),
}
NOTE = """r is Pearson's correlation, and rho Spearman's, over the patches of one configuration between the attention
rollout and a local quantity: the mean energy of its sites (half of each bond), or the part of them that lie on a wall
between domains of at least 5% of the lattice. Means over configurations, which are independent chains, with standard
errors. `other configurations` pairs attention with the local maps of all others, which keeps what all have in common by
position; `permuted patches` mixes the patches of each, and its error is the scatter of one such control. `excess` is r
less that of other configurations, by the jackknife. `as large by chance` counts random pairings with others whose mean
r is as large in modulus. Left out are configurations in which a map is uniform: those of one domain have no walls.
`less position` subtracts the mean attention map first. `at equal energy` is what a straight line in the energy, fitted
in each configuration, leaves of the walls.
"""


@dataclass(frozen=True)
class AttentionMaps:
    """Test images with their maps (n, rows, columns), and correlations of attention by the local quantity."""

    name: str
    images: Images
    attention: NDArray[np.float32]
    energy: NDArray[np.float64]
    walls: NDArray[np.float64]
    raw: dict[str, Correlation]
    less_position: dict[str, Correlation]

    def contrast(self) -> Estimate:
        """Standard deviation over the patches of a configuration, relative to the mean."""
        return independent_mean(self.attention.std((1, 2), dtype=np.float64) * self.attention[0].size)

    def position(self) -> Estimate:
        """Part of the variance over patches that the mean map has."""
        return jackknife(_shared, self.attention.astype(float))

    def metrics(self) -> dict[str, Any]:
        """All numbers, by local quantity."""
        found: dict[str, Any] = {
            name: _numbers(item) | {"less_position": _numbers(self.less_position[name])}
            for name, item in self.raw.items()
        }
        return found | {"images": len(self.images), "contrast": self.contrast(), "position_share": self.position()}


def _shared(maps: NDArray[np.float64]) -> float:
    """Unbiased by the scatter of the mean: products of two different maps."""
    flat = maps.reshape(len(maps), -1)
    moved = flat - flat.mean(1, keepdims=True)
    own, total = (moved**2).sum(), (moved.sum(0) ** 2).sum()
    return float((total - own) / ((len(maps) - 1) * own)) if own > 0 else 0.0


def _numbers(item: Correlation) -> dict[str, Any]:
    names = ("pearson", "spearman", "others", "permuted", "excess", "exceeded", "left_out")
    return {name: getattr(item, name) for name in names}


def answer(name: str, item: Correlation) -> str:
    """What was measured of one local quantity, in a sentence."""
    numbers = f"r = {item.pearson}, other configurations {item.others}, permuted patches {item.permuted}"
    more, less, what = WORDS[name]
    if not abs(item.excess.sigmas(0)) >= SURE:
        return f"Attention prefers patches with neither {more} nor {less} {what}: {numbers}."
    how = "slightly prefers" if abs(item.excess.mean) < WEAK else "prefers"
    return f"Attention {how} patches with {more if item.excess.mean > 0 else less} {what}: {numbers}."


def tables(found: AttentionMaps) -> str:
    """The answers, then the numbers that they come from."""
    controls = ["other configurations", "permuted patches", "excess", "as large by chance"]
    rows = [
        row
        for name, what in WHAT.items()
        for row in (_row(what, found.raw[name]), _row(f"{what}, less position", found.less_position[name]))
    ]
    low, high = found.images.temperatures.min(), found.images.temperatures.max()
    title = f"What {found.name} attends to: {len(found.images)} test images, T = {low:g} to {high:g}"
    shape = " x ".join(map(str, found.attention.shape[1:]))
    maps = (
        f"Over the {shape} patches of an image attention varies by {_percent(found.contrast())} of its mean; "
        f"{_percent(found.position())} of that variance is in the mean map, that is in position."
    )
    answers = "\n".join(f"* {answer(name, item)}" for name, item in found.raw.items())
    regions = table("r by region", ["region", "images", *WHAT.values()], _by_region(found))
    numbers = table(title, ["", "images", "left out", "r", "rho", *controls], rows)
    return "\n".join([answers, "", numbers, maps, "", NOTE, regions])


def _percent(value: Estimate) -> str:
    return f"{Estimate(100 * value.mean, 100 * value.error)}%"


def _row(what: str, item: Correlation) -> list[Cell]:
    chance = f"{item.exceeded} of {item.shuffles}"
    kinds = (item.pearson, item.spearman, item.others, item.permuted, item.excess)
    return [
        what,
        len(item.each),
        item.left_out,
        *map(str, kinds),
        chance,
    ]  # powers of ten would hide how small they are


def _by_region(found: AttentionMaps) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for number in np.unique(found.images.labels):
        each = [item.each[found.images.labels[item.used] == number] for item in found.raw.values()]
        cells = [independent_mean(values) if len(values) > 1 else None for values in each]
        rows.append([REGIONS[number], int((found.images.labels == number).sum()), *cells])
    return rows


def draw_rollout(record: Recorder, found: AttentionMaps) -> None:
    """Figure `rollout`: configurations below, at and above T_c, and their maps."""
    temperatures = found.images.temperatures
    low, high = temperatures.min(), temperatures.max()
    middle = min(max(T_C, low), high)
    wanted = [low, (low + middle) / 2, middle, (middle + high) / 2, high]
    places = list(dict.fromkeys(int(np.abs(temperatures - value).argmin()) for value in wanted))
    maps = _maps(found, places)
    with figure(1 + len(maps), len(places), figsize=(2 * len(places) + 1.1, 9), squeeze=False) as (drawn, axes):
        for axis, place in zip(axes[0], places, strict=True):
            show_spins(axis, found.images.spins[place], f"T = {temperatures[place]:.3g}")
        for axis, title in zip(axes[:, 0], ("spins", "local energy", "domain walls", "attention"), strict=True):
            axis.set_ylabel(title)
        for line, (label, name, values, look) in zip(axes[1:], maps, strict=True):
            for axis, part, place in zip(line, values, places, strict=True):
                image = axis.imshow(part, **look)
                axis.set(xticks=[], yticks=[], xlabel=_own(found.raw[name], place) if name else "")
                axis.spines[:].set_visible(False)
            more = "max" if values.max() > look["vmax"] else "neither"
            drawn.colorbar(image, ax=line, label=label, fraction=0.03, pad=0.01, aspect=14, extend=more)
        record.figure(
            "rollout", drawn, "Configurations below, at and above T_c: local energy, domain walls, attention rollout"
        )


def _own(item: Correlation, place: int) -> str:
    """The correlation of one configuration with its attention."""
    return f"r = {item.each[item.used[:place].sum()]:.2f}" if item.used[place] else "uniform"


def _maps(found: AttentionMaps, places: list[int]) -> list[tuple[str, str, NDArray, dict[str, Any]]]:
    """Label of its colours, what it is correlated with attention as, maps, and look of each line."""
    energy, walls, relative = found.energy[places], found.walls[places], _relative(found)[places]
    few = float(np.quantile(relative, 0.99))  # single patches may have most of all attention
    return [
        ("energy per site ($J$)", "energy", energy, {"cmap": "magma", "vmin": -2, "vmax": max(energy.max(), -1.99)}),
        ("share of sites on walls", "walls", walls, {"cmap": "magma", "vmin": 0, "vmax": max(walls.max(), 1e-6)}),
        ("attention / mean", "", relative, {"cmap": "viridis", "vmin": relative.min(), "vmax": few}),
    ]


def _relative(found: AttentionMaps) -> NDArray[np.float32]:
    return found.attention * found.attention[0].size


def draw_attention(record: Recorder, found: AttentionMaps) -> None:
    """Figure `attention`: its mean over local energies and walls, and correlations beside those of the control."""
    with figure(1, 3, figsize=(13.2, 4)) as (drawn, axes):
        labels = found.images.labels
        for number in np.unique(labels):
            look: dict[str, Any] = {
                "color": COLOURS[number],
                "label": f"{REGIONS[number]}, {(labels == number).sum()} images",
            }
            for axis, name in zip(axes[:2], ("energy", "walls"), strict=True):
                here = (labels == number) & found.raw[name].used
                _binned(axis, getattr(found, name)[here], _relative(found)[here], look)
        names = ("mean energy per site of a patch ($J$)", "share of a patch's sites on walls")
        for axis, label in zip(axes, names, strict=False):
            axis.axhline(1, color="0.6", lw=0.8, ls=":")
            axis.set(xlabel=label, ylabel="attention / mean of the configuration")
        axes[1].set_title("configurations with walls only")
        axes[0].legend()
        _histograms(axes[2], found.raw["energy"])
        record.figure(
            "attention", drawn, "Attention over local energy and domain walls, and its correlation with controls"
        )


def _binned(axis: Any, local: NDArray, relative: NDArray, look: dict[str, Any]) -> None:
    """Means over the patches of a bin in each configuration, then over all that have some, with their error."""
    if not len(local):
        return
    edges = np.unique(np.quantile(local, np.linspace(0, 1, BINS + 1)))
    bins = np.clip(np.searchsorted(edges, local, side="right") - 1, 0, max(len(edges) - 2, 0))
    points = []
    for number in range(max(len(edges) - 1, 1)):
        inside = bins == number
        some = inside.any((1, 2))
        if some.sum() > 1:
            means = [(values * inside).sum((1, 2))[some] / inside.sum((1, 2))[some] for values in (local, relative)]
            points.append((float(means[0].mean()), independent_mean(means[1])))
    where, values = zip(*points, strict=True) if points else ((), ())
    bars = [item.error for item in values]
    axis.errorbar(where, [item.mean for item in values], bars, fmt="o-", ms=3.5, lw=1, capsize=1.5, **look)


def _histograms(axis: Any, item: Correlation) -> None:
    """Of configurations, and of their attention with the energies of others."""
    others = item.pairs[~np.eye(len(item.pairs), dtype=bool)]
    low, high = min(item.each.min(), others.min()), max(item.each.max(), others.max())
    edges = np.linspace(low, high, 31)
    axis.hist(others, edges, density=True, color="0.75", label="other configurations")
    axis.hist(item.each, edges, density=True, histtype="step", color="C0", lw=1.5, label="same configuration")
    for value, colour in ((item.others, "0.4"), (item.pearson, "C0")):
        axis.axvline(value.mean, color=colour, lw=1, ls="--", ymax=0.8)  # below the legend
    axis.set(xlabel="r of attention and local energy", ylabel="density of configurations")
    axis.set_ylim(top=1.25 * axis.get_ylim()[1])
    axis.legend(loc="upper left")
