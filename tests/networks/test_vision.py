"""Image models of the two libraries, tiny and freshly drawn; nothing here needs the network."""

import re

import pytest
import torch

from kadanoff.errors import KadanoffError
from kadanoff.learning.randomness import seeded
from kadanoff.networks.registry import build

TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
VIT = {"model": "vit", "outputs": 4, "size": 16, "scale": 1, "options": TINY | {"patch_size": 4}}
RESNET = {"model": "test_resnet", "outputs": 4, "scale": 1, "options": {}}
STAGES = {"hidden_sizes": [4, 8, 8, 8], "depths": [1, 1, 1, 1]}
SWIN = {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 2, "patch_size": 2}


def spins(count, height, width=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (count, 1, height, width or height), generator=generator).float() * 2 - 1


def drawn(library, arguments, **changes):
    with seeded(0):
        return build(library, **arguments | changes).eval()


def vit(size=16, **options):
    return drawn("transformers", VIT, size=size, options=VIT["options"] | options)


@pytest.mark.parametrize("shape", [(16, 16), (9, 22)])
@pytest.mark.parametrize(
    ("library", "arguments"),
    [
        ("transformers", VIT),
        ("transformers", VIT | {"scale": 2, "options": VIT["options"] | {"num_channels": 3}}),
        ("transformers", VIT | {"model": "swin", "options": SWIN}),
        ("transformers", VIT | {"model": "resnet", "options": STAGES | {"embedding_size": 4}}),
        ("timm", RESNET | {"outputs": 7}),
        ("timm", RESNET | {"scale": 2, "options": {"in_chans": 3}}),
    ],
)
def test_lattices_of_any_size_become_outputs(library, arguments, shape):
    network = drawn(library, arguments)
    network.check(*shape)
    with torch.inference_mode():
        assert network(spins(3, *shape)).shape == (3, arguments["outputs"])


def test_resnet18_takes_lattices():
    network = drawn("timm", RESNET, model="resnet18")
    assert network(spins(2, 16)).shape == (2, 4)
    assert network.body.conv1.weight.shape == (64, 1, 7, 7)


# --- what a model sees -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "patch"), [((16, 16), 4), ((20, 40), 10), ((9, 22), 4)])
def test_zeros_are_added_below_and_to_the_right(shape, patch):
    height, width = shape
    lattice = spins(2, *shape)
    pixels = vit(patch_size=patch).pixels(lattice)
    assert pixels.shape[-2:] == (-(-height // patch) * patch, -(-width // patch) * patch)
    assert torch.equal(pixels[..., :height, :width], lattice)
    assert not pixels[..., height:, :].any()
    assert not pixels[..., width:].any()


def test_a_spin_becomes_a_square_of_pixels_in_every_channel():
    lattice = spins(2, 5, 6)
    network = drawn("timm", RESNET, scale=3, options={"in_chans": 3})
    pixels = network.pixels(lattice)
    assert pixels.shape == (2, 3, 15, 18)
    for y, x in ((0, 0), (1, 2), (2, 1)):
        assert torch.equal(pixels[:, :, y::3, x::3], lattice.expand(-1, 3, -1, -1))


def test_the_model_sees_these_pixels_and_no_others():
    network = vit()
    lattice = spins(2, 10)
    padded = torch.nn.functional.pad(lattice, (0, 2, 0, 2))
    with torch.inference_mode():
        assert torch.equal(network(lattice), network(padded))
        assert not torch.allclose(network(lattice), network(padded + 0.1))
        assert not torch.allclose(network(lattice), network(-lattice))


def test_every_parameter_learns():
    for network in (vit(), drawn("timm", RESNET)):
        network.train()(spins(8, 16)).square().mean().backward()
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        assert all(gradient is not None for gradient in gradients.values())
        assert any(gradient.abs().max() > 0 for gradient in gradients.values())


# --- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("library", "arguments", "size", "words"),
    [
        (
            "timm",
            {"model": "test_vit", "options": {"img_size": 32}},
            24,
            "24 x 24, which test_vit does not take: Input",
        ),
        ("timm", {"model": "vit_tiny_patch16_224", "options": {"img_size": 32, "depth": 1}}, 48, "doesn't match model"),
        ("transformers", {"options": TINY | {"patch_size": 20}}, 16, "16 x 16, which vit does not take"),
        (
            "transformers",
            {"model": "convnext", "options": STAGES},
            8,
            "8 x 8, which convnext does not take: Calculated",
        ),
    ],
)
def test_a_size_that_a_model_does_not_take_is_named_with_the_reason(library, arguments, size, words):
    network = drawn(library, (VIT if library == "transformers" else RESNET) | arguments).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(KadanoffError, match=re.escape(words)) as caught:
        network.check(size, size)
    assert str(caught.value).endswith("Take another size, or a model that is built for this one.")
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("library", "model", "words"),
    [
        ("transformers", "vitt", "transformers has no image classifier 'vitt'; the nearest are vit"),
        ("transformers", "bert", "transformers has no image classifier 'bert'"),
        ("timm", "resnet-18", "timm has no model 'resnet-18'; the nearest are resnet18"),
        ("timm", "zzzzzqqqqq", r"'zzzzzqqqqq'; the nearest are \w+.* Take one of its names"),
        ("timm", "hf-hub:some/model", "timm has no model 'hf-hub:some/model'"),
    ],
)
def test_an_unknown_model_names_the_nearest(library, model, words):
    with pytest.raises(KadanoffError, match=words):
        drawn(library, VIT if library == "transformers" else RESNET, model=model)


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(KadanoffError, match="vit has no key 'hiden_size'; the nearest are hidden_size"):
        vit(hiden_size=3)


@pytest.mark.parametrize("options", [{"patch_size": 0}, {"hidden_act": "none"}, {"num_hidden_layers": "many"}])
def test_an_option_of_transformers_that_makes_no_sense_is_a_sentence(options):
    with pytest.raises(KadanoffError, match="vit") as caught:
        vit(**options).check(16, 16)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{"depth": 3}, {"num_classes": 3}, {"in_chans": "a"}])
def test_an_option_of_timm_that_makes_no_sense_is_a_sentence(options):
    with pytest.raises(KadanoffError, match=r"timm refuses test_resnet with .*Change these options"):
        drawn("timm", RESNET, options=options)


@pytest.mark.parametrize(
    ("library", "arguments"), [("transformers", {"model": "vit", "outputs": 4}), ("timm", RESNET | {"size": 16})]
)
def test_wrong_arguments_name_the_right_ones(library, arguments):
    with pytest.raises(KadanoffError, match="its arguments are model, outputs, "):
        build(library, **arguments)


# --- files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("library", "model", "key"),
    [
        ("timm", "resnet10t", "checkpoint_path"),
        ("timm", "resnet10t", "pretrained_cfg_overlay"),
        ("transformers", "timm_wrapper", "architecture"),
        ("transformers", "timm_wrapper", "model_args"),
    ],
)
def test_options_that_would_load_files_are_refused(library, model, key):
    size = {"size": 16} if library == "transformers" else {}
    with pytest.raises(KadanoffError, match=f"options has '{key}', which would load files"):
        build(library, model=model, outputs=4, scale=1, options={key: "elsewhere.pth"}, **size)
