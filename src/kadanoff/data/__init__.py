"""Where configurations are kept: the description of a dataset, the Zarr store, lattices larger than memory."""
