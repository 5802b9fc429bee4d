"""Critical lattices that grow by networks that were not trained."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import kadanoff
from kadanoff.inverse.renormalized import conditional_log_odds
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.networks.registry import build
from kadanoff.spins.exact import T_C


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """data/grow/*.zarr and models/upsample; the Gibbs sweeps have the seeds' own conditional and change nothing."""
    root = tmp_path_factory.mktemp("growing")
    seeds = kadanoff.simulate(128, [float(T_C)], 16, sampler="swendsen_wang", seed=3)
    seeds.save(root / "data/grow/seeds.zarr")
    replace(seeds, temperatures=np.array([2.5])).save(root / "data/grow/warm.zarr")
    arguments = {"rule": "majority", "block": 3, "dimension": 2, "temperatures": [float(T_C)]}
    torch.manual_seed(0)
    for name, network, own in (
        ("kernel", "symmetric_blocks", {"width": 4}),
        ("seed_kernel", "seed_kernel", {}),
        ("chain", "blocks", {"width": 4, "dimension": 1}),
    ):
        model = build(network, **(arguments | own))
        if name == "kernel":
            odds = conditional_log_odds(np.asarray(seeds.spins[0]), "decimation", 1)
            model.networks[0].log_odds.copy_(torch.from_numpy(odds))
        save_model(root / f"models/upsample/{name}.safetensors", model, Recipe(network, arguments | own))
    return root


@pytest.fixture(scope="module")
def project(tmp_path_factory, store, inside):
    """A project with them, as the current folder."""
    root = tmp_path_factory.mktemp("project")
    for name in ("data", "models"):
        (root / name).symlink_to(store / name)
    with inside(root, {}):
        yield root
