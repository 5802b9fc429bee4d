"""A weights file may come from anywhere: what no network of the registry can be is refused, quickly, in a sentence."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch

from kadanoff.errors import KadanoffError
from kadanoff.inverse.superresolve import superresolve
from kadanoff.learning.checkpoints import Recipe, load_model, save_model
from kadanoff.networks.registry import _NETWORKS, build

COARSEN = {"block": 2, "size": 8}
SUPERRES = {"rule": "majority", "block": 2, "dimension": 2, "temperatures": [2.0, 3.0]}
VIT = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8, "patch_size": 4}
NETWORKS = {
    "drawn": COARSEN,
    "cnn": COARSEN,
    "mlp": COARSEN,
    "exact": COARSEN,
    "pixels": SUPERRES | {"width": 4, "layers": 2},
    "blocks": SUPERRES | {"width": 4},
    "symmetric_blocks": SUPERRES | {"width": 4},
    "seed_kernel": SUPERRES,
    "transformers": {"model": "vit", "outputs": 4, "size": 8, "scale": 1, "options": VIT},
    "timm": {"model": "test_resnet", "outputs": 4, "scale": 1, "options": {"in_chans": 1}},
}


def write(path, name, recipe=None, change=lambda tensor: tensor):
    """A file with the weights of a network, each changed, and a recipe."""
    weights = {key: change(tensor) for key, tensor in build(name, **NETWORKS[name]).state_dict().items()}
    made = {"format": 1, "network": name, "arguments": NETWORKS[name]} | (recipe or {})
    safetensors.torch.save_file(weights, path, {"kadanoff": json.dumps(made)})
    return path


def test_the_table_has_every_network():
    assert NETWORKS.keys() == _NETWORKS.keys()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_plain_file_loads_and_leaves_the_random_numbers_of_others_alone(name, tmp_path):
    path = write(tmp_path / "m.safetensors", name)
    torch.manual_seed(0)
    build(name, **NETWORKS[name])
    expected = torch.rand(3)
    torch.manual_seed(0)
    network = load_model(path)
    assert torch.equal(torch.rand(3), expected)
    weights = safetensors.torch.load_file(path)
    assert all(torch.equal(tensor, weights[key]) for key, tensor in network.state_dict().items())


@pytest.mark.parametrize(("name", "value"), [("cnn", float("nan")), ("blocks", float("inf"))])
def test_weights_that_are_not_finite_are_refused_on_reading_and_on_writing(name, value, tmp_path):
    network = build(name, **NETWORKS[name])
    last = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()][-1]
    last.view(-1)[-1] = value
    with pytest.raises(KadanoffError, match=r"m\.safetensors: .* has values that are not finite numbers"):
        save_model(tmp_path / "m.safetensors", network, Recipe(name, NETWORKS[name]))
    assert not (tmp_path / "m.safetensors").exists()
    path = tmp_path / "m.safetensors"
    made = json.dumps({"format": 1, "network": name, "arguments": NETWORKS[name]})
    safetensors.torch.save_model(network, path, {"kadanoff": made})
    with pytest.raises(KadanoffError, match=r"m\.safetensors: .* has values that are not finite numbers"):
        load_model(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_weights_of_another_type_are_refused(dtype, tmp_path):
    path = write(tmp_path / "m.safetensors", "cnn", change=lambda tensor: tensor.to(dtype))
    with pytest.raises(KadanoffError, match="weights are float32"):
        load_model(path)


@pytest.mark.parametrize("value", [10**9, -1, 2.5, True, "2", [[[]]]])
@pytest.mark.parametrize(
    ("name", "key"), [("cnn", "size"), ("blocks", "width"), ("pixels", "layers"), ("timm", "scale")]
)
def test_numbers_of_a_recipe_have_bounds(name, key, value, tmp_path):
    path = write(tmp_path / "m.safetensors", name, {"arguments": NETWORKS[name] | {key: value}})
    with pytest.raises(KadanoffError, match=rf"m\.safetensors cannot be rebuilt: network '{name}': {key}"):
        load_model(path)


@pytest.mark.parametrize("name", ["cnn", "timm"])
def test_a_network_of_another_kind_draws_no_lattices(name):
    with pytest.raises(KadanoffError, match="superresolve takes a network of `superres`"):
        superresolve(build(name, **NETWORKS[name]), np.ones((1, 4, 4), np.int8), 2.0, seed=0)


@pytest.mark.parametrize("size", [10**9, 100_000])
def test_options_of_an_image_model_take_no_memory_that_its_weights_do_not_have(size, tmp_path):
    wide = NETWORKS["transformers"] | {"options": VIT | {"hidden_size": size, "intermediate_size": size}}
    path = write(tmp_path / "m.safetensors", "transformers", {"arguments": wide})
    with pytest.raises(KadanoffError, match=r"options reach up to|weights of another"):
        load_model(path)


def test_a_network_of_many_more_parts_than_its_file_is_never_built(tmp_path):
    deep = NETWORKS["transformers"] | {"options": VIT | {"num_hidden_layers": 100_000}}
    path = write(tmp_path / "m.safetensors", "transformers", {"arguments": deep})
    with pytest.raises(KadanoffError, match="more parts than the file has weights"):
        load_model(path)
