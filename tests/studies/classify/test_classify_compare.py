"""The comparison of classifiers, on small simulated lattices with predictions made by hand."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

import kadanoff
from kadanoff.data.store import open_dataset
from kadanoff.errors import KadanoffError
from kadanoff.phases.baselines import best as best_baseline
from kadanoff.phases.baselines import fit_baselines
from kadanoff.phases.bayes import bayes_limit, predict, region_distributions
from kadanoff.phases.microstates import Datasets
from kadanoff.phases.regions import LABELLED
from kadanoff.phases.scores import macro_f1, mean_over, score_rows
from kadanoff.phases.trials import Task, Trial
from kadanoff.spins.boundary import Lattice
from kadanoff.studies.classify import references
from kadanoff.studies.classify.classify_compare import classify_compare
from kadanoff.studies.classify.comparison import kara_row, key
from kadanoff.studies.classify.scores import difference, mean_score, scores_of

SIZE, LARGER, TESTS, SEED = 8, 12, 2, 3
TEMPERATURES = [0.3, 0.7, 0.9, 1.05, 1.2, 1.5, 1.8, 2.1, 2.13, 2.2, 2.25, 2.3, 2.4, 2.7, 3.2, 4.0]
SYSTEMS = {"periodic": {}, "antiperiodic": {"boundary": "antiperiodic"}}
SAMPLED = {"samples": 160, "workers": 1, "allow_unequilibrated": True}
WALLED = {"boundary": "antiperiodic", "sampler": "hybrid", "start": "ground", "sweeps": 20}
DATA = {
    "classify_periodic_equilibrium": SAMPLED | {"sampler": "swendsen_wang", "sweeps": 30},
    "classify_antiperiodic_equilibrium": SAMPLED | WALLED,
    "classify_periodic_metropolis500": SAMPLED | {"sampler": "metropolis", "sweeps": 15},
    "larger": SAMPLED | {"samples": 40, "sampler": "swendsen_wang", "sweeps": 30},
}
TRAINING = {
    "epochs": 1, "batch_size": 10, "learning_rate": 0.01, "weight_decay": 0.0, "plateau_patience": 1,
    "plateau_factor": 0.5, "early_stopping_patience": 1, "seed": 0,
}  # fmt: skip
PARAMS = {
    "classify": {
        "systems": SYSTEMS,
        "protocols": ["equilibrium"],
        "trials": 2,
        "at_once": 1,
        "tests": TESTS,
        "sizes": {"periodic": ["larger"]},
        "curve": {"protocol": "equilibrium", "system": "periodic", "images": [40]},
        "seed": SEED,
        "training": TRAINING,
        "models": {
            "vit": {"library": "transformers", "model": "vit"},
            "resnet18": {"library": "timm", "model": "resnet18"},
        },
    },
    "classify_compare": {"models": ["vit", "resnet18"], "scatter": 200},
}


OTHER = {"periodic": "antiperiodic", "antiperiodic": "periodic"}


def data(root):
    return Datasets(root / "data" / "classify", TESTS, SEED)


def limit_of(system):
    lattice = Lattice.of(SIZE, SYSTEMS[system].get("boundary", "periodic"))
    return bayes_limit(*region_distributions(lattice, TEMPERATURES))


def best(system, images):
    """What the Bayes classifier says."""
    return predict(limit_of(system), images.energies, SIZE**2)


def perfect(system, images):
    """The labels, as a leak gives them away."""
    return images.labels


def predicted(root, say, flawed, system, trial):
    """Labels of the test sets; the second trial takes the first so many images for the next region."""
    found = [say(system, images) for images in data(root).sets(system, "equilibrium").tests]
    order = np.arange(400) < flawed * trial
    return [(labels + order) % 4 for labels in found]


def trials(root, say, flawed):
    """Two trials in equilibrium, the second of them `flawed`."""
    found = {}
    for system in SYSTEMS:
        tests = data(root).sets(system, "equilibrium").tests
        for trial in range(2):
            scores = score_rows(tests, predicted(root, say, flawed, system, trial), tested_on=system)
            if trial == 0:
                elsewhere = data(root).sets(OTHER[system], "equilibrium").tests[0]
                scores += score_rows([elsewhere], [elsewhere.labels // 2 * 2], tested_on=OTHER[system])
            if trial == 0 and system == "periodic":
                larger = data(root).test("larger")
                scores += score_rows([larger], [larger.labels], tested_on="larger")
            found[Task("equilibrium", system, "physics", LABELLED, trial)] = Trial(scores, [], None, 1)
    tests = data(root).sets("periodic", "equilibrium").tests
    scores = score_rows(tests, np.zeros((TESTS, 400), int), tested_on="periodic")
    found[Task("equilibrium", "periodic", "none", 40, 0)] = Trial(scores, [], None, 1)
    return found


def write(root, params):
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def save(root, name, found):
    folder = root / "models" / "classify" / name
    folder.mkdir(parents=True, exist_ok=True)
    scores_of(name, found).to_csv(folder / "scores.csv", index=False)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    write(folder, PARAMS)
    for seed, (name, given) in enumerate(DATA.items()):
        size = LARGER if name == "larger" else SIZE
        kadanoff.simulate(size, TEMPERATURES, seed=seed, **given).save(folder / "data" / "classify" / f"{name}.zarr")
    save(folder, "vit", trials(folder, best, 10))
    save(folder, "resnet18", trials(folder, perfect, 0))
    return folder


def run(root, patch):
    patch.chdir(root)
    patch.setattr("kadanoff.project.view.LIVE_AFTER_SECONDS", float("inf"))  # MLflow starts in seconds
    patch.setattr(references, "in_processes", lambda _, function, tasks: [function(*task) for task in tasks])
    classify_compare(root)


@pytest.fixture(scope="module")
def record(root):
    with pytest.MonkeyPatch.context() as patch:
        run(root, patch)
    return root / "reports" / "classify_compare"


@pytest.fixture(scope="module")
def metrics(record):
    return json.loads((record / "metrics.json").read_text())


@pytest.fixture(scope="module")
def text(record):
    return (record / "tables.md").read_text()


def line(text, title, name):
    """Cells of a row of the table with this title."""
    (part,) = [part for part in text.split("## ") if part.startswith(title)]
    (found,) = [row for row in part.split("\n") if row.startswith(f"| {name} |")]
    return found.strip("| ").split(" | ")[1:]


def test_perfect_predictions_are_a_leak_and_the_best_ones_are_none(metrics, text):
    assert metrics["leaks"] == 2
    assert all(value.endswith(" leak") for value in line(text, "Macro-F1, equilibrium", "resnet18"))
    for system in SYSTEMS:
        assert line(text, "Against the limit, equilibrium", f"{system}: resnet18")[-1] == "leak"
        for name in ("vit", "Bayes classifier", "energy thresholds", "gradient boosting"):
            assert line(text, "Against the limit, equilibrium", f"{system}: {name}")[-1] == "–"
    assert text.count("| leak |") == 2 * (1 + 2)  # in the details, and of two targets


def test_scores_stand_against_the_exact_limit(root, metrics, text):
    for system in SYSTEMS:
        sets, limit = data(root).sets(system, "equilibrium").tests, limit_of(system)
        exact = [macro_f1(images.labels, best(system, images)) for images in sets]
        found, bayes = metrics["equilibrium"][system]["vit"], metrics["equilibrium"][system]["Bayes_classifier"]
        assert bayes["macro_f1"]["mean"] == pytest.approx(np.mean(exact), abs=1e-12)
        assert metrics["limits"][system]["macro_f1"] == pytest.approx(limit.macro_f1, abs=1e-12)
        assert f"{limit.macro_f1:.4f}" in line(text, "The Bayes limit", system)
        assert found["macro_f1"]["mean"] == pytest.approx(np.mean(exact) + found["less_bayes"]["mean"], abs=1e-12)
        assert -0.05 < found["less_bayes"]["mean"] < -0.003  # ten of 800 images are wrong, which were not all right
        assert found["percent_of_limit"]["mean"] == pytest.approx(
            100 * found["macro_f1"]["mean"] / limit.macro_f1, abs=1e-9
        )
        assert found["scatter_of_trials"] == pytest.approx(-2 * found["less_bayes"]["mean"] / np.sqrt(2), abs=1e-9)
        assert bayes["less_bayes"] == {"mean": 0, "error": 0}


def test_kara_et_al_and_the_baselines_have_rows(metrics, text):
    assert line(text, "Macro-F1, equilibrium", "Kara et al. (2021): ViT") == ["0.934 ± 0.008", "0.921 ± 0.013"]
    assert line(text, "Macro-F1, equilibrium", "Kara et al. (2021): ResNet-18") == ["0.865 ± 0.034", "0.910 ± 0.021"]
    for name in ("energy thresholds", "logistic regression", "gradient boosting"):
        cells = line(text, "Macro-F1, equilibrium", name)
        for cell, (system, limit) in zip(cells, metrics["limits"].items(), strict=True):
            assert float(cell.split("(")[0]) == pytest.approx(limit["macro_f1"], abs=0.1)
            assert metrics["equilibrium"][system][name.replace(" ", "_")]["less_bayes"]["mean"] < 0.02


def test_a_leak_meets_no_target(metrics, text):
    assert line(text, "Targets", "resnet18, periodic, equilibrium | macro-F1")[-1] == "leak"
    assert line(text, "Targets", "vit, antiperiodic, equilibrium | less Bayes")[1] == "-0.01"
    assert sum(metrics["targets"].values()) == 2 * 2 * 2
    assert metrics["targets"]["leak"] == 4


def test_differences_are_paired_and_the_baseline_is_that_of_the_validation_set(root, metrics, text):
    for system in SYSTEMS:
        states = data(root).sets(system, "equilibrium")
        baselines = fit_baselines(states.train, states.validation, SEED)
        chosen = best_baseline(baselines)
        found = metrics["differences"]["equilibrium"][system][f"images={LABELLED}"]

        def scored(labels, states=states):
            return [macro_f1(images.labels, own) for images, own in zip(states.tests, labels, strict=True)]

        baseline = np.array(scored([baselines[chosen](images) for images in states.tests]))
        networks = {
            name: np.array([scored(predicted(root, say, flawed, system, trial)) for trial in range(2)])
            for name, say, flawed in (("vit", best, 10), ("resnet18", perfect, 0))
        }
        pairs = {f"{name}_less_best_baseline": scores - baseline for name, scores in networks.items()}
        pairs["vit_less_resnet18"] = networks["vit"] - networks["resnet18"]
        for name, less in pairs.items():
            expected = mean_over(less)
            assert found[name] == pytest.approx({"mean": expected.mean, "error": expected.error})
        cells = line(text, "Differences", f"resnet18 less {chosen} (best baseline), {system}, equilibrium")
        assert cells[:2] == [str(LABELLED), "2"]
        assert cells[-1] == "yes"


def frame(table, start):
    """Rows of scores (trials, tests)."""
    return pd.DataFrame(
        [
            {"model": "a", "start": start, "trial": trial, "test": test, "macro_f1": score}
            for (trial, test), score in np.ndenumerate(table)
        ]
    )


def test_the_error_of_a_difference_is_that_of_what_is_not_shared():
    luck = np.array([[0.02, -0.03, 0.01, 0.0]])  # of each test set
    one = frame(0.9 + luck + np.array([[0.001], [-0.001]]), "physics")
    for other in (frame(0.8 + luck, ""), frame(0.8 + luck + np.array([[0.001], [-0.001], [0.1]]), "none")):
        found = difference(one, other)
        assert found.mean == pytest.approx(0.1)
        assert found.error < 0.0011
    # negative control: means that are taken as independent
    assert (mean_score(one) - mean_score(other)).error > 0.01


def test_along_the_learning_curve_the_baseline_has_as_many_images(root, metrics):
    states = data(root).sets("periodic", "equilibrium")
    chosen = best_baseline(fit_baselines(states.train[:40], states.validation, SEED))
    known, found = metrics["curves"], metrics["differences"]["equilibrium"]["periodic"]["images=40"]
    less = known["vit_none"]["images=40"]["mean"] - known[key(chosen)]["images=40"]["mean"]
    assert set(found) == {"vit_none_less_best_baseline"} | {"resnet18_none_less_best_baseline"}
    assert found["vit_none_less_best_baseline"]["mean"] == pytest.approx(less, abs=1e-12)


def test_quenches_keep_walls_and_equilibrium_has_none(root, metrics, text):
    assert metrics["walls"]["periodic"]["equilibrium"]["mean"] < 0.003
    assert metrics["walls"]["antiperiodic"]["equilibrium"]["mean"] < 0.003
    cold = open_dataset(data(root).path("periodic", "metropolis500")).energy[:4]
    walled = np.mean(cold > -2 + 4 / SIZE - 1e-9)  # two straight walls cost 2 |J| a bond
    assert walled > 0.1
    assert metrics["walls"]["periodic"]["metropolis500"]["mean"] == pytest.approx(walled, abs=0.05)
    assert line(text, "Lattices below", "antiperiodic")[-1] == "–"


def test_what_a_network_says_elsewhere_is_scored(root, metrics, text):
    transfer = metrics["transfer"]["equilibrium"]["vit"]["periodic"]
    assert transfer["antiperiodic"]["mean"] == pytest.approx(np.mean([2 * 150 / 350, 0, 2 * 70 / 270, 0]), abs=1e-12)
    assert 0.005 < transfer["antiperiodic"]["error"] < 0.05
    own = data(root).sets("periodic", "equilibrium").tests[0]
    assert transfer["periodic"]["mean"] == pytest.approx(macro_f1(own.labels, best("periodic", own)), abs=1e-12)
    assert metrics["sizes"]["vit"]["larger"] == {"mean": 1, "error": 0}
    assert metrics["sizes"]["Bayes_classifier"]["larger"]["mean"] < 1
    assert "larger, L = 12" in text


def test_learning_curves_hold_networks_and_baselines(metrics):
    curves = metrics["curves"]
    assert curves["vit_none"]["images=40"]["mean"] == pytest.approx(2 * 150 / 550 / 4, abs=1e-12)
    assert curves["vit_physics"][f"images={LABELLED}"] == metrics["equilibrium"]["periodic"]["vit"]["macro_f1"]
    assert 0.5 < curves["energy_thresholds"]["images=40"]["mean"] < 0.8
    assert curves["gradient_boosting"]["images=40"]["mean"] > 0.5
    assert set(curves["gradient_boosting"]) == {"images=40", f"images={LABELLED}"}


def test_all_figures_are_drawn(record):
    assert {path.stem for path in record.glob("*.png")} == {"limits", "scores", "learning_curves"}


@pytest.fixture
def copy(root, tmp_path, monkeypatch):
    """A project with the same data and without scores."""
    (tmp_path / "data").symlink_to(root / "data")
    write(tmp_path, PARAMS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_out_of_equilibrium_there_is_no_limit(copy, monkeypatch):
    sets = data(copy).sets("periodic", "metropolis500").tests
    scores = score_rows(sets, [images.labels for images in sets], tested_on="periodic")
    save(copy, "vit", {Task("metropolis500", "periodic", "physics", LABELLED, 0): Trial(scores, [], None, 1)})
    classify = PARAMS["classify"] | {"systems": {"periodic": {}}, "sizes": {}}
    write(copy, {"classify": classify, "classify_compare": {"models": ["vit"], "scatter": 200}})
    run(copy, monkeypatch)
    folder = copy / "reports" / "classify_compare"
    text, metrics = (folder / "tables.md").read_text(), json.loads((folder / "metrics.json").read_text())
    assert line(text, "Against the limit, metropolis500", "periodic: vit")[-3:] == ["–", "–", "–"]
    assert "Bayes classifier |" not in text
    assert metrics["leaks"] == 0
    assert metrics["targets"] == {"yes": 2, "no": 0, "open": 0, "leak": 0}
    assert not (folder / "learning_curves.png").exists()


@pytest.mark.parametrize("damage", [None, b"nothing", b"\xff\xfe"])
def test_scores_that_are_not_there_are_asked_for(copy, monkeypatch, damage):
    path = copy / "models" / "classify" / "vit" / "scores.csv"
    path.parent.mkdir(parents=True)
    if damage is not None:
        path.write_bytes(damage)
    with pytest.raises(KadanoffError, match=r"vit/scores.csv holds no scores .* `dvc repro classify`"):
        run(copy, monkeypatch)


def test_rows_of_kara_et_al():
    rows = {
        "vit": "ViT",
        "resnet18": "ResNet-18",
        "resnet50.a1_in1k": "ResNet-50",
        "resnet101": None,
        "davit_tiny": None,
    }
    assert {model: kara_row(model) for model in rows} == rows
