"""Published numbers that the coarse-graining study sets its own beside."""

from typing import Any

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
# epoch: (training loss, validation loss); sections 4.1 and 4.2
REPORT_HISTORY: dict[str, dict[int, tuple[float, float]]] = {
    "cnn": {
        1: (0.257210, 0.153770),
        11: (0.023090, 0.009468),
        21: (0.007273, 0.002415),
        31: (0.003388, 0.001149),
        50: (0.001164, 0.000314),
    },
    "mlp": {
        1: (0.591634, 0.429228),
        11: (0.243991, 0.288063),
        21: (0.183852, 0.267693),
        31: (0.155200, 0.254787),
        41: (0.140614, 0.243350),
        50: (0.118895, 0.239916),
    },
}
