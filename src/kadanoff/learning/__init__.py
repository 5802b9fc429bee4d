"""How it is learned: batches from Zarr, the one ``fit`` loop, losses, checkpoints."""
