"""The stage `block_rule`, with few lattices: weights, records, and what it refuses."""

import json

import pytest
import yaml

from kadanoff.errors import KadanoffError
from kadanoff.renormalization.learned import load_weights
from kadanoff.studies.mcrg.block_rule import block_rule

VARIANTS = {
    "near": {"criterion": "fixed_point", "block": 2, "triples": 1},
    "far": {"criterion": "information", "block": 2, "triples": 0},
}
PARAMS = {"lattices": 128, "many": 512, "judged": 512, "buffer": 1, "seed": 0, "variants": VARIANTS}


@pytest.fixture(scope="module")
def project(tmp_path_factory, inside):
    with inside(tmp_path_factory.mktemp("project"), {"block_rule": PARAMS}) as root:
        for name in VARIANTS:
            block_rule(root, name)
        yield root


@pytest.mark.parametrize("name", VARIANTS)
def test_weights_and_record(project, name):
    weights = load_weights(project / f"models/block_rule/{name}.safetensors")
    assert weights.block == 2
    assert set(weights.values) == {"11", "01", "00", *(["11 12 21"] if name == "near" else [])}
    record = project / "reports/block_rule" / name
    assert {file.name for file in record.glob("*.png")} == {"weights.png", "means.png"}
    rules = json.loads((record / "metrics.json").read_text())["rules"]
    assert set(rules) == {"learned", "majority", "weighted, w = 1", "decimation", "majority of the ring"}
    assert set(rules["majority"]) == {"divergence", "information"}
    assert "| 11 |" in (record / "tables.md").read_text()


def test_training_lowers_the_divergence(project):
    rules = json.loads((project / "reports/block_rule/near/metrics.json").read_text())["rules"]
    assert rules["learned"]["divergence"] < rules["majority"]["divergence"]
    history = (project / "reports/block_rule/near/history.csv").read_text().splitlines()
    losses = [float(line.split(",")[1]) for line in history[1:]]
    assert losses == sorted(losses, reverse=True)


def test_the_same_parameters_give_the_same_bytes(project, tmp_path, inside):
    with inside(tmp_path, {"block_rule": PARAMS}) as root:
        block_rule(root, "near")
        path = "models/block_rule/near.safetensors"
        assert (root / path).read_bytes() == (project / path).read_bytes()


@pytest.mark.parametrize("change", [{"lattices": 9}, {"many": 9}, {"judged": 9}, {"buffer": 9}])
def test_too_little_is_refused_before_training(tmp_path, change):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"block_rule": PARAMS | change}))
    with pytest.raises(KadanoffError, match=r"at least 128|greater than or equal to 128|smaller buffer"):
        block_rule(tmp_path, "near")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"block": 1}, "block"), ({"criterion": "exponents"}, "criterion"), ({"triples": -1}, "triples")],
)
def test_wrong_keys_are_refused(tmp_path, change, message):
    variants = {"near": VARIANTS["near"] | change}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"block_rule": PARAMS | {"variants": variants}}))
    with pytest.raises(KadanoffError, match=rf"block_rule\.variants\.near.*{message}"):
        block_rule(tmp_path, "near")
