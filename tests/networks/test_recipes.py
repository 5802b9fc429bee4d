"""A weights file may come from anywhere: what no network of the registry can be is refused, quickly, in a sentence."""

import json
import time
from contextlib import suppress

import numpy as np
import pytest
import safetensors.torch
import torch

from kadanoff.errors import KadanoffError
from kadanoff.inverse.superresolve import superresolve
from kadanoff.learning.checkpoints import Recipe, load_model, save_model
from kadanoff.networks.registry import build, names

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


def places(tree, above=()):
    """Where the numbers of nested arguments are."""
    if isinstance(tree, dict | list):
        for key, part in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from places(part, (*above, key))
    elif not isinstance(tree, str):
        yield above


NUMBERS = [(name, place) for name, arguments in NETWORKS.items() for place in places(arguments)]


def write(path, name, recipe=None, change=lambda tensor: tensor):
    """A file with the weights of a network, each changed, and a recipe."""
    weights = {key: change(tensor) for key, tensor in build(name, **NETWORKS[name]).state_dict().items()}
    made = {"format": 1, "network": name, "arguments": NETWORKS[name]} | (recipe or {})
    safetensors.torch.save_file(weights, path, {"kadanoff": json.dumps(made)})
    return path


def changed(tree, place, value):
    """Nested arguments with another value at a place."""
    copy = json.loads(json.dumps(tree))
    part = copy
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return copy


def test_the_table_has_every_network():
    assert set(NETWORKS) == set(names())


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


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", NETWORKS)
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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.bool])
@pytest.mark.parametrize("name", NETWORKS)
def test_weights_of_another_type_are_refused(name, dtype, tmp_path):
    path = write(tmp_path / "m.safetensors", name, change=lambda tensor: tensor.to(dtype))
    with pytest.raises(KadanoffError, match=r"weights are float32|holds the weights of another"):
        load_model(path)


@pytest.mark.parametrize(("name", "place"), NUMBERS)
def test_numbers_of_a_recipe_have_bounds(name, place, tmp_path):
    """What is no number of that kind is refused too, but for temperatures and sizes of what fits any."""
    for value in (10**9, 10**400, -1, 2.5, float("nan"), True, "2", [[[]]], "x" * 10**6):
        path = write(tmp_path / "m.safetensors", name, {"arguments": changed(NETWORKS[name], place, value)})
        started = time.process_time()
        with suppress(KadanoffError):
            load_model(path)
            assert value not in (10**9, 10**400) or place[0] == "temperatures"
        assert time.process_time() - started < 10


@pytest.mark.parametrize("name", NETWORKS)
def test_nested_text_of_a_recipe_is_refused(name, tmp_path):
    for key in NETWORKS[name]:
        text = json.dumps({"format": 1, "network": name, "arguments": NETWORKS[name] | {key: "HERE"}})
        for depth in (500, 100_000):
            path = tmp_path / "m.safetensors"
            weights = build(name, **NETWORKS[name]).state_dict()
            nested = text.replace('"HERE"', "[" * depth + "]" * depth)
            safetensors.torch.save_file(weights, path, {"kadanoff": nested})
            with pytest.raises(KadanoffError, match=r"m\.safetensors") as caught:
                load_model(path)
            assert len(str(caught.value)) < 1000


def test_a_network_of_many_more_parts_than_its_file_is_never_built(tmp_path):
    started = time.process_time()
    deep = NETWORKS["transformers"] | {"options": VIT | {"num_hidden_layers": 100_000}}
    wide = NETWORKS["transformers"] | {"options": VIT | {"hidden_size": 100_000, "intermediate_size": 100_000}}
    for arguments, message in ((deep, "more parts than the file has weights"), (wide, "the weights of another")):
        path = write(tmp_path / "m.safetensors", "transformers", {"arguments": arguments})
        with pytest.raises(KadanoffError, match=message):
            load_model(path)
    assert time.process_time() - started < 10


@pytest.mark.parametrize("name", ["cnn", "timm"])
def test_a_network_of_another_kind_draws_no_lattices(name):
    with pytest.raises(KadanoffError, match="superresolve takes a network of `superres`"):
        superresolve(build(name, **NETWORKS[name]), np.ones((1, 4, 4), np.int8), 2.0, seed=0)
