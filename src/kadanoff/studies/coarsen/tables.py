"""The tables of `coarsen_compare`, with the report's numbers in rows of their own."""

from typing import Any

import pandas as pd

from kadanoff.estimate import Estimate
from kadanoff.project.tables import table

SITES = 64  # of a coarse configuration
# "Coarse-Graining the 2D Ising Model with Neural Networks" (project report, 2025), sections 4 and 5.
# Its MSE and MAE of the test set are sums over the 64 sites of a configuration; RMSE is the root of that sum.
# Its text says "block averaging"; its published code trains on the sign of the average, ties being -1.
CNN = {"parameters": 9569, "validation_mse": 0.000301, "mse_sum": 0.019988, "mae_sum": 0.533706, "rmse_sum": 0.141380}
CNN |= {"magnetization_rmse": 0.005498, "correlation": 0.999729, "sd": 0.000229, "minimum": 0.9965, "maximum": 1.0}
MLP = {"parameters": 305856, "validation_mse": 0.239916, "mse_sum": 12.96046, "mae_sum": 12.990431}
MLP |= {"rmse_sum": 3.600064}
REPORT: list[dict[str, Any]] = [
    {"network": f"report: {name}", "mse": row["mse_sum"] / SITES, "mae": row["mae_sum"] / SITES}
    | {"rmse": (row["mse_sum"] / SITES) ** 0.5}
    | row
    for name, row in (("cnn", CNN), ("mlp", MLP))
]
SITE = {"mse": "MSE", "mae": "MAE", "rmse": "RMSE"}
SUMS = {"mse_sum": "sum of squares", "mae_sum": "sum of magnitudes", "rmse_sum": "root of the sum of squares"}
PHYSICS = {"magnetization_rmse": "magnetization RMSE", "correlation": "spatial correlation"}
PHYSICS |= {name: name for name in ("sd", "minimum", "maximum", "undefined")}
CRITICAL = {
    "mse": "Mean squared error per site at T_c (networks trained at L = 16)",
    "kept_energy": "Energy kept at T_c: G(1) of the prediction over that of the rule",
    "kept_half_lattice_correlation": "Correlation kept at T_c at half of the coarse lattice",
}


def tables(held_out: pd.DataFrame, critical: pd.DataFrame) -> str:
    """All tables as Markdown: errors by rule and block, sums, physics, and what is kept at T_c.

    The frames are those of `held_out_errors` and `critical_errors` in `coarsen_compare`.
    """
    rows = _with_report(held_out)
    rules = [rule for _, rule in rows[rows.block == 2].groupby("rule", sort=False)]
    site = {"parameters": "parameters", "validation_mse": "validation MSE"} | SITE | {"mse": "test MSE"}
    found = ["# Coarse-graining: networks, fixed rules, and the report\n"]
    found += [_table(f"Rule `{each.rule.iloc[0]}`, block 2: error per site", each, site) for each in rules]
    sums = "Sums over the sites of a coarse configuration: what the report calls MSE, MAE and RMSE"
    found += [_table(sums, each, SUMS) for each in rules if each.rule.iloc[0] == "threshold"]
    for each in rules:
        title = f"Rule `{each.rule.iloc[0]}`, block 2: physics kept on the test configurations"
        found.append(_table(title, each[each.magnetization_rmse.notna()], PHYSICS))
    others = {"rule": "rule", "block": "block"} | SITE | {"mse": "test MSE"}
    found.append(_table("Other blocks: error per site", rows[rows.block != 2], others))
    for key, title in CRITICAL.items():
        sides = critical.pivot(index="network", columns="side", values=key).loc[critical.network.unique()].reset_index()
        found.append(_table(title, sides, {side: f"L = {side}" for side in sides.columns[1:]}))
    return "\n".join(found)


def _with_report(held_out: pd.DataFrame) -> pd.DataFrame:
    """One row a network: errors on the test configurations, and those of the report after its own task's."""
    validation, test = (held_out[held_out.part == part].reset_index(drop=True) for part in ("validation", "test"))
    errors = pd.DataFrame(list(test.errors), dtype=object)
    errors["validation_mse"] = [each["mse"] for each in validation.errors]
    errors["correlation"] = [
        Estimate(each["mean"], each["error"]) if each["defined"] else None for each in errors.spatial_correlation
    ]
    spread = pd.DataFrame(list(errors.spatial_correlation), dtype=object)
    rows = pd.concat([test, errors, spread.reindex(columns=["sd", "minimum", "maximum", "undefined"])], axis=1)
    report = pd.DataFrame(REPORT, dtype=object).assign(rule="threshold", block=2)
    return pd.concat([rows, report], ignore_index=True)


def _table(title: str, rows: pd.DataFrame, columns: dict[str, str]) -> str:
    """The columns of all rows under names that are read; what is not known is a dash."""
    known = rows[["network", *columns]].astype(object)
    return table(title, ["", *columns.values()], known.where(known.notna(), None).values.tolist())
