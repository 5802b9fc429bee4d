"""How soon chains at T_c are in equilibrium: figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import FixedLocator
from numpy.typing import NDArray

from kadanoff.inverse.thermalization import Thermalization, deviations, start_and_sampler
from kadanoff.project.figures import figure
from kadanoff.project.records import Recorder

STARTS = {"superres": "super-resolved", "grown": "grown", "hot": "random spins", "cold": "all spins up"}
SAMPLER_NAMES = {"metropolis": "Metropolis", "swendsen_wang": "Swendsen-Wang"}
LABELS = (r"energy $e$", r"$\langle m^2 \rangle$", r"$G(L/4)$")
COLOURS = {"superres": "C0", "grown": "C0", "hot": "C3", "cold": "C2"}


def run_title(name: str) -> str:
    """A run in words."""
    start, sampler = start_and_sampler(name)
    return f"{STARTS[start]}, {SAMPLER_NAMES[sampler]}"


def _look(name: str) -> dict[str, Any]:
    start, sampler = start_and_sampler(name)
    shape = {"marker": "o", "ls": "-"} if sampler == "metropolis" else {"marker": "s", "ls": "--", "mfc": "white"}
    return {"color": COLOURS[start], "ms": 4, "lw": 1, "label": run_title(name), **shape}


def draw_relaxation(record: Recorder, result: Thermalization) -> None:
    """Figure `relaxation`: relative deviation from equilibrium over the sweeps; shaded: what counts as equilibrium."""
    chains = next(iter(result.runs.values())).values.shape[2]
    with figure(1, 3, figsize=(11.5, 4.4)) as (drawn, axes):
        for number, axis in enumerate(axes):
            value = result.equilibrium.values[number]
            band = 100 * result.equilibrium.band(number, chains) / abs(value.mean)
            axis.axhspan(-band, band, color="0.88", label=r"equilibrium, $\pm 3$ errors")
            axis.axhline(0, color="0.5", lw=0.8)
            for name, run in result.runs.items():
                points = deviations(run, number, value)
                means, errors = [point.mean for point in points], [point.error for point in points]
                axis.errorbar(np.array(run.counts) + 1, means, errors, **_look(name))
            axis.set_yscale("symlog", linthresh=band)
            tens = [10.0**power for power in range(-3, 4) if 10.0**power > band / 2]
            axis.yaxis.set_major_locator(FixedLocator([0, *tens, *(-ten for ten in tens)]))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.set(xscale="log", xlabel="sweeps + 1", title=LABELS[number])
        axes[0].set_ylabel("deviation from equilibrium (%)")
        drawn.suptitle(f"$L$ = {result.size}, $T_c$, {chains} chains", fontsize=10)
        handles, labels = axes[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=4)
        record.figure("relaxation", drawn)


def draw_times(record: Recorder, results: Sequence[Thermalization]) -> None:
    """Figure `times`: sweeps and CPU seconds to equilibrium against the size.

    Bars go down to the measured count before, at which it was not reached yet; arrows mark lower limits.
    """
    sizes = [result.size for result in results]
    with figure(1, 2, figsize=(9.5, 4.6)) as (drawn, axes):
        for number, name in enumerate(results[0].runs):
            shifted = np.array(sizes) * 1.025 ** (number - 2.5)  # so that equal values do not hide each other
            enough = [result.sweeps(name)[1] for result in results]
            for axis, values in zip(axes, _reached(results, name), strict=True):
                lowest = values[0] - values[1]
                axis.errorbar(shifted, values[1], [np.where(enough, -lowest, 0), 0 * lowest], **_look(name))
                for x, y, known in zip(shifted, values[1], enough, strict=True):
                    if not known:
                        up = {"arrowstyle": "->", "color": COLOURS[start_and_sampler(name)[0]]}
                        axis.annotate("", (x, 2 * y), (x, y), arrowprops=up)
        labels = "sweeps to equilibrium + 1", "CPU seconds a lattice to equilibrium"
        for axis, label in zip(axes, labels, strict=True):
            axis.set(xscale="log", yscale="log", xlabel="lattice size $L$", ylabel=label)
            axis.set_xticks(sizes, list(map(str, sizes)))
            axis.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
            axis.set_ylim(top=2 * axis.get_ylim()[1])  # room for the arrows
        drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        record.figure("times", drawn)


def _reached(results: Sequence[Thermalization], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sweeps + 1 and seconds, (2, size): at the count before equilibrium was reached, and at the one that did."""
    counts, seconds = [], []
    for result in results:
        run, index = result.runs[name], result.runs[name].counts.index(result.sweeps(name)[0])
        chosen = [max(0, index - 1), index]
        counts.append([run.counts[place] + 1.0 for place in chosen])
        seconds.append(run.seconds[chosen])
    return np.array(counts).T, np.array(seconds).T
