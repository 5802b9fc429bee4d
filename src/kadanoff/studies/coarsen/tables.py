"""The tables of `coarsen_compare`, with the report's numbers in rows of their own."""

from typing import Any

from kadanoff.estimate import Estimate
from kadanoff.learning.coarse import Coarsener
from kadanoff.project.tables import Cell, table
from kadanoff.studies.coarsen.literature import REPORT, per_site

Critical = dict[str, dict[str, tuple[Estimate, list[Estimate]] | None]]
Rows = list[list[Cell]]
SITE = ("mse", "mae", "rmse")
SUMS = ("mse_sum", "mae_sum", "rmse_sum")


def tables(parts: dict[str, Any], coarseners: dict[str, Coarsener], critical: Critical, sides: dict[str, int]) -> str:
    """All tables as Markdown: errors by rule and block, sums, physics, and what is kept at T_c.

    `parts` holds the errors of each coarsener on the `validation` and the `test` configurations, `critical` what it
    does on each critical dataset, `sides` the sizes of these.
    """
    tested = parts["test"]
    rules = list(dict.fromkeys(item.rule for item in coarseners.values() if item.block == 2))
    pairs = {
        rule: [name for name, item in coarseners.items() if (item.rule, item.block) == (rule, 2)] for rule in rules
    }
    others = [name for name, item in coarseners.items() if item.block != 2]
    found = ["# Coarse-graining: networks, fixed rules, and the report\n"]
    found += [_site_table(rule, parts, coarseners, names) for rule, names in pairs.items()]
    if "threshold" in pairs:
        found.append(_sum_table(tested, pairs["threshold"]))
    found += [_physics_table(rule, tested, names) for rule, names in pairs.items()]
    found.append(_block_table(tested, coarseners, others))
    titles = {
        0: "Mean squared error per site at T_c (networks trained at L = 16)",
        1: "Energy kept at T_c: G(1) of the prediction over that of the rule",
        -1: "Correlation kept at T_c at half of the coarse lattice",
    }
    return "\n".join([*found, *(_critical_table(title, critical, sides, index) for index, title in titles.items())])


def _report_rows(rule: str) -> dict[str, str]:
    return {"report: cnn": "cnn", "report: mlp": "mlp"} if rule == "threshold" else {}


def _site_table(rule: str, parts: dict[str, Any], coarseners: dict[str, Coarsener], names: list[str]) -> str:
    columns = ["", "parameters", "validation MSE", "test MSE", "MAE", "RMSE"]
    rows: Rows = [
        [
            name,
            coarseners[name].parameters or None,
            parts["validation"][name]["mse"],
            *(parts["test"][name][key] for key in SITE),
        ]
        for name in names
    ]
    for label, name in _report_rows(rule).items():
        numbers = per_site(name)
        known = int(REPORT[name]["parameters"]), REPORT[name]["validation_mse"]
        rows.append([label, *known, *(numbers[key] for key in SITE)])
    return table(f"Rule `{rule}`, block 2: error per site", columns, rows)


def _sum_table(tested: dict[str, Any], names: list[str]) -> str:
    rows: Rows = [[name, *(tested[name][key] for key in SUMS)] for name in names]
    rows += [[label, *(REPORT[name][key] for key in SUMS)] for label, name in _report_rows("threshold").items()]
    title = "Sums over the sites of a coarse configuration: what the report calls MSE, MAE and RMSE"
    return table(title, ["", "sum of squares", "sum of magnitudes", "root of the sum of squares"], rows)


def _physics_table(rule: str, tested: dict[str, Any], names: list[str]) -> str:
    columns = ["", "magnetization RMSE", "spatial correlation", "sd", "minimum", "maximum", "undefined"]
    rows: Rows = []
    for name in names:
        found = tested[name]["spatial_correlation"]
        mean = Estimate(found["mean"], found["error"]) if "mean" in found else None
        spread = [found.get(key) for key in ("sd", "minimum", "maximum")]
        rows.append([name, tested[name]["magnetization_rmse"], mean, *spread, found["undefined"]])
    if rule == "threshold":
        keys = ("magnetization_rmse", *(f"correlation_{key}" for key in ("mean", "sd", "minimum", "maximum")))
        rows.append(["report: cnn", *(REPORT["cnn"][key] for key in keys), None])
    return table(f"Rule `{rule}`, block 2: physics kept on the test configurations", columns, rows)


def _block_table(tested: dict[str, Any], coarseners: dict[str, Coarsener], names: list[str]) -> str:
    rows: Rows = [
        [name, coarseners[name].rule, coarseners[name].block, *(tested[name][key] for key in SITE)] for name in names
    ]
    return table("Other blocks: error per site", ["", "rule", "block", "test MSE", "MAE", "RMSE"], rows)


def _critical_table(title: str, critical: Critical, sides: dict[str, int], index: int) -> str:
    """One column a lattice size; index 0 is the error, others the distance at which correlations are compared."""
    rows: Rows = []
    for name in next(iter(critical.values())):
        points = [found[name] for found in critical.values()]
        rows.append([name, *(None if p is None else p[0] if index == 0 else p[1][index] for p in points)])
    return table(title, ["", *(f"L = {sides[dataset]}" for dataset in critical)], rows)
