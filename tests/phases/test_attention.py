"""Rollout against a computation of its own, local observables and correlations against known answers."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from kadanoff.errors import KadanoffError
from kadanoff.networks.registry import build
from kadanoff.phases.attention import (
    LEAST,
    at_equal,
    correlation,
    domain_walls,
    local_energy,
    patch_means,
    rollout,
)
from kadanoff.spins.boundary import Lattice
from kadanoff.spins.observables import energy

SMALL = {"patch_size": 4, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
NUMBERS = np.random.default_rng(0)


def vit(layers, size=8, scale=1, name="vit", **options):
    """A transformer whose attentions are far from uniform."""
    torch.manual_seed(1)
    given = SMALL | {"num_hidden_layers": layers} | options
    if "dinov2" in name:
        del given["intermediate_size"]
    network = build("transformers", model=name, outputs=4, size=size, scale=scale, options=given).eval()
    with torch.no_grad():
        for key, weights in network.named_parameters():
            if "q_proj" in key or "k_proj" in key:
                weights.normal_()
    return network


def spins(count, height, width=None):
    return NUMBERS.choice(np.array([-1, 1], np.int8), (count, height, width or height))


def attentions(network, lattices):
    """What the layers attend to, computed from their weights alone: a list of (n, heads, tokens, tokens)."""
    trunk, found = network.body.vit, []
    hidden = trunk.embeddings(network.pixels(torch.from_numpy(lattices).float().unsqueeze(1)))
    for layer in trunk.layers:
        seen = layer.layernorm_before(hidden)
        query, key = (
            part(seen).unflatten(-1, (2, -1)).transpose(1, 2)
            for part in (layer.attention.q_proj, layer.attention.k_proj)
        )
        found.append(torch.softmax(query @ key.transpose(2, 3) / 8**0.5, -1).detach().double().numpy())
        hidden = layer(hidden)
    return found


def test_rollout_of_two_layers_is_the_product_of_both():
    network, lattices = vit(2), spins(3, 8)
    first, second = ((item.mean(1) + np.eye(5)) / 2 for item in attentions(network, lattices))
    row = (second @ first)[:, 0, 1:]
    expected = (row / row.sum(1, keepdims=True)).reshape(3, 2, 2)
    found = rollout(network, lattices)
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-6)
    # negative control: the other order is another result
    other = (first @ second)[:, 0, 1:]
    assert np.abs(found - (other / other.sum(1, keepdims=True)).reshape(3, 2, 2)).max() > 1e-3


def test_a_single_spot_lies_where_it_is():
    """A query and key that know one patch: rows come first, from the top."""
    network = vit(1, size=12)
    layer = network.body.vit.layers[0].attention
    embeddings = network.body.vit.embeddings
    with torch.no_grad():
        for part in (layer.q_proj, layer.k_proj):
            part.weight.zero_()
            part.bias.zero_()
        layer.q_proj.bias.fill_(1)
        layer.k_proj.weight[:, 0] = 2
        embeddings.position_embeddings.zero_()
        embeddings.position_embeddings[0, 1 + 1 * 3 + 2, 0] = 10  # second row, third column
    found = rollout(network, spins(4, 12))
    assert found.reshape(4, 9).argmax(1).tolist() == [5] * 4


def test_many_images_of_other_sizes_and_scales():
    network, lattices = vit(2, size=12, scale=2, image_size=24), spins(45, 9, 7)
    found = rollout(network, lattices)
    assert found.shape == (45, 5, 4)
    assert found.sum((1, 2)) == pytest.approx(1, abs=1e-6)
    assert found.min() > 0
    assert found[30:31] == pytest.approx(rollout(network, lattices[30:31]), abs=1e-6)


@pytest.mark.parametrize("name", ["deit", "dinov2_with_registers"])
def test_further_tokens_are_no_patches(name):
    found = rollout(vit(1, name=name), spins(2, 8))
    assert found.shape == (2, 2, 2)
    assert found.sum((1, 2)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("library", "arguments"),
    [
        ("timm", {"model": "resnet18", "options": {}}),
        ("transformers", {"model": "swin", "size": 8, "options": {"patch_size": 2, "embed_dim": 8, "depths": [1],
                                                                  "num_heads": [1], "window_size": 2}}),
    ],
)  # fmt: skip
def test_networks_without_a_class_token_are_refused(library, arguments):
    network = build(library, outputs=4, scale=1, **arguments)
    with pytest.raises(KadanoffError, match=f"^{arguments['model']} has no attention of a class token.*vit, deit"):
        rollout(network, spins(2, 8))


def test_means_over_patches():
    values = np.arange(24.0).reshape(1, 4, 6)
    assert patch_means(values, 2) == pytest.approx(values.reshape(1, 2, 2, 3, 2).mean((2, 4)))
    # only what is inside counts, below and to the right
    assert patch_means(values, 4)[0] == pytest.approx(np.array([[values[0, :, :4].mean(), values[0, :, 4:].mean()]]))
    assert patch_means(values, 5)[0] == pytest.approx(np.array([[values[0, :, :5].mean(), values[0, :, 5].mean()]]))
    # patches 3/2 spins wide: the second spin is in two
    row = patch_means(values[:, :1, :3], Fraction(3, 2))[0, 0]
    assert row == pytest.approx([(0 + 1 / 2) / 1.5, (1 / 2 + 2) / 1.5])


@pytest.mark.parametrize("boundary", ["periodic", "antiperiodic", "skewed", "free"])
@pytest.mark.parametrize("coupling", [1, -1])
def test_local_energies_sum_to_the_energy(boundary, coupling):
    lattice, lattices = Lattice.of((6, 7), boundary, coupling), spins(5, 6, 7)
    found = local_energy(lattices, lattice)
    assert found.mean((1, 2)) == pytest.approx(energy(lattices, lattice), abs=1e-12)
    # turning one spin changes its own bonds: twice their energy is seen half there and half around it
    turned = lattices.copy()
    turned[:, 2, 3] *= -1
    assert local_energy(turned, lattice)[:, 2, 3] == pytest.approx(-found[:, 2, 3])


def halves(size=20):
    lattices = np.ones((1, size, size), np.int8)
    lattices[:, :, size // 2 :] = -1
    return lattices


def test_walls_lie_between_large_domains():
    lattice = Lattice.of(20)
    expected = np.zeros((1, 20, 20), bool)
    expected[:, :, [0, 9, 10, 19]] = True
    assert np.array_equal(domain_walls(halves(), lattice), expected)
    # a thermally excited spin, and a cluster of 19 of 400, are no domains
    excited = halves()
    excited[0, 3:5, 4] = -1
    excited[0, 14, 15] = 1
    assert np.array_equal(domain_walls(excited, lattice), expected)
    excited[0, 10:14, 2:7] = -1  # 20 are one
    assert domain_walls(excited, lattice)[0, 10:14, 2:7].sum() == 14
    assert not domain_walls(np.ones((1, 20, 20), np.int8), lattice).any()


def test_walls_of_an_antiferromagnet_are_between_staggered_domains():
    signs = 1 - 2 * (np.indices((20, 20)).sum(0) % 2)
    staggered = (halves() * signs).astype(np.int8)
    found = domain_walls(staggered, Lattice.of(20, coupling=-1))
    assert np.array_equal(found, domain_walls(halves(), Lattice.of(20)))
    # negative control: to a ferromagnet these are single spins
    assert not domain_walls(staggered, Lattice.of(20)).any()


def test_walls_that_the_boundary_forces():
    uniform = np.ones((1, 20, 20), np.int8)
    edge = np.zeros((1, 20, 20), bool)
    edge[:, [0, -1]] = edge[:, :, [0, -1]] = True
    assert np.array_equal(domain_walls(uniform, Lattice.of(20, "antiperiodic")), edge)
    # the fixed row below is of other spins
    edge[:] = False
    edge[:, -1] = True
    assert np.array_equal(domain_walls(uniform, Lattice.of(20, "skewed")), edge)
    assert not domain_walls(uniform, Lattice.of(20, "free")).any()


def maps(count=40, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 5, 6))


def test_attention_that_is_the_energy_is_found():
    local = maps()
    found = correlation(np.exp(local), local)
    assert correlation(3 * local + 2, local).pearson.mean == pytest.approx(1)
    assert correlation(-local, local).pearson.mean == pytest.approx(-1)
    assert found.pearson.mean > 0.6
    assert found.excess.sigmas(0) > 20
    assert abs(found.others.sigmas(0)) < 4
    assert found.used.all()
    assert found.each == pytest.approx([np.corrcoef(np.exp(one).ravel(), one.ravel())[0, 1] for one in local])


def test_attention_that_has_nothing_to_do_with_it_is_not():
    found = [correlation(maps(seed=2 * seed), maps(seed=2 * seed + 1)) for seed in range(60)]
    deviations = [[item.pearson.sigmas(0), item.excess.sigmas(0), item.others.sigmas(0)] for item in found]
    # errors are as large as the scatter of 60 measurements, that of others larger by 2^(1/2) where nothing is shared
    assert np.sqrt(np.mean(np.square(deviations), 0)) == pytest.approx([1, 1, 0.5**0.5], abs=0.2)


def test_what_all_configurations_share_is_in_the_control():
    shared = 2 * maps(1, seed=9)
    seen, local = shared + maps(seed=1), shared + maps(seed=2)
    found = correlation(seen, local)
    assert found.pearson.mean > 0.5
    assert found.others.mean == pytest.approx(found.pearson.mean, abs=0.05)
    assert abs(found.excess.sigmas(0)) < 4


def test_errors_are_of_the_jackknife():
    seen, local = maps(12, seed=3), maps(12, seed=4)
    found = correlation(seen, local)
    left = [correlation(np.delete(seen, one, 0), np.delete(local, one, 0)) for one in range(12)]
    for name in ("others", "excess"):
        values = np.array([getattr(item, name).mean for item in left])
        assert getattr(found, name).error == pytest.approx(np.sqrt(11 * values.var()), rel=1e-9)
    off = [np.corrcoef(seen[a].ravel(), local[b].ravel())[0, 1] for a in range(12) for b in range(12) if a != b]
    assert found.others.mean == pytest.approx(np.mean(off))


def test_uniform_maps_are_left_out():
    seen, local = maps(), maps(seed=5)
    local[3:7], seen[5:9] = -2.0, 1 / 30 + 1e-10 * seen[5:9]
    found = correlation(seen, local)
    assert np.flatnonzero(~found.used).tolist() == [3, 4, 5, 6, 7, 8]
    assert found.pearson == correlation(seen[found.used], local[found.used]).pearson
    local[LEAST - 1 :] = -2.0
    with pytest.raises(KadanoffError, match="3 of 40 configurations have contrast in both maps"):
        correlation(seen, local)


def test_what_a_line_leaves_has_no_correlation_with_it():
    given, own = maps(), maps(seed=6)
    local = 2 * given + own
    found = at_equal(local, given)
    assert (found * given).sum((1, 2)) == pytest.approx(0, abs=1e-9)
    assert correlation(given, found).pearson.mean == pytest.approx(0, abs=1e-9)
    assert correlation(own, found).pearson.mean > 0.95
    assert not at_equal(np.full((2, 3, 3), 0.5), maps(2)[:, :3, :3]).any()
