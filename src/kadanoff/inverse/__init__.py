"""How coarse lattices become fine ones: block states, their surroundings, draws, and the chains that they make."""
