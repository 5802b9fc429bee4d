"""Square lattices that are refined: figures 4, 5, 7, 9 and 10 of Efthymiou, Beach and Melko (the paper)."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.inverse.reconstruction import Reconstruction, superresolve_between
from kadanoff.inverse.superresolve import Spins
from kadanoff.inverse.training import coarsened
from kadanoff.networks.superres import Superresolution
from kadanoff.project.figures import figure, points
from kadanoff.project.records import Recorder
from kadanoff.spins.exact import kaufman
from kadanoff.spins.rescaling import Collapse, collapse, inversion_error, invert_collapse
from kadanoff.spins.reweighting import ThermalSample
from kadanoff.studies.superres.distributions import draw_block_sums, draw_histograms
from kadanoff.studies.superres.thermal import Line, draw_thermal
from kadanoff.studies.superresolution import Data
from kadanoff.studies.superresolution_figures import TEMPERATURE, nearest

PAPER = (2.2010, 2.9313)  # temperatures of the paper's histograms
Curves = tuple[list[list[float]], list[list[float]]]


def draw_square(
    record: Recorder,
    model: Superresolution,
    data: Data,
    smaller: Ensemble,
    larger: Ensemble,
    tested: Sequence[Reconstruction],
    seed: int,
) -> None:
    """Figures of square lattices: the test, and Monte Carlo lattices refined beyond the trained size."""
    draw_block_sums(record, tested)
    lines = _tested_lines(tested)
    draw_thermal(record, "figure9_test_square", "test configurations, coarsened and refined", lines)
    panels = [[line[nearest(data.temperatures, wanted)] for line in lines.values()] for wanted in PAPER]
    draw_histograms(record, "figure10_histograms_test", list(lines), panels)
    _extrapolate(record, model, data, smaller, larger, seed)


def _tested_lines(tested: Sequence[Reconstruction]) -> dict[str, Line]:
    names = {"fine": "MC", "coarse": "coarsened", "drawn": "super-resolved"}
    return {
        f"{label} {getattr(tested[0], key).shape[-1]}": [
            ThermalSample.of(item.temperature, getattr(item, key)) for item in tested
        ]
        for key, label in names.items()
    }


def _extrapolate(
    record: Recorder, model: Superresolution, data: Data, smaller: Ensemble, larger: Ensemble, seed: int
) -> None:
    """Refine Monte Carlo lattices of the trained size, their temperature T~ rescaled to T by the collapse of curves."""
    places = range(len(data.temperatures))
    read: dict[str, Callable[[int], Spins]] = {
        "small": smaller.read,
        "coarse": lambda index: coarsened(data.fine.read(index), model.rule, model.block),
        "given": data.test,
        "large": larger.read,
    }
    lines = {key: [ThermalSample.of(data.temperatures[i], rows(i)) for i in places] for key, rows in read.items()}
    found = collapse(data.temperatures, _curves(lines["small"]), _curves(lines["coarse"]))
    restored = invert_collapse(data.temperatures, found, data.temperatures)
    _draw_collapse(record, found, lines["small"], lines["coarse"])
    draw = partial(superresolve_between, model, seed=seed)
    known = [i for i in places if np.isfinite(restored[i])]
    if not known:
        raise KadanoffError(
            "no temperature of the dataset can be rescaled: between no two of them do the curves of Monte Carlo and of "
            "decimated lattices collapse. Take more temperatures, above and below T_c."
        )
    uncertain = inversion_error(data.temperatures, found, data.temperatures)
    drawn = [ThermalSample.of(restored[i], draw(data.test(i), restored[i]), uncertain[i]) for i in known]
    low, high = (int(np.sqrt(line[0].sites)) for line in (lines["given"], drawn))
    named = {f"MC {high}": lines["large"], f"MC {low}": lines["given"], f"super-resolved {high}": drawn}
    draw_thermal(record, "figure4_extrapolated_square", f"Monte Carlo {low} refined to {high}, trained at {low}", named)
    panels = []
    for wanted in PAPER:
        place = nearest([item.temperature for item in drawn], wanted)
        target = lines["large"][nearest(data.temperatures, drawn[place].temperature)]
        panels.append([target, lines["given"][known[place]], drawn[place]])
    draw_histograms(record, "figure5_histograms_extrapolated", list(named), panels)
    record.metrics({"extrapolated": {f"T={item.temperature:.6g}": _deviation(item) for item in drawn}})


def _deviation(item: ThermalSample) -> dict[str, Estimate]:
    side = int(np.sqrt(item.sites))
    return {"energy_minus_exact": item.minus(item.mean_energy, lambda t: kaufman(side, side, t).energy)}


def _curves(line: Line) -> Curves:
    """<|m|> and <e>, values and errors, as `collapse` takes them."""
    rows = [[item.order for item in line], [item.mean_energy for item in line]]
    return [[point.mean for point in row] for row in rows], [[point.error for point in row] for row in rows]


def _draw_collapse(record: Recorder, found: Collapse, small: Line, coarse: Line) -> None:
    """Figure `collapse`: the map from T to T~ (paper, section IV), and the curves that it lays on each other."""
    temperatures = np.array([item.temperature for item in small])
    side = int(np.sqrt(small[0].sites))
    with figure(1, 3, figsize=(12, 3.6)) as (drawn, (left, middle, right)):
        left.plot(temperatures, temperatures, color="0.6", lw=1, label=r"$\tilde T = T$")
        left.errorbar(
            temperatures, found.rescaled, found.error, fmt="o", ms=3.5, color="C0", label="collapse of curves"
        )
        left.set(xlabel=TEMPERATURE, ylabel=r"$\tilde T$ ($|J|/k_B$)")
        for axis, key, name in (
            (middle, "order", r"$\langle|m|\rangle$"),
            (right, "mean_energy", "energy per site ($|J|$)"),
        ):
            points(axis, temperatures, [getattr(item, key) for item in small], color="C0", label=f"MC {side}")
            values = [getattr(item, key) for item in coarse]
            points(axis, temperatures, values, color="C1", mfc="white", label=f"coarsened to {side}, at $T$")
            points(axis, found.rescaled, values, color="C3", fmt="x", label=rf"coarsened to {side}, at $\tilde T$")
            axis.set(xlabel=TEMPERATURE, ylabel=name)
        for axis in (left, middle, right):
            axis.legend(fontsize=8)
        record.figure("collapse", drawn)
