"""The stage `superres_weights` on small lattices: its record, its law, and its refusals."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.spins.exact import T_C
from kadanoff.studies.superres.superres_weights import law, superres_weights

TRAINING = {"epochs": 60, "batch_size": 1000, "learning_rate": 1e-2, "weight_decay": 0.0, "plateau_patience": 5}
TRAINING |= {"plateau_factor": 0.3, "early_stopping_patience": 20, "seed": 0}
PARAMS = {"model": "superres/blocks", "dataset": "seeds", "train": "train", "sizes": [16, 32], "draws": 2000}
PARAMS |= {"chains": 20, "width": 16, "training": TRAINING}


@pytest.fixture(scope="module")
def project(tmp_path_factory, inside):
    """A project with the network of the package, seeds and lattices to learn from, as the current folder."""
    root = tmp_path_factory.mktemp("superres_weights")
    (root / "models/superres").mkdir(parents=True)
    shipped = Path(kadanoff.__file__).parent / "pretrained/superres_blocks.safetensors"
    (root / "models/superres/blocks.safetensors").write_bytes(shipped.read_bytes())
    for name, size, temperature, samples in (("seeds", 8, T_C, 2000), ("train", 16, T_C, 300), ("hot", 16, 3.0, 2)):
        kadanoff.simulate(size, temperature, samples, seed=len(name)).save(root / f"data/superres/{name}.zarr")
    with inside(root, {"superres_weights": PARAMS}):
        yield root


def test_record(project):
    superres_weights(project)
    record = project / "reports/superres_weights"
    assert {path.name for path in record.iterdir()} >= {"weights.png", "tables.md", "headlines.json", "comparison.csv"}
    metrics = json.loads((record / "metrics.json").read_text())
    assert set(metrics) == {"one", "each"}
    for method, size in (("one", 16), ("one", 32), ("each", 16)):  # a short training leaves little for 32
        numbers = metrics[method][f"L={size}"]
        assert all(abs(numbers[key]["mean"]) < 5 * numbers[key]["error"] for key in ("log_partition", "energy"))
        assert 0 < numbers["effective_share"]["mean"] < 1
    run = json.loads((record / "run.json").read_text())
    assert run["result"].startswith("At T_c and L = 32, ")
    assert len(pd.read_csv(record / "comparison.csv")) == 4


def test_the_law_is_a_fit_to_the_squares_of_the_sizes():
    sizes = np.array([16, 32, 64])
    frame = pd.DataFrame({"L": sizes, "variance": [Estimate(0.001 * size**2 + 0.1, 0.01 * size) for size in sizes]})
    slope, constant = law(frame)
    assert (slope.mean, constant.mean) == pytest.approx((0.001, 0.1))
    assert 0 < slope.error < 0.001


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sizes": [16, 24]}, r"superres_weights\.sizes is \[16, 24\]; the seeds are 8 x 8"),
        ({"sizes": [8, 16]}, "take 8 times powers of 2"),
        ({"sizes": [32, 16]}, "in ascending order"),
        ({"sizes": [16]}, r"superres_weights\.sizes"),
        ({"sizes": [64, 128]}, "16 x 16 cannot be halved 4 times"),
        ({"draws": 2001}, r"superres_weights\.draws is 2001, but seeds has 2000"),
        ({"train": "hot"}, r"superres_weights\.train is hot, which"),
        ({"model": "superres/absent"}, "dvc repro superres@absent"),
    ],
)
def test_parameters_that_are_refused(project, inside, changes, reason):
    with inside(project, {"superres_weights": PARAMS | changes}), pytest.raises(KadanoffError, match=reason):
        superres_weights(project)
