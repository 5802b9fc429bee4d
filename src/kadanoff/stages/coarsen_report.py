"""How `coarsen_compare` shows what it found: tables and figures."""

from typing import Any

import numpy as np

from kadanoff.lab.figures import draw_predictions, figure
from kadanoff.lab.records import Recorder
from kadanoff.lab.store import Ensemble
from kadanoff.lab.tables import Cell, table
from kadanoff.learning.coarse import Coarsener
from kadanoff.learning.data import CoarseTask
from kadanoff.learning.metrics import spatial_correlation
from kadanoff.spins.exact import spontaneous_magnetization
from kadanoff.spins.statistics import Estimate
from kadanoff.stages.literature import REPORT, per_site

Critical = dict[str, dict[str, tuple[Estimate, list[Estimate]] | None]]
REPORTED = {"report: cnn": "cnn", "report: mlp": "mlp"}


def tables(tested: dict[str, Any], coarseners: dict[str, Coarsener], critical: Critical, sides: dict[str, int]) -> str:
    """The study's tables as Markdown, the report's numbers in rows of their own."""
    names = [name for name, item in coarseners.items() if item.block == 2]
    others = [name for name, item in coarseners.items() if item.block != 2]
    return "\n".join(
        [
            "# Coarse-graining: networks, fixed rules, and the report\n",
            _site_table(tested, coarseners, names),
            _sum_table(tested, names),
            _physics_table(tested, names),
            _block_table(tested, coarseners, others),
            _critical_table("Mean squared error per site at T_c", critical, sides, 0),
            _critical_table(
                "Energy kept at T_c: G(1) of the prediction over that of the block average", critical, sides, 1
            ),
            _critical_table("Correlation kept at T_c at half of the coarse lattice", critical, sides, -1),
        ]
    )


def _site_table(tested: dict[str, Any], coarseners: dict[str, Coarsener], names: list[str]) -> str:
    rows: list[list[Cell]] = [
        [name, coarseners[name].parameters or None, *(tested[name][key] for key in ("mse", "mae", "rmse"))]
        for name in names
    ]
    for label, name in REPORTED.items():
        numbers = per_site(name)
        rows.append([label, int(REPORT[name]["parameters"]), *(numbers[key] for key in ("mse", "mae", "rmse"))])
    return table("Error per site on the test configurations, block 2", ["", "parameters", "MSE", "MAE", "RMSE"], rows)


def _sum_table(tested: dict[str, Any], names: list[str]) -> str:
    keys = ("mse_sum", "mae_sum", "rmse_sum")
    rows: list[list[Cell]] = [[name, *(tested[name][key] for key in keys)] for name in names]
    rows += [[label, *(REPORT[name][key] for key in keys)] for label, name in REPORTED.items()]
    title = "Sums over the 64 sites of a coarse configuration: what the report calls MSE, MAE and RMSE"
    return table(title, ["", "sum of squares", "sum of magnitudes", "root of the sum of squares"], rows)


def _physics_table(tested: dict[str, Any], names: list[str]) -> str:
    columns = ["", "magnetization RMSE", "spatial correlation", "sd", "minimum", "maximum", "without one"]
    rows: list[list[Cell]] = []
    for name in names:
        found = tested[name]["spatial_correlation"]
        mean = Estimate(found["mean"], found["error"]) if "mean" in found else None
        spread = [found.get(key) for key in ("sd", "minimum", "maximum")]
        rows.append([name, tested[name]["magnetization_rmse"], mean, *spread, found["undefined"]])
    rows.append(
        [
            "report: cnn",
            REPORT["cnn"]["magnetization_rmse"],
            REPORT["cnn"]["spatial_correlation"],
            0.000229,
            0.9965,
            1.0,
            None,
        ]
    )
    return table("Physics kept on the test configurations, block 2", columns, rows)


def _block_table(tested: dict[str, Any], coarseners: dict[str, Coarsener], names: list[str]) -> str:
    rows: list[list[Cell]] = [
        [name, coarseners[name].block, *(tested[name][key] for key in ("mse", "mae", "rmse"))] for name in names
    ]
    return table("Other blocks: error per site on their test configurations", ["", "block", "MSE", "MAE", "RMSE"], rows)


def _critical_table(title: str, critical: Critical, sides: dict[str, int], index: int) -> str:
    """One column a lattice size; index 0 is the error, others the distance at which correlations are compared."""
    rows: list[list[Cell]] = []
    for name in next(iter(critical.values())):
        points = [found[name] for found in critical.values()]
        rows.append([name, *(None if p is None else p[0] if index == 0 else p[1][index] for p in points)])
    return table(title, ["", *(f"L = {sides[dataset]}" for dataset in critical)], rows)


def draw_gallery(record: Recorder, ensemble: Ensemble, coarseners: dict[str, Coarsener]) -> None:
    """Figure `predictions`: configurations in order, near T_c and in disorder, and what each network makes of them."""
    networks = {name: item for name, item in coarseners.items() if not name.startswith("rule")}
    wanted = [0, int(np.abs(ensemble.temperatures - 2.5).argmin()), len(ensemble.temperatures) - 1]
    spins = np.concatenate([ensemble.read(index, slice(0, 1)) for index in wanted])
    target = coarseners["rule: average"].apply(spins)
    draw_predictions(record, spins, target, {name: item.apply(spins) for name, item in networks.items()})


def draw_magnetization(record: Recorder, ensemble: Ensemble, coarseners: dict[str, Coarsener]) -> None:
    """Figure `magnetization`: <|m|> of the spins and of the coarse configurations, with Yang's exact curve."""
    grid = np.linspace(ensemble.temperatures[0], ensemble.temperatures[-1], 400)
    count = np.sqrt(ensemble.spins.shape[1])
    with figure(figsize=(6, 4)) as (drawn, axis):
        axis.plot(grid, spontaneous_magnetization(grid), color="0.6", label="exact, infinite lattice (Yang)")
        fine = np.abs(ensemble.magnetization)
        axis.errorbar(
            ensemble.temperatures, fine.mean(1), fine.std(1) / count, fmt="ks", ms=7, mfc="white", label="spins"
        )
        for name in ("cnn", "mlp", "exact", "rule: majority"):
            if name not in coarseners:
                continue
            coarse = [coarseners[name].apply(ensemble.read(index)) for index in range(len(ensemble.temperatures))]
            order = np.abs([block.mean((1, 2)) for block in coarse])
            axis.errorbar(ensemble.temperatures, order.mean(1), order.std(1) / count, fmt=".", ms=6, label=name)
        axis.set(xlabel=r"temperature $T$ ($|J|/k_B$)", ylabel=r"$\langle|m|\rangle$ per site", ylim=(-0.03, 1.05))
        axis.legend()
        record.figure("magnetization", drawn)


def draw_physics(record: Recorder, task: CoarseTask, coarseners: dict[str, Coarsener]) -> None:
    """Figure `physics`: magnetization, error and spatial correlation of `cnn` and `mlp` on the test configurations."""
    rows = task.split.test
    with figure(1, 3, figsize=(11, 3.5)) as (drawn, (scatter, histogram, correlation)):
        for colour, name in enumerate(name for name in ("cnn", "mlp") if name in coarseners):
            prediction, target = coarseners[name].apply(task.spins[rows]), task.target[rows]
            look = {"color": f"C{colour}", "label": name}
            scatter.plot(target.mean((1, 2)), prediction.mean((1, 2)), ".", ms=4, **look)
            histogram.hist(
                (prediction - target).ravel(), bins=np.linspace(-1, 1, 81), histtype="step", density=True, **look
            )
            found = spatial_correlation(prediction, target)
            correlation.hist(found[~np.isnan(found)], bins=np.linspace(0, 1, 41), histtype="step", **look)
        scatter.axline((0, 0), slope=1, color="0.6", lw=0.8, zorder=0)
        scatter.set(xlabel="magnetization of the block average", ylabel="magnetization of the prediction")
        histogram.set(xlabel="error of a site", ylabel="density", yscale="log")
        correlation.set(xlabel="spatial correlation with the block average", ylabel="test configurations", yscale="log")
        for axis in (scatter, histogram, correlation):
            axis.legend(loc="upper left")
        record.figure("physics", drawn)


def draw_criticality(record: Recorder, critical: Critical, sides: dict[str, int]) -> None:
    """Figure `criticality`: error against lattice size, and the kept share of G(r) on the largest lattice."""
    names = list(next(iter(critical.values())))
    largest = max(critical, key=lambda dataset: sides[dataset])
    with figure(1, 2, figsize=(10, 3.8)) as (drawn, (left, right)):
        for colour, name in enumerate(names):
            points = {sides[dataset]: found[name] for dataset, found in critical.items()}
            known = {side: point for side, point in points.items() if point is not None and point[0].mean > 0}
            if known:
                values, bars = ([getattr(p[0], key) for p in known.values()] for key in ("mean", "error"))
                left.errorbar(list(known), values, bars, fmt="o-", ms=4, color=f"C{colour}", label=name)
            if (point := critical[largest][name]) is not None:
                values, bars = ([getattr(e, key) for e in point[1]] for key in ("mean", "error"))
                right.errorbar(range(len(values)), values, bars, fmt=".-", ms=4, color=f"C{colour}", label=name)
        left.set(
            xscale="log",
            yscale="log",
            xlabel="lattice size $L$ (trained at 16)",
            ylabel="mean squared error per site at $T_c$",
        )
        left.set_xticks(list(sides.values()), list(map(str, sides.values())))
        left.minorticks_off()
        right.set(xlabel="distance $r$ on the coarse lattice", ylabel=r"$G(r)$ / $G(r)$ of the block average")
        right.set_title(f"L = {sides[largest]}")
        for axis in (left, right):
            axis.legend(fontsize=8)
        record.figure("criticality", drawn)
