"""How configurations are made."""
