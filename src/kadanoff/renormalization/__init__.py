"""The renormalization group, measured: block rules, couplings, and eigenvalues of the linearized transformation."""
