"""The stage `mcrg` on small lattices: its record, its parts, and what it refuses."""

import json

import pandas as pd
import pytest
import yaml

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.renormalization.learned import Weights
from kadanoff.runtime.executor import PartEnded
from kadanoff.studies.mcrg import mcrg as stage
from kadanoff.studies.mcrg.mcrg import mcrg

PARAMS = {
    "even": ["00 01", "00 11"],
    "odd": ["00", "00 01 10"],
    "rules": {
        "majority3": {"rule": "majority", "block": 3},
        "soft3": {"rule": "weighted", "block": 3, "weight": 0.5},
        "decimation2": {"rule": "decimation", "block": 2},
    },
    "lattices": [
        {"block": 3, "size": 9, "steps": 1, "measurements": 40},
        {"block": 3, "size": 27, "steps": 2, "measurements": 40},
        {"block": 2, "size": 12, "steps": 2, "measurements": 40},
    ],
    "matching": {"rule": "majority3", "size": 27, "steps": 2, "measurements": 640, "start": 0.43},
    "separation": {"rule": "majority3", "size": 27, "steps": 2, "measurements": 400, "away": 0.02},
    "chains": 8,
    "every": 2,
    "seed": 0,
}

LEARNED = {"rule": "learned", "block": 2, "trained": "soft"}


def write(root, **changes):
    (root / "params.yaml").write_text(yaml.safe_dump({"mcrg": PARAMS | changes}, sort_keys=False))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the parameters, whose tasks run in this process."""
    executor = "kadanoff.runtime.executor._here"
    monkeypatch.setattr(executor, lambda what, function, tasks, **_: [function(*task) for task in tasks])
    monkeypatch.setattr("kadanoff.project.view.LIVE_AFTER_SECONDS", float("inf"))
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    Weights(2, {"11": 0.4}).save(tmp_path / "models/block_rule/soft.safetensors")
    return tmp_path


def numbers(root):
    return json.loads((root / "reports/mcrg/metrics.json").read_text())


def test_record(project):
    mcrg(project)
    found = numbers(project)
    assert set(found) == {*PARAMS["rules"], "coupling", "separation"}
    assert {size: set(steps) for size, steps in found["majority3"].items()} == {
        "L=9": {"step=1"},
        "L=27": {"step=1", "step=2"},
    }
    names = {path.name for path in (project / "reports/mcrg").iterdir()}
    assert names >= {"steps.png", "interactions.png", "tables.md", "comparison.csv", "headlines.json"}
    rows = pd.read_csv(project / "reports/mcrg/comparison.csv")
    assert len(rows) == 3 + 3 + 2
    y = rows[(rows.rule == "majority3") & (rows.L == 27)].iloc[0]
    assert abs(y.y_H - 1.8585) < 4 * y.y_H_stderr + 0.005
    headlines = json.loads((project / "reports/mcrg/headlines.json").read_text())
    assert abs(headlines["K_c"] - stage.COUPLING) < 4 * headlines["K_c_stderr"] + 1e-3
    assert abs(headlines["K_c"] - 0.43) > 0.005
    parting = found["separation"]["step=2"]
    assert abs(parting["mean"] - 1) < 4 * parting["error"] < 0.4
    text = (project / "reports/mcrg/tables.md").read_text()
    assert text.count("## ") == 10
    assert "| majority3 | 27 - 9 | 1 |" in text
    assert not list((project / ".checkpoints").glob("mcrg-all-*[0-9a-f]"))


def test_a_learned_rule_is_measured_as_the_one_that_it_is(project, monkeypatch):
    monkeypatch.setattr(stage, "critical_coupling", lambda *_: [Estimate(0.44, 0.1)])
    rules = {"soft2": {"rule": "weighted", "block": 2, "weight": 0.4}, "learned2": LEARNED}
    write(project, rules={"majority3": PARAMS["rules"]["majority3"]} | rules)
    mcrg(project)
    learned, soft = (pd.json_normalize(numbers(project)[name]).to_numpy() for name in ("learned2", "soft2"))
    assert learned == pytest.approx(soft)
    assert "models/block_rule/soft.safetensors" in (project / "reports/mcrg/run.json").read_text()


@pytest.mark.slow
def test_parts_compute_the_exponents_lattices_once(project, monkeypatch):
    mcrg(project)
    whole, computed = numbers(project), []

    def here(what, function, tasks, **_):
        computed.extend([what] * len(tasks))
        return [function(*task) for task in tasks]

    monkeypatch.setattr("kadanoff.runtime.executor._here", here)
    for part in ("1/2", "2/2"):
        monkeypatch.setenv("KADANOFF_PART", part)
        with pytest.raises(PartEnded, match=r"mcrg: \d of 3 tasks are done"):
            mcrg(project)
    monkeypatch.delenv("KADANOFF_PART")
    mcrg(project)
    assert numbers(project) == whole
    assert computed.count("mcrg") == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"even": ["00 0"]}, r"mcrg\.even: '00 0' is no interaction"),
        ({"odd": ["00", "00 05"]}, r"and the interactions need 6 x 6; take fewer steps"),
        ({"even": ["00 01", "00"]}, "even and odd interactions do not mix"),
        ({"chains": 7}, r"mcrg\.chains is 7"),
        ({"even": ["00 01", "00 10"]}, "an interaction stands there twice"),
        ({"lattices": PARAMS["lattices"][:2]}, r"rules have blocks of \[2, 3\], lattices of \[3\]"),
        ({"lattices": [*PARAMS["lattices"], {"block": 3, "size": 10, "steps": 1, "measurements": 9}]}, "size is 10"),
        ({"lattices": [*PARAMS["lattices"], PARAMS["lattices"][0]]}, "one block and size twice"),
        (
            {"matching": PARAMS["matching"] | {"rule": "other"}},
            "rule is other; take one of rules: majority3",
        ),
        ({"separation": PARAMS["separation"] | {"away": 0.2}}, r"mcrg\.separation\.away is 0.2"),
        ({"separation": PARAMS["separation"] | {"steps": 4}}, "size is 27, which 4 steps"),
        ({"rules": {"a": {"rule": "weighted", "block": 3}}}, "weight is None and rule is weighted"),
        ({"rules": {"a": {"rule": "majority", "block": 3, "weight": 1.0}}}, "weight is 1.0 and rule is majority"),
        ({"rules": {"a": {"rule": "learned", "block": 2}}}, "trained is None and rule is learned"),
        ({"rules": PARAMS["rules"] | {"a": LEARNED | {"trained": "x"}}}, r"x\.safetensors.*dvc repro block_rule"),
        ({"rules": PARAMS["rules"] | {"a": LEARNED | {"block": 3}}}, r"has blocks of 2, and its entry of 3"),
    ],
)
def test_bad_input_is_a_sentence(project, changes, message):
    write(project, **changes)
    with pytest.raises(KadanoffError, match=message):
        mcrg(project)
    assert not (project / "reports").exists()
