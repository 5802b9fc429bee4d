"""First weights: drawn, of physics, and of checkpoints that lie in a folder; nothing here needs the network."""

import json

import pytest
import safetensors.torch
import timm
import torch
from transformers import AutoConfig, AutoModelForImageClassification, DeiTForImageClassificationWithTeacher
from transformers.utils import logging

from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, load_model, save_model
from kadanoff.learning.pretrained import initial
from kadanoff.learning.randomness import seeded
from kadanoff.networks.registry import build

TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "patch_size": 4}
VIT = {"model": "vit", "outputs": 4, "size": 16, "scale": 1, "options": TINY}
RESNET = {"model": "test_resnet", "outputs": 4, "scale": 1, "options": {}}
CASES = [("transformers", VIT), ("timm", RESNET)]
HEAD = ["classifier.bias", "classifier.weight"]


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    """A download would be an error, not a minute."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was asked"))


def spins(count=3, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (count, 1, size, size), generator=generator).float() * 2 - 1


def first(library, arguments, weights, physics=None, seed=0):
    with seeded(seed):
        return initial(library, arguments, str(weights), physics)


def changed(before, after):
    """Names of the tensors that are not the same in both."""
    assert before.keys() == after.keys()
    return sorted(name for name, tensor in after.items() if not torch.equal(before[name].float(), tensor.float()))


def rebuilt(network, recipe, path):
    """The same from a file, after it was found to give the same outputs."""
    save_model(path, network, recipe)
    loaded = load_model(path)
    with torch.inference_mode():
        assert torch.equal(loaded(spins(size=32)), network.eval()(spins(size=32)))
    return loaded


# --- drawn -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("library", "arguments"), CASES)
def test_without_weights_they_are_drawn_by_the_seed(library, arguments, tmp_path):
    network, recipe = first(library, arguments, "none")
    assert recipe == Recipe(library, arguments)
    assert not changed(network.state_dict(), first(library, arguments, "none")[0].state_dict())
    assert changed(network.state_dict(), first(library, arguments, "none", seed=1)[0].state_dict())
    rebuilt(network, recipe, tmp_path / "m.safetensors")


# --- physics ---------------------------------------------------------------------------------------------


def physics(path, library, arguments, outputs=9):
    given = arguments | {"outputs": outputs}
    with seeded(5):
        network = build(library, **given)
    network.train()(spins(8))  # moves the statistics of batch normalization
    save_model(path, network, Recipe(library, given))
    return network.state_dict()


@pytest.mark.parametrize(
    ("library", "arguments", "head"),
    [
        ("transformers", VIT, ["body.classifier.bias", "body.classifier.weight"]),
        ("timm", RESNET, ["body.fc.bias", "body.fc.weight"]),
    ],
)
def test_of_physics_every_weight_is_taken_but_the_last_layer(library, arguments, head, tmp_path):
    path = tmp_path / "physics.safetensors"
    trained = physics(path, library, arguments)
    network, recipe = first(library, arguments, "physics", path)
    assert recipe == Recipe(library, arguments)
    own = network.state_dict()
    assert sorted(name for name in own if own[name].shape != trained[name].shape) == head
    assert all(torch.equal(own[name], trained[name]) for name in own if name not in head)
    plain = first(library, arguments, "none")[0].state_dict()
    assert all(torch.equal(own[name], plain[name]) for name in head)  # drawn as ever
    assert set(changed(plain, own)) - set(head)
    rebuilt(network, recipe, tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    "other",
    [
        {"options": TINY | {"num_hidden_layers": 2}},
        {"options": TINY | {"intermediate_size": 64}},
        {"size": 32},
        {"model": "deit"},
    ],
)
def test_physics_of_another_network_is_refused(other, tmp_path):
    path = tmp_path / "physics.safetensors"
    physics(path, "transformers", VIT | other)
    with pytest.raises(
        KadanoffError, match=r"holds another network \(it differs in body\..*dvc repro pretrain"
    ) as caught:
        first("transformers", VIT, "physics", path)
    assert str(path) in str(caught.value)


def test_physics_that_is_not_there_says_how_to_make_it(tmp_path):
    with pytest.raises(KadanoffError, match=r"there is no .*dvc repro pretrain.*dvc pull.*weights: none"):
        first("transformers", VIT, "physics", tmp_path / "none.safetensors")


# --- checkpoints of Transformers -------------------------------------------------------------------------


def transformers_folder(folder, model="vit", kind=None, dtype=torch.float32, **options):
    given = {"vit": TINY, "deit": TINY}.get(model, {}) | {"image_size": 16} | options
    config = AutoConfig.for_model(model, num_labels=10, **given)
    config.architectures = []
    with seeded(3):
        network = kind(config) if kind else AutoModelForImageClassification.from_config(config)
    logging.disable_progress_bar()
    network.to(dtype).save_pretrained(folder)
    return network.state_dict()


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("vit", {}),
        ("vit", {"num_channels": 3, "image_size": 224, "patch_size": 16}),  # the library's defaults
        ("swin", {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 2, "patch_size": 2}),
    ],
)
def test_a_checkpoint_is_loaded_and_its_recipe_rebuilds_it_offline(model, options, tmp_path):
    saved = transformers_folder(tmp_path / "vit", model, **options)
    arguments = VIT | {"scale": 2, "options": {"hidden_size": 99}}  # the checkpoint's are taken
    network, recipe = first("transformers", arguments, tmp_path / "vit")
    own = network.body.state_dict()
    assert changed(saved, own) == HEAD
    assert own["classifier.weight"].shape[0] == 4
    assert network(spins()).shape == (3, 4)
    assert network.name == str(tmp_path / "vit")
    for file in (tmp_path / "vit").iterdir():
        file.unlink()
    loaded = rebuilt(network, recipe, tmp_path / "m.safetensors")
    assert type(loaded.body) is type(network.body)
    assert (loaded.channels, loaded.scale, loaded.patch) == (network.channels, 2, network.patch)


def test_weights_become_float32_whatever_they_were_saved_in(tmp_path):
    saved = transformers_folder(tmp_path / "half", dtype=torch.bfloat16)
    network, recipe = first("transformers", VIT, tmp_path / "half")
    assert changed(saved, network.body.state_dict()) == HEAD
    assert {tensor.dtype for tensor in rebuilt(network, recipe, tmp_path / "m.safetensors").parameters()} == {
        torch.float32
    }


def test_of_several_kinds_of_classifiers_the_one_that_was_saved_is_rebuilt(tmp_path):
    saved = transformers_folder(tmp_path / "deit", "deit", DeiTForImageClassificationWithTeacher)
    network, recipe = first("transformers", VIT, tmp_path / "deit")
    heads = [f"{kind}_classifier.{name}" for kind in ("cls", "distillation") for name in ("bias", "weight")]
    assert changed(saved, network.body.state_dict()) == heads
    assert isinstance(rebuilt(network, recipe, tmp_path / "m.safetensors").body, DeiTForImageClassificationWithTeacher)


def test_keys_of_other_versions_in_a_configuration_do_not_reach_the_recipe(tmp_path):
    transformers_folder(tmp_path / "vit")
    path = tmp_path / "vit" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"from_another_age": 3, "torch_dtype": "float32"}))
    network, recipe = first("transformers", VIT, tmp_path / "vit")
    assert recipe.arguments["options"]["hidden_size"] == 16
    assert not {"from_another_age", "id2label", "torch_dtype", "dtype"} & recipe.arguments["options"].keys()
    rebuilt(network, recipe, tmp_path / "m.safetensors")


def pickled(folder):
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")


def damaged(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-50])


def of_others(folder):
    safetensors.torch.save_file({"a": torch.zeros(3)}, folder / "model.safetensors", {"format": "pt"})


def configured(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def of_more_layers(folder):
    configured(folder, num_hidden_layers=2)


def of_language(folder):
    configured(folder, model_type="bert")


def with_code(folder):
    configured(
        folder, model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModelForImageClassification": "own.M"}
    )
    (folder / "own.py").write_text("raise SystemExit('code of a checkpoint ran')")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (pickled, "no file named model.safetensors"),
        (damaged, "header|incomplete"),
        (of_others, r"lacks vit\.embeddings"),
        (of_more_layers, r"lacks vit\..*\.1\."),
        (of_language, "BertConfig"),
        (with_code, "code"),
    ],
)
def test_a_folder_from_which_nothing_can_be_loaded_is_named_with_the_reason(spoil, words, tmp_path, monkeypatch):
    transformers_folder(tmp_path)
    spoil(tmp_path)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was opened"))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question was asked"))
    with pytest.raises(KadanoffError, match=f"a folder from which this model cannot be loaded: .*({words})") as caught:
        first("transformers", VIT, tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "It must hold model.safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)


# --- checkpoints of timm ---------------------------------------------------------------------------------


def timm_folder(folder, model="test_resnet", **options):
    with seeded(3):
        network = timm.create_model(model, **{"num_classes": 10} | options)
    folder.mkdir(exist_ok=True)
    safetensors.torch.save_file(network.state_dict(), folder / "model.safetensors")
    return network.state_dict()


@pytest.mark.parametrize(
    ("model", "stem", "head"),
    [("test_resnet", "conv1.0.weight", "fc"), ("test_convnext", "stem.0.weight", "head.fc")],
)
def test_a_checkpoint_of_colours_is_summed_to_one_channel(model, stem, head, tmp_path):
    saved = timm_folder(tmp_path, model)
    network, recipe = first("timm", RESNET | {"model": model}, tmp_path)
    own = network.body.state_dict()
    assert changed(saved, own) == sorted([stem, f"{head}.bias", f"{head}.weight"])
    torch.testing.assert_close(own[stem], saved[stem].sum(1, keepdim=True))
    assert own[f"{head}.weight"].shape[0] == 4
    assert recipe == Recipe("timm", RESNET | {"model": model})
    (tmp_path / "model.safetensors").unlink()
    rebuilt(network, recipe, tmp_path / "m.safetensors")


@pytest.mark.parametrize("classes", [0, 4])
def test_only_the_last_layer_is_drawn_whatever_it_was(classes, tmp_path):
    saved = timm_folder(tmp_path, in_chans=3, num_classes=classes)
    network = first("timm", RESNET | {"options": {"in_chans": 3}}, tmp_path)[0]
    own = network.body.state_dict()
    assert [name for name in own if name not in saved or not torch.equal(own[name], saved[name])] == [
        "fc.weight",
        "fc.bias",
    ]


def larger(folder):
    timm_folder(folder, "test_resnet")
    path = folder / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    safetensors.torch.save_file(weights | {"layer9.weight": torch.zeros(10**6)}, path)


def smaller(folder):
    timm_folder(folder, "test_convnext")


def of_other_shapes(folder):
    path = folder / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    safetensors.torch.save_file(weights | {"layer1.0.conv1.weight": torch.zeros(3, 3)}, path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (pickled, "No such file"),
        (damaged, "incomplete"),
        (smaller, "It lacks"),
        (larger, r"It is larger: it has layer9\.weight"),
        (of_other_shapes, "size mismatch"),
    ],
)
def test_a_folder_of_timm_from_which_nothing_can_be_loaded_is_named(spoil, words, tmp_path, monkeypatch):
    timm_folder(tmp_path)
    spoil(tmp_path)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was opened"))
    with pytest.raises(KadanoffError, match=f"a folder from which this model cannot be loaded: .*{words}") as caught:
        first("timm", RESNET, tmp_path)
    assert str(tmp_path) in str(caught.value)


# --- the hub ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("library", "arguments"), CASES)
@pytest.mark.parametrize("weights", ["someone/vit-nothere", "vit nothere"])
def test_without_a_network_a_folder_is_asked_for(library, arguments, weights, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(KadanoffError) as caught:
        first(library, arguments, weights)
    text = str(caught.value)
    assert text.startswith(f"weights is {weights!r}: no local folder, and no safetensors of that name on Hugging")
    assert f"`hf download {weights} --local-dir FOLDER`" in text
