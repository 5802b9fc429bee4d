"""A small Table 1, datasets made by hand that fill it, and a tiny transformer."""

import numpy as np

from kadanoff.data.store import Ensemble
from kadanoff.phases import microstates

TEMPERATURES = np.array([0.5, 1.0, 1.5, 2.0, 2.2, 2.3, 2.5, 3.5])  # two of each region
TABLE = {"TRAIN": (8, 4, 4, 8), "VALIDATION": (4, 2, 2, 4), "TEST": (6, 2, 3, 5)}
ALL = sum(TABLE["TRAIN"])
OPTIONS = {"patch_size": 4, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 16}
TRAINING = {
    "epochs": 2, "batch_size": 8, "learning_rate": 0.01, "weight_decay": 0.0, "plateau_patience": 1,
    "plateau_factor": 0.5, "early_stopping_patience": 9, "precision": "float32", "seed": 0,
}  # fmt: skip


def save_data(folder, seed, name, size=8, provenance=None):
    """Spins that are up the more often, the colder it is."""
    random = np.random.default_rng(seed)
    up = (1 / (1 + np.exp(2 - 8 / TEMPERATURES)))[:, None, None, None]
    spins = np.where(random.random((8, 16, size, size)) < up, 1, -1).astype(np.int8)
    made = Ensemble(spins, TEMPERATURES, *random.standard_normal((2, 8, 16)), np.ones(8), provenance or {})
    made.save(folder / "data" / "classify" / f"{name}.zarr", overwrite=True)


def use_small_table(patch, *modules):
    """Table 1, and the number of its training images in these modules, are the small ones."""
    for name, counts in TABLE.items():
        patch.setattr(microstates, name, counts)
    for module in modules:
        patch.setattr(module, "LABELLED", ALL)
