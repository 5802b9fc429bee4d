"""The stage `attention` with transformers that are made to look at minority spins, and its refusals."""

import json

import numpy as np
import pytest
import torch
import yaml

from kadanoff.data.store import Ensemble
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.networks.registry import build
from kadanoff.studies.classify.attention import attention

SIZE, PATCH, SAMPLES = 12, 3, 470
TEMPERATURES = np.array([0.8, 1.6, 2.2, 2.5])  # one of each region
OPTIONS = {"patch_size": PATCH, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
ARGUMENTS = {"model": "vit", "outputs": 4, "size": SIZE, "scale": 1, "options": OPTIONS | {"intermediate_size": 16}}
PARAMS = {"model": "vit", "system": "periodic", "temperatures": [2.0, 2.6]}
CLASSIFY = {
    "systems": {"periodic": {}}, "protocols": ["equilibrium"], "trials": 1, "at_once": 1, "tests": 1, "sizes": {},
    "curve": {"protocol": "equilibrium", "system": "periodic", "images": [40]}, "seed": 3,
    "models": {"vit": {}, "resnet18": {}},
}  # fmt: skip


def looking(weight):
    """A transformer whose attention to a patch grows, or falls, with its magnetization."""
    torch.manual_seed(0)
    network = build("transformers", **ARGUMENTS)
    embeddings, heads = network.body.vit.embeddings, network.body.vit.layers[0].attention
    with torch.no_grad():
        for part in (heads.q_proj, heads.k_proj, embeddings.patch_embeddings.projection):
            part.weight.zero_()
            part.bias.zero_()
        embeddings.patch_embeddings.projection.weight[0] = 1 / PATCH**2
        embeddings.patch_embeddings.projection.bias[1] = 3  # a scale that the normalization leaves
        embeddings.position_embeddings.zero_()
        heads.q_proj.bias.fill_(1)
        heads.k_proj.weight[:, 0] = weight
    return network


def configurations():
    """Plus spins with single ones turned; in every second lattice a domain of 4 x 4 minus spins is somewhere."""
    random = np.random.default_rng(0)
    spins = np.where(random.random((len(TEMPERATURES), SAMPLES, SIZE, SIZE)) < 0.04, -1, 1).astype(np.int8)
    spins[:, ::2, 2:6, 3:7] = -1
    spins = spins.reshape(-1, SIZE, SIZE)
    moves = random.integers(0, SIZE, (len(spins), 2))
    moved = np.stack([np.roll(one, move, (0, 1)) for one, move in zip(spins, moves, strict=True)])
    zeros = np.zeros((len(TEMPERATURES), SAMPLES))
    return Ensemble(moved.reshape(-1, SAMPLES, SIZE, SIZE), TEMPERATURES, zeros, zeros, np.ones(len(TEMPERATURES)))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "classify_periodic_equilibrium.zarr"
    configurations().save(path)
    return path


@pytest.fixture
def project(tmp_path, monkeypatch, dataset):
    """A project with data, and networks by name, as the current folder; nothing is shown live."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kadanoff.project.view.LIVE_AFTER_SECONDS", float("inf"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "classify").symlink_to(dataset.parent)
    put(tmp_path, "vit", looking(-0.5))
    write(tmp_path)
    return tmp_path


def put(project, name, network, recipe=None):
    recipe = recipe or Recipe("transformers", ARGUMENTS)
    save_model(project / f"models/classify/{name}/equilibrium_periodic.safetensors", network, recipe)


def write(project, classify=CLASSIFY, **changes):
    (project / "params.yaml").write_text(yaml.safe_dump({"attention": PARAMS | changes, "classify": classify}))


def record(project):
    folder = project / "reports/attention"
    return folder, json.loads((folder / "metrics.json").read_text()), (folder / "tables.md").read_text()


def test_record(project):
    attention(project)
    folder, found, text = record(project)
    names = {"rollout.png", "metrics.json", "run.json", "headlines.json", "tables.md"}
    assert {path.name for path in folder.iterdir()} == names
    assert found["images"] == 70 + 130  # Table 1's critical and super-critical images of one test set
    assert set(found) == {"images", "energy", "walls", "walls_at_equal_energy"}
    energy, walls = found["energy"], found["walls"]
    assert energy["pearson"]["mean"] > 0.5
    assert abs(energy["others"]["mean"]) < 0.1
    assert energy["excess"]["mean"] > 10 * energy["excess"]["error"]
    assert energy["left_out"] == 0
    assert walls["pearson"]["mean"] > 0.5
    assert 70 < walls["left_out"] < 130
    assert "| critical | 70 |" in text
    assert "200 test images, T = 2.2 to 2.5" in text
    parameters = json.loads((folder / "run.json").read_text())["parameters"]
    assert parameters["classify"] == {"tests": 1, "seed": 3}
    attention(project)  # the same record again
    assert record(project)[1:] == (found, text)


def test_a_network_that_looks_away(project):
    put(project, "vit", looking(0.5))
    attention(project)
    assert record(project)[1]["energy"]["pearson"]["mean"] < -0.5


def test_a_blind_network_has_no_excess(project):
    # negative control: it attends to the same places in all configurations
    network = looking(0.0)
    embeddings = network.body.vit.embeddings
    with torch.no_grad():
        embeddings.patch_embeddings.projection.weight.zero_()
        network.body.vit.layers[0].attention.k_proj.weight[:, 5] = 1
        embeddings.position_embeddings[0, 1:, 5] = torch.linspace(-1, 1, (SIZE // PATCH) ** 2)
    put(project, "vit", network)
    attention(project)
    found = record(project)[1]
    for name in ("energy", "walls"):
        assert found[name]["others"] == pytest.approx(found[name]["pearson"], abs=0.05)
        assert abs(found[name]["excess"]["mean"]) < 4 * found[name]["excess"]["error"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperatures": [2.3, 2.4]}, r"\[2.3, 2.4\], where there are 0 test images of periodic; 10 are needed"),
        ({"model": "resnet18"}, "equilibrium_periodic.safetensors. Make it with `dvc repro classify@resnet18`"),
        ({"model": "swin"}, "classify.models has no entry 'swin'; it has: resnet18, vit"),
        ({"system": "skewed"}, "classify.systems has no entry 'skewed'; it has: periodic"),
    ],
)
def test_mistakes(project, changes, message):
    write(project, **changes)
    with pytest.raises(KadanoffError, match=message):
        attention(project)
    assert not (project / "reports").exists()
