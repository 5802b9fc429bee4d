import numpy as np
import pytest
import torch
from torch import nn

from kadanoff.errors import KadanoffError
from kadanoff.networks.registry import build
from kadanoff.spins.blocking import average

COARSENERS = ("drawn", "cnn", "mlp", "exact")


def spins(count: int, size: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (count, 1, size, size), generator=generator).float() * 2 - 1


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("name", "count"), [("drawn", 4929), ("cnn", 9569), ("mlp", 305_856), ("exact", 4)])
def test_parameter_counts(name: str, count: int) -> None:
    assert parameters(build(name, block=2, size=16)) == count


@pytest.mark.parametrize("block", [2, 3, 4])
@pytest.mark.parametrize("name", COARSENERS)
def test_shape_for_every_block(name: str, block: int) -> None:
    network = build(name, block=block, size=12).eval()
    assert network(spins(5, 12)).shape == (5, 1, 12 // block, 12 // block)


@pytest.mark.parametrize("name", ["drawn", "cnn", "exact"])
def test_other_sizes(name: str) -> None:
    network = build(name, block=2, size=16).eval()
    assert network(spins(2, 64)).shape == (2, 1, 32, 32)
    assert network(spins(2, 64)[..., :6, :]).shape == (2, 1, 3, 32)


@pytest.mark.parametrize("name", COARSENERS)
def test_every_parameter_learns(name: str) -> None:
    network = build(name, block=2, size=8)
    network(spins(16, 8)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert any(parameter.grad.abs().max() > 0 for parameter in network.parameters())


def test_exact_is_odd_and_periodic_and_cnn_is_neither() -> None:
    lattice = spins(3, 12)
    moved = lattice.roll((3, 6), dims=(2, 3))
    with torch.no_grad():
        for name, symmetric in (("exact", True), ("cnn", False)):
            network = build(name, block=3, size=12).eval()
            assert torch.allclose(network(-lattice), -network(lattice)) == symmetric
            assert torch.allclose(network(moved), network(lattice).roll((1, 2), dims=(2, 3)), atol=1e-6) == symmetric


@pytest.mark.parametrize("block", [2, 3])
def test_exact_contains_the_block_average(block: int) -> None:
    network = build("exact", block=block, size=12)
    nn.init.constant_(network.layers[0].weight, 1 / block**2)
    lattice = spins(4, 12)
    expected = average(lattice.numpy().astype(np.int8), block)
    np.testing.assert_allclose(network(lattice).detach().numpy(), expected, atol=1e-6)


def test_unknown_network_names_the_choices() -> None:
    with pytest.raises(KadanoffError, match="network is 'cmm'; choose one of drawn, cnn, mlp, exact"):
        build("cmm", block=2, size=16)


@pytest.mark.parametrize("arguments", [{"block": 2}, {"block": 2, "size": 16, "depth": 3}])
def test_wrong_arguments_name_the_right_ones(arguments: dict) -> None:
    with pytest.raises(KadanoffError, match="its arguments are block, size"):
        build("cnn", **arguments)


@pytest.mark.parametrize("name", ["cnn", "mlp"])
def test_block_must_divide_the_size(name: str) -> None:
    with pytest.raises(KadanoffError, match="block = 3 must divide both sides"):
        build(name, block=3, size=16)


@pytest.mark.parametrize("block", [0, 1])
def test_block_must_coarsen(block: int) -> None:
    with pytest.raises(KadanoffError, match=f"network 'mlp': block is {block}: .* greater than or equal to 2"):
        build("mlp", block=block, size=16)


def test_lattice_must_have_whole_blocks() -> None:
    with pytest.raises(KadanoffError, match="15 x 15; block = 2 must divide"):
        build("cnn", block=2, size=16)(spins(1, 15))


def test_perceptron_is_bound_to_its_size() -> None:
    with pytest.raises(KadanoffError, match="32 x 32; this perceptron is bound to 16 x 16"):
        build("mlp", block=2, size=16)(spins(1, 32))


def test_hidden_layers_of_pixels_have_filters_in_pairs_of_opposite_sign() -> None:
    network = build("pixels", rule="majority", block=2, dimension=2, temperatures=[2.0], width=8, layers=3)
    *hidden, _ = [layer.weight for layer in network.networks[0].layers if isinstance(layer, nn.Conv2d)]
    assert len(hidden) == 2
    for filters in hidden:
        assert filters[:4].abs().min() > 0
        torch.testing.assert_close(filters[4:], -filters[:4], rtol=0, atol=0)
