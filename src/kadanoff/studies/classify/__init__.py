"""Temperature regions from single configurations."""
