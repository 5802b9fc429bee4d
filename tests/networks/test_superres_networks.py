"""The networks that undo a block rule: what they promise by construction, and what they refuse."""

import numpy as np
import pytest
import torch

from kadanoff.errors import KadanoffError
from kadanoff.networks.registry import build
from kadanoff.spins.surroundings import coarse_spins

GRID = [1.0, 2.0, 4.0]


def model(name="blocks", rule="majority", block=2, dimension=2, temperatures=GRID, **changes):
    torch.manual_seed(1)
    sizes = {"width": 8} | ({"layers": 3} if name == "pixels" else {})
    arguments = {"rule": rule, "block": block, "dimension": dimension, "temperatures": temperatures}
    return build(name, **(arguments | sizes | changes)).eval()


def spins(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, shape, generator=generator).float() * 2 - 1


@pytest.mark.parametrize(("dimension", "coarse", "fine"), [(1, (6,), (12,)), (2, (4, 6), (8, 12))])
def test_pixels_are_probabilities_on_the_fine_lattice_of_any_size(dimension, coarse, fine):
    found = model("pixels", dimension=dimension).networks[0](spins(3, 1, *coarse))
    assert found.shape == (3, 1, *fine)
    assert found.min() > 0
    assert found.max() < 1


@pytest.mark.parametrize("name", ["pixels", "blocks"])
@torch.no_grad()
def test_the_torus_has_no_origin(name):
    network, lattice = model(name).networks[0], spins(2, 1, 6, 8)
    scale = 2 if name == "pixels" else 1
    moved = network(lattice.roll((1, 3), (2, 3)))
    torch.testing.assert_close(moved, network(lattice).roll((scale, 3 * scale), (2, 3)))


@pytest.mark.parametrize("rule", ["majority", "decimation", "threshold"])
@torch.no_grad()
def test_blocks_give_only_states_that_the_rule_allows(rule):
    lattice = spins(3, 1, 4, 4)
    found = model(rule=rule).networks[0](lattice)  # (B, states, y, x)
    torch.testing.assert_close(found.sum(1), torch.ones(3, 4, 4))
    allowed = torch.from_numpy(coarse_spins(rule, 2, 2))[None, :, None, None] == lattice
    assert (found[~allowed] == 0).all()
    assert (found[allowed] > 0).all()


@torch.no_grad()
def test_blocks_flip_with_the_spins_where_the_rule_does():
    """Flipping all spins reverses the order of the states; `threshold` has no such symmetry."""
    lattice = spins(3, 1, 4, 4)
    for rule, odd in (("majority", True), ("threshold", False)):
        network = model(rule=rule).networks[0]
        assert torch.allclose(network(-lattice), network(lattice).flip(1)) == odd


@pytest.mark.parametrize(("temperature", "place"), [(1.0, 0), (1.49, 0), (1.51, 1), (4.0, 2)])
def test_the_nearest_network_serves(temperature, place):
    found = model()
    assert found.at(temperature) is found.networks[place]


@pytest.mark.parametrize("temperature", [0.99, 4.01, float("nan")])
def test_a_temperature_out_of_reach_is_refused(temperature):
    with pytest.raises(KadanoffError, match=r"temperature is .*, but these networks were trained at 1 to 4"):
        model().at(temperature)


def test_a_single_network_serves_its_own_temperature_only():
    found = model(temperatures=[2.0])
    assert found.at(2.0) is found.networks[0]
    with pytest.raises(KadanoffError, match=r"temperature is 2\.1, but these networks were trained at 2 "):
        found.at(2.1)


@pytest.mark.parametrize(
    ("shape", "rule", "message"),
    [
        ((5, 8), None, "refines square lattices"),
        ((5, 8, 8), "decimation", "rule is 'decimation', but this network was trained to undo 'majority'"),
        ((5, 8, 7), None, "the coarse lattice is 8 x 7; .* Take even sides"),
        ((5, 3, 4), "majority", "the coarse lattice is 3 x 4"),
    ],
)
def test_lattices_that_do_not_fit_are_refused(shape, rule, message):
    with pytest.raises(KadanoffError, match=message):
        model().check(shape, rule)


def test_one_network_is_applied_as_it_is_and_several_are_not():
    assert model(temperatures=[2.0])(spins(2, 1, 4, 4)).shape == (2, 16, 4, 4)
    with pytest.raises(KadanoffError, match="this file holds 3 networks"):
        model()(spins(2, 1, 4, 4))
    with pytest.raises(KadanoffError, match="the coarse lattice is 3 x 4"):
        model(temperatures=[2.0])(spins(2, 1, 3, 4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "average"}, "rule is 'average'; what is inverted has coarse spins"),
        ({"rule": "minority"}, "rule is 'minority'"),
        ({"block": 4}, "block is 4 in 2 dimension"),
        ({"block": 1}, "block is 1"),
        ({"layers": 3}, "its arguments are rule, block, dimension, temperatures, width$|its arguments are rule"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(KadanoffError, match=message):
        model(**changes)


def test_pixels_cannot_tell_a_kept_spin_in_a_uniform_chain():
    """Upsampling repeats each spin, so that a convolution sees no difference between the two sites of a block there."""
    with torch.no_grad():
        found = model("pixels", dimension=1).networks[0](torch.ones(1, 1, 8))[0, 0].numpy()
    np.testing.assert_allclose(found, found[0], rtol=1e-5)
