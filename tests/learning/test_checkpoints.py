import errno
from pathlib import Path

import pytest
import safetensors.torch
import torch

from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, load_model, load_state, read_recipe, save_model, save_state
from kadanoff.networks.registry import build

COARSENERS = ("drawn", "cnn", "mlp", "exact")


def recipe_of(name: str) -> Recipe:
    return Recipe(name, {"block": 2, "size": 8}, {"dataset": "coarsen16", "rule": "average", "seed": 3})


def save(path: Path, name: str = "cnn", recipe: Recipe | None = None) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        save_model(path, build(name, block=2, size=8), recipe or recipe_of(name))
    return path


@pytest.mark.parametrize("name", COARSENERS)
def test_loading_gives_the_same_network(tmp_path: Path, name: str) -> None:
    network = build(name, block=2, size=8)
    lattice = torch.randint(0, 2, (4, 1, 8, 8)).float() * 2 - 1
    network(lattice)  # moves the statistics of batch normalization
    save_model(tmp_path / "models" / "m.safetensors", network, recipe_of(name))
    loaded = load_model(tmp_path / "models" / "m.safetensors")
    assert not loaded.training
    assert torch.equal(loaded(lattice), network.eval()(lattice))
    assert read_recipe(tmp_path / "models" / "m.safetensors") == recipe_of(name)


def test_same_weights_same_bytes(tmp_path: Path) -> None:
    recipe = recipe_of("cnn")
    turned = Recipe("cnn", dict(reversed(recipe.arguments.items())), dict(reversed(recipe.training.items())))
    files = [save(tmp_path / "1", recipe=recipe), *(save(tmp_path / str(i), recipe=turned) for i in range(2, 6))]
    assert len({file.read_bytes() for file in files}) == 1


def test_memory_layout_leaves_no_trace(tmp_path: Path) -> None:
    network = build("cnn", block=2, size=8)
    save_model(tmp_path / "rows", network, recipe_of("cnn"))
    save_model(tmp_path / "channels", network.to(memory_format=torch.channels_last), recipe_of("cnn"))
    assert (tmp_path / "rows").read_bytes() == (tmp_path / "channels").read_bytes()


def test_a_flipped_bit_of_a_weight_is_noticed(tmp_path: Path) -> None:
    content = bytearray(save(tmp_path / "m").read_bytes())
    content[-3] ^= 1 << 4  # of the mantissa: still a finite number
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(KadanoffError, match=r"is damaged: its weights are not those saved"):
        load_model(tmp_path / "m")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def pickled(path: Path) -> None:
    torch.save(build("cnn", block=2, size=8).state_dict(), path)


def without_recipe(path: Path) -> None:
    safetensors.torch.save_file(build("cnn", block=2, size=8).state_dict(), path)


def with_recipe(text: str):
    def write(path: Path) -> None:
        safetensors.torch.save_file(build("cnn", block=2, size=8).state_dict(), path, metadata={"kadanoff": text})

    return write


def of_another_block(path: Path) -> None:
    save_model(path, build("drawn", block=4, size=8), recipe_of("drawn"))


def described(recipe: Recipe):
    return lambda path: save(path, recipe=recipe)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "not a whole safetensors file"),
        (empty, "not a whole safetensors file"),
        (pickled, "not a whole safetensors file"),
        (without_recipe, "weights without a recipe"),
        (with_recipe("{'network'"), "recipe that cannot be read"),
        (with_recipe('{"format": 1, "network": "cnn"}'), "recipe that cannot be read"),
        (with_recipe('{"format": 1, "network": "cnn", "arguments": 3}'), "cannot be rebuilt"),
        (with_recipe('{"format": 99}'), "has format 99; this version reads 1"),
        (described(recipe_of("drawn")), "weights of another"),
        (of_another_block, "weights of another"),
        (described(recipe_of("resnet")), "network is 'resnet'; choose one of drawn"),
        (described(Recipe("cnn", {"block": 2, "size": 8, "depth": 9})), "'depth'; its arguments are block, size"),
        (Path.unlink, "cannot read .* No such file"),
    ],
)
def test_bad_files_are_named_with_what_is_wrong(tmp_path: Path, damage, message: str) -> None:
    path = save(tmp_path / "bad.safetensors")
    damage(path)
    with pytest.raises(KadanoffError, match=message) as error:
        load_model(path)
    assert "bad.safetensors" in str(error.value)


@pytest.mark.parametrize("write", [lambda path: save(path, "drawn"), lambda path: save_state(path.parent, {"a": 1})])
def test_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write) -> None:
    path = save(tmp_path / "m.safetensors")
    save_state(tmp_path, {"a": 0})
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(KadanoffError, match="No space left on device"):
        write(path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_state_comes_back(tmp_path: Path) -> None:
    assert load_state(tmp_path, torch.device("cpu")) is None
    state = {"history": [[1, 0.1, float("inf")]], "weights": {"w": torch.arange(6.0).reshape(2, 3).T}}
    save_state(tmp_path, state)
    loaded = load_state(tmp_path, torch.device("cpu"))
    assert loaded is not None
    assert loaded["history"] == state["history"]
    assert torch.equal(loaded["weights"]["w"], state["weights"]["w"])
    assert loaded["weights"]["w"].stride() == (1, 3)


def test_damaged_state_is_named(tmp_path: Path) -> None:
    save_state(tmp_path, {"a": torch.zeros(1000)})
    file = next(tmp_path.iterdir())
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(KadanoffError, match=f"{file.name} is damaged .* Remove it"):
        load_state(tmp_path, torch.device("cpu"))
