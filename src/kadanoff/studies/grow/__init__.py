"""Critical lattices of any size, grown from small ones."""
