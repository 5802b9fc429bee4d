"""What a configuration is: NumPy and Numba only."""
