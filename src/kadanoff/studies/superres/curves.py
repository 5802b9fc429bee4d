"""Averages over the temperature, of super-resolved lattices beside Monte Carlo and exact ones."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kadanoff.estimate import Estimate
from kadanoff.inverse.reconstruction import Reconstruction
from kadanoff.project.figures import figure, points, series
from kadanoff.project.records import Recorder
from kadanoff.spins.reweighting import ThermalSample, minus_reweighted
from kadanoff.studies.superresolution_figures import TEMPERATURE, nearest

GRID = 100  # points of an exact curve
LAST = series(1)  # the curve that is tested
Exact = Callable[[float], float]
Curve = list[ThermalSample]


LABELS = {
    "order": r"$\langle|m|\rangle$",
    "susceptibility": r"susceptibility $\chi$ ($1/|J|$)",
    "mean_energy": "energy per site ($|J|$)",
    "heat": "specific heat ($k_B$)",
}


def curves_of(tests: Sequence[Reconstruction], coarse: str) -> dict[str, Curve]:
    """Test configurations, what the rule leaves of them, and what is made of this again, by their names."""
    kinds = {"fine": "MC", "coarse": coarse, "drawn": "super-resolved"}
    return {
        f"{label} {getattr(tests[0], key).shape[-1]}": [
            ThermalSample.of(item.temperature, getattr(item, key)) for item in tests
        ]
        for key, label in kinds.items()
    }


def summarize(record: Recorder, off: Sequence[Estimate], small: int, large: int, shown: str) -> None:
    """Headline of refined lattices: their energies less the exact ones, at each temperature."""
    means, errors = np.array([[item.mean, item.error] for item in off]).T
    squares = {"energy_rms_off": (means**2).mean(), "energy_rms_error": (errors**2).mean()}
    record.metrics({name: float(np.sqrt(value)) for name, value in squares.items()})
    record.summary(
        f"Lattices of side {small} refined to {large}, by networks trained at {small}: over {len(off)} temperatures "
        "the energy per site is off the exact one by {energy_rms_off} (root mean square), with an error of "
        "{energy_rms_error}.",
        shown,
        energy_rms_off="energy_rms_off",
        energy_rms_error="energy_rms_error",
    )


def draw_thermal(
    record: Recorder, name: str, title: str, curves: dict[str, Curve], exact: Mapping[str, Exact | None], coldest: float
) -> None:
    """A figure of observables over T: `exact` has their exact values for lattices of the last curve, which is tested.

    The lower panels show it and Monte Carlo of its size less exact values, where there are some, or less Monte Carlo
    that is reweighted to the same temperature. The error of a temperature is a horizontal bar above, and is a part of
    the error of the difference below. Exact values, and specific heats, of which a flipped spin has 1/T^2, are shown
    from the temperature `coldest` on.
    """
    *_, last = curves.values()
    reference = next(curve for curve in curves.values() if curve[0].sites == last[0].sites)
    grid = np.linspace(coldest, max(item.temperature for curve in curves.values() for item in curve), GRID)
    figsize = (max(7, 0.8 + 2.3 * len(exact)), 5.2)
    with figure(2, len(exact), figsize=figsize, height_ratios=(2, 1), sharex=True) as (drawn, axes):
        for (top, bottom), (observable, known) in zip(axes.T, exact.items(), strict=True):
            if known is not None:
                top.plot(grid, [known(temperature) for temperature in grid], color="0.5", lw=1, label="exact")
            for kind, curve in curves.items():
                look = LAST if curve is last else series(0 if curve is reference else 2) | {"mfc": "white"}
                warm = [item for item in curve if item.temperature >= coldest]
                shown = warm if observable == "heat" else curve
                where, across = [item.temperature for item in shown], [item.uncertainty for item in shown]
                values = [getattr(item, observable) for item in shown]
                points(top, where, values, xerr=across if any(across) else None, label=kind, **look)
                if known is not None and curve[0].sites == last[0].sites:
                    off = [item.minus(getattr(item, observable), known) for item in warm]
                    points(bottom, [item.temperature for item in warm], off, **look)
            if known is None:
                measured = [item.temperature for item in reference]
                pairs = [(item, reference[nearest(measured, item.temperature)]) for item in last]
                off = [minus_reweighted(item, observable, truth) for item, truth in pairs]
                points(bottom, [item.temperature for item in last], off, **LAST)
            bottom.axhline(0, color="0.5", lw=0.8)
            bottom.set(xlabel=TEMPERATURE, ylabel=f"minus {'Monte Carlo' if known is None else 'exact'}")
            top.set(ylabel=LABELS[observable])
        handles = {
            label: item for axis in axes[0] for item, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        drawn.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles))
        drawn.suptitle(title)
        observables = ", ".join(observable.replace("_", " ") for observable in exact)
        record.figure(
            name, drawn, f"Over the temperature, {observables}: {title}. Below, less exact values or Monte Carlo"
        )
