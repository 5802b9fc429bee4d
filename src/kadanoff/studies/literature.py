"""Numbers of the published works, for the tables and figures that set ours beside them."""

import re

# "Coarse-Graining the 2D Ising Model with Neural Networks" (project report, 2025), sections 4 and 5.
# Its MSE and MAE of the test set are sums over the 64 sites of a configuration; RMSE is the root of that sum.
# Its text says "block averaging"; its published code trains on the sign of the average, ties being -1.
REPORT: dict[str, dict[str, float]] = {
    "cnn": {
        "parameters": 9569,
        "validation_mse": 0.000301,
        "mse_sum": 0.019988,
        "mae_sum": 0.533706,
        "rmse_sum": 0.141380,
        "magnetization_rmse": 0.005498,
        "correlation_mean": 0.999729,
        "correlation_sd": 0.000229,
        "correlation_minimum": 0.9965,
        "correlation_maximum": 1.0,
    },
    "mlp": {
        "parameters": 305856,
        "validation_mse": 0.239916,
        "mse_sum": 12.960460,
        "mae_sum": 12.990431,
        "rmse_sum": 3.600064,
    },
}
REPORT_SITES = 64

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


def per_site(network: str) -> dict[str, float]:
    """The report's test errors of a network, divided by its 64 sites: mse, mae, rmse."""
    sums = REPORT[network]
    mse = sums["mse_sum"] / REPORT_SITES
    return {"mse": mse, "mae": sums["mae_sum"] / REPORT_SITES, "rmse": mse**0.5}


# Efthymiou, Beach and Melko, arXiv:1810.02372, Table I: sizes, then beta, gamma, eta from G(L/2) and from G(L/4), with
# the standard error of 60 repetitions; of its finite-size column it gives only the deviations from theory.
PAPER_EXPONENTS: dict[str, tuple[str, ...]] = {
    "super-resolution": ("16 to 128", "0.1234(60)", "1.7544(100)", "0.2460(100)", "0.2459(100)"),
    "finite-size scaling": ("4 to 16", "1.3% off", "2.3% off", "2.3% off", "1.1% off"),
}


# Kara, Sehanobish and Corzo, NeurIPS workshop 2021, Table 2: macro-F1 by system, mean and standard deviation (not the
# standard error) of 5 trials. One protocol: how its lattices were started is not said.
KARA: dict[str, dict[str, tuple[float, float]]] = {
    "ViT": {
        "periodic": (0.934, 0.008),
        "antiferromagnet": (0.935, 0.012),
        "skewed": (0.931, 0.021),
        "antiperiodic": (0.921, 0.013),
    },
    "ResNet-18": {
        "periodic": (0.865, 0.034),
        "antiferromagnet": (0.906, 0.016),
        "skewed": (0.886, 0.019),
        "antiperiodic": (0.910, 0.021),
    },
    "ResNet-50": {
        "periodic": (0.907, 0.021),
        "antiferromagnet": (0.899, 0.026),
        "skewed": (0.917, 0.009),
        "antiperiodic": (0.917, 0.008),
    },
}


def kara_row(model: str) -> str | None:
    """The row of `KARA` that a model, by its name in a library, stands beside: ``ViT`` for any vision transformer.

    >>> kara_row("google/vit-base-patch16-224"), kara_row("resnet50.a1_in1k"), kara_row("convnext_tiny")
    ('ViT', 'ResNet-50', None)
    """
    for row in KARA:
        if re.search(rf"(?<![a-z0-9]){row.lower().replace('-', '-?')}(?![0-9])", model.lower()):
            return row
    return None
