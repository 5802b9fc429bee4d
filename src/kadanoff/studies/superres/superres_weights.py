"""Stage `superres_weights`: lattices that are drawn with known probability, weighed, against Kaufman's ln Z and energy.

Seeds in equilibrium at T_c are doubled again and again, by the network of the other studies, calibrated as there, and
by networks of their own for each level, trained here on larger lattices. Every lattice has its weight: what the draws
are worth, and how far those of the other studies are from equilibrium, follows from these, without Monte Carlo.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from kadanoff.data.store import open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.inverse.calibration import calibrate
from kadanoff.inverse.critical import critical_index, critical_seeds, network_of
from kadanoff.inverse.superresolve import tables
from kadanoff.inverse.weights import WeightedSample, independence_chains, learn_levels, weighted_draws
from kadanoff.learning.parameters import TrainingParams
from kadanoff.learning.training import Settings
from kadanoff.networks.superres import Blocks
from kadanoff.project.figures import figure, points, series
from kadanoff.project.params import entry
from kadanoff.project.records import Recorder, recorded
from kadanoff.project.tables import frame_table, nested
from kadanoff.runtime.progress import progress
from kadanoff.spins.exact import T_C, critical_square, kaufman, log_partition
from kadanoff.spins.statistics import independent_mean
from kadanoff.validation import Name, Section, WeightsName

WORTH = 0.1  # share of the draws that shall count
KEYS = {"method": "method", "L": "L"}
WEIGHTS = {
    "variance": "var(ln w)",
    "variance_per_site": "per site",
    "effective_share": "effective share",
    "relative_entropy": "relative entropy per site",
    "log_partition": "ln Z / L^2 - exact",
    "acceptance": "accepted",
}
AVERAGES = {
    "energy_drawn": "e as drawn - exact",
    "energy": "e weighed - exact",
    "energy_chain": "e of chains - exact",
    "order": "<abs(m)>",
    "susceptibility": "susceptibility",
    "square": "<m^2> / exact - 1",
}
NOTE = """Methods: `one` network, again and again, calibrated as in the other studies, and a network for `each` level.

`effective share` is <w>^2 / <w^2>, the effective sample size as a share of the draws. `relative entropy` is
<ln q - ln p> per site of the draws as they are. Times L^2 it bounds what any observable tells of them: no event's
probability is off by more than the square root of half of it. Weighed averages and Metropolis-Hastings chains have no
bias, however wrong the draws. `accepted` is the share of proposals, whole lattices, that chains accept; of their
energy the first halves are left out. <m^2> is known exactly up to 0.002%. Where var(ln w) is above 5 or so, averages
are those of a few lattices, and errors too small.
"""


class Weights(Section):
    """The section `superres_weights`: `dataset` holds the seeds, `train` the lattices of which each level learns."""

    model: WeightsName
    dataset: Name
    train: Name
    sizes: list[int] = Field(min_length=2)
    draws: int = Field(ge=1000)
    chains: int = Field(ge=8, le=100)
    width: int = Field(gt=0)
    training: TrainingParams


def superres_weights(root: Path) -> None:
    """Weigh super-resolved critical lattices by their known probability: ln Z, averages, effective sample size.

    Raises
    ------
    KadanoffError
        If a parameter breaks its rule, weights or data are missing or not critical, or the sizes are not theirs.
    """
    params = entry(root, Weights, "superres_weights")
    weights = root / "models" / f"{params.model}.safetensors"
    network, block = network_of(weights, "superres_weights.model", params.model, Blocks)
    if block != 2:
        raise KadanoffError(f"superres_weights.model is {params.model}, with blocks of {block}; take one that doubles.")
    paths = [root / "data" / "superres" / f"{name}.zarr" for name in (params.dataset, params.train)]
    lattices, _ = critical_seeds(paths[0], "superres_weights", params.dataset, "draws", params.draws)
    seeds, larger, temperature = np.stack(lattices), open_dataset(paths[1]), float(T_C)
    doublings = _doublings(params.sizes, seeds.shape[-1])
    fine = larger.read(critical_index(f"superres_weights.train is {params.train}, which", larger))
    seed, settings = params.training.seed, Settings(**params.training.model_dump(), threads=1)
    with (
        recorded("superres_weights", parameters=params.model_dump(), inputs=[weights, *paths]) as record,
        progress("superres_weights", 2 * len(params.sizes) + max(doublings)) as advance,
    ):
        one = tables(network, calibrate(network, seeds, temperature, seed).sharpness.mean)
        levels = learn_levels(fine, max(doublings), temperature, settings, params.width)
        advance(len(levels))
        rows = []
        for method in ("one", "each"):
            for count in doublings:
                schemes = [one] * count if method == "one" else levels[-count:]
                sample = weighted_draws(seeds, schemes, temperature, seed)
                rows.append({"method": method, "L": sample.size} | _measured(sample, params.chains, seed))
                advance(1)
        _record(record, pd.DataFrame(rows))


def _doublings(sizes: list[int], side: int) -> list[int]:
    """How often the seeds are doubled for each size."""
    found = [(size // side).bit_length() - 1 for size in sizes]
    if sizes != sorted({side << count for count in found if count > 0}):
        raise KadanoffError(
            f"superres_weights.sizes is {sizes}; the seeds are {side} x {side} and are doubled, so take {side} times "
            f"powers of 2, {2 * side}, {4 * side}, {8 * side}, ..., each once, in ascending order."
        )
    return found


def _measured(sample: WeightedSample, chains: int, seed: int) -> dict[str, Estimate]:
    """What stands in the tables of lattices of one size."""
    sites, size = sample.size**2, sample.size
    exact = kaufman(size, size, sample.temperature).energy
    steps = len(sample.energy) // chains
    states = independence_chains(sample.log_weights[: chains * steps].reshape(chains, steps), seed)
    energies = np.take_along_axis(sample.energy[: chains * steps].reshape(chains, steps), states, 1)
    return {
        "variance": sample.variance,
        "variance_per_site": sample.variance / sites,
        "effective_share": sample.effective_share,
        "relative_entropy": sample.relative_entropy,
        "log_partition": sample.log_partition - log_partition(size, size, sample.temperature) / sites,
        "acceptance": independent_mean((np.diff(states, axis=1) > 0).mean(1)),
        "energy_drawn": independent_mean(sample.energy) - exact,
        "energy": sample.average(sample.energy) - exact,
        "energy_chain": independent_mean(energies[:, steps // 2 :].mean(1)) - exact,
        "order": sample.average(np.abs(sample.magnetization)),
        "susceptibility": sample.susceptibility,
        "square": sample.average(sample.magnetization**2) / critical_square(size) - 1,
    }


def law(frame: pd.DataFrame) -> tuple[Estimate, Estimate]:
    """Slope a and constant b of var(ln w) = a L^2 + b, by least squares, from the rows of one method."""
    values = [(value.mean, value.error) for value in frame.variance]
    means, errors = np.array(values).T
    found, covariance = np.polyfit(np.array(frame.L) ** 2.0, means, 1, w=1 / errors, cov="unscaled")
    slope, constant = map(Estimate, found.tolist(), np.sqrt(np.diag(covariance)).tolist())
    return slope, constant


def _record(record: Recorder, frame: pd.DataFrame) -> None:
    """Put metrics, the table of what is compared, words and the figure into the record."""
    laws = {str(method): law(rows) for method, rows in frame.groupby("method", sort=False)}
    found = {method: {"slope": slope, "constant": constant} for method, (slope, constant) in laws.items()}
    largest = int(frame.L.max())
    by_size = nested(frame.assign(L=[f"L={size}" for size in frame.L]), ["method", "L"])
    record.metrics({method: found[method] | by_size[method] for method in laws})
    slope, constant = laws["each"]
    reach = float(np.sqrt(max(0.0, np.log(1 / WORTH) - constant.mean) / slope.mean))
    sentence = (
        f"At T_c and L = {largest}, {{effective_share}} of the draws count with a network for each level, "
        "{effective_share_one} with one for all, and ln Z per site differs from Kaufman's by {log_partition}. "
        f"var(ln w) = {slope} L^2 + {constant}, so that a share of {WORTH:g} counts up to L = {reach:.0f} or so."
    )
    places = {name: f"each/L={largest}/{name}" for name in ("effective_share", "log_partition", "relative_entropy")}
    one = f"one/L={largest}/effective_share"
    record.summary(sentence, "weights", **places, effective_share_one=one, slope="each/slope")
    record.comparison(
        frame, ["method", "L"], ["effective_share", "relative_entropy", "log_partition", "acceptance", "energy"]
    )
    texts = [frame_table("Weights", frame, KEYS | WEIGHTS), frame_table("Averages", frame, KEYS | AVERAGES)]
    record.text("tables.md", "\n".join([*texts, "## In words\n", NOTE]))
    _draw(record, frame, laws)


def _draw(record: Recorder, frame: pd.DataFrame, laws: dict[str, tuple[Estimate, Estimate]]) -> None:
    """Figure `weights`: var(ln w), effective share and ln Z over the size."""
    labels = {"one": "one network for all levels", "each": "a network for each level"}
    with figure(1, 3, figsize=(10, 3.6)) as (drawn, axes):
        for number, (method, rows) in enumerate(frame.groupby("method", sort=False)):
            sizes, look = np.array(rows.L, float), series(number)
            grid, (slope, constant) = np.geomspace(sizes[0], sizes[-1], 50), laws[str(method)]
            fitted = slope.mean * grid**2 + constant.mean
            axes[0].plot(grid, fitted, color=look["color"], lw=1)
            axes[1].plot(grid, np.exp(-fitted), color=look["color"], lw=1)
            for axis, name, scale in zip(
                axes, ("variance", "effective_share", "log_partition"), (1, 1, 1e5), strict=True
            ):
                points(
                    axis,
                    sizes * 1.03 ** (2 * number - 1),
                    rows[name].tolist(),
                    scale,
                    label=labels[str(method)],
                    **look,
                )
        axes[0].set(yscale="log", ylabel=r"var$(\ln w)$", title=r"lines: $a L^2 + b$")
        axes[1].set(ylim=(0, 1), ylabel="effective share of the draws", title=r"lines: $e^{-(a L^2 + b)}$")
        axes[2].axhspan(-1, 1, color="0.88")
        axes[2].axhline(0, color="0.5", lw=0.8)
        axes[2].set(ylabel=r"$10^5\,(\ln Z / L^2 -$ exact$)$", title="shaded: the target")
        for axis in axes:
            axis.set(xscale="log", xlabel="lattice size $L$")
            axis.set_xticks(sizes, [f"{size:.0f}" for size in sizes])
            axis.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        axes[0].legend()
        caption = (
            "Variance of the logarithmic weights, effective sample size, and ln Z less Kaufman's, over lattice size"
        )
        record.figure("weights", drawn, caption)
