"""Published numbers that the tables of super-resolution stand beside."""

# Efthymiou, Beach and Melko, arXiv:1810.02372, Table I: sizes, then beta, gamma, eta from G(L/2) and from G(L/4), with
# the standard error of 60 repetitions; of its finite-size column it gives only the deviations from theory.
PAPER_EXPONENTS: dict[str, tuple[str, ...]] = {
    "super-resolution": ("16 to 128", "0.1234(60)", "1.7544(100)", "0.2460(100)", "0.2459(100)"),
    "finite-size scaling": ("4 to 16", "1.3% off", "2.3% off", "2.3% off", "1.1% off"),
}
