"""Numbers of the published works, for the tables that set ours beside them."""

# "Coarse-Graining the 2D Ising Model with Neural Networks" (project report, 2025), sections 4 and 5.
# Its MSE and MAE of the test set are sums over the 64 sites of a configuration; RMSE is the root of that sum.
REPORT: dict[str, dict[str, float]] = {
    "cnn": {
        "validation_mse": 0.000301,
        "mse_sum": 0.019988,
        "mae_sum": 0.533706,
        "rmse_sum": 0.141380,
        "magnetization_rmse": 0.005498,
        "spatial_correlation": 0.999729,
        "parameters": 9569,
    },
    "mlp": {
        "validation_mse": 0.239916,
        "mse_sum": 12.960460,
        "mae_sum": 12.990431,
        "rmse_sum": 3.600064,
        "parameters": 305856,
    },
}
REPORT_SITES = 64


def per_site(variant: str) -> dict[str, float]:
    """The report's test errors of a network, divided by its 64 sites: mse, mae, rmse."""
    sums = REPORT.get(variant, {})
    if not sums:
        return {}
    mse = sums["mse_sum"] / REPORT_SITES
    return {"mse": mse, "mae": sums["mae_sum"] / REPORT_SITES, "rmse": mse**0.5}
