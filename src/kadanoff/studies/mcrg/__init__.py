"""Monte Carlo renormalization group: exponents and the critical coupling from blocked lattices."""
