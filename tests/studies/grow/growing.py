"""Projects in which critical lattices grow by networks that were not trained."""

from dataclasses import replace

import numpy as np
import torch

import kadanoff
from kadanoff.inverse.renormalized import conditional_log_odds
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.networks.registry import build
from kadanoff.spins.exact import T_C


def critical_seeds(count):
    return kadanoff.simulate(128, [float(T_C)], count, sampler="swendsen_wang", seed=3)


def save_antiperiodic(path, seeds):
    """The same spins, said to be of another lattice."""
    provenance = {**seeds.provenance, "parameters": {**seeds.provenance["parameters"], "boundary": "antiperiodic"}}
    replace(seeds, provenance=provenance).save(path)


def save_project(root, seeds):
    """The seeds, and both networks; the Gibbs sweeps have the seeds' own conditional, so that they change nothing."""
    seeds.save(root / "data/grow/seeds.zarr")
    arguments = {"rule": "majority", "block": 3, "dimension": 2, "temperatures": [float(T_C)]}
    torch.manual_seed(0)
    for name, network, own in (("kernel", "symmetric_blocks", {"width": 4}), ("seed_kernel", "seed_kernel", {})):
        model = build(network, **arguments, **own)
        if name == "kernel":
            odds = conditional_log_odds(np.asarray(seeds.spins[0]), "decimation", 1)
            model.networks[0].log_odds.copy_(torch.from_numpy(odds))
        save_model(root / f"models/upsample/{name}.safetensors", model, Recipe(network, arguments | own))
