"""Datasets of spin configurations."""
