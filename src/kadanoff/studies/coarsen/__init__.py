"""Networks that coarse-grain."""
