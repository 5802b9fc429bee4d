"""Networks that undo a block rule, beyond the size they were trained at, and exponents."""
