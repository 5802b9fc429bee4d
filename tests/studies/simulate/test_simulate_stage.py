"""Stage `simulate`: one record of all datasets of a study, and only what changed is simulated again."""

import json

import pandas as pd
import pytest
import yaml

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.montecarlo.quality import FINE
from kadanoff.studies.simulate import simulate as module
from kadanoff.studies.simulate.simulate import simulate

SMALL = {"size": 4, "temperatures": [2.0, 3.0], "samples": 20, "seed": 1}
DATASETS = {"ordered": SMALL, "staggered": SMALL | {"coupling": -1.0}, "single": SMALL | {"temperatures": [2.2]}}


def write(root, datasets):
    (root / "params.yaml").write_text(yaml.safe_dump({"datasets": {"study": datasets}}, sort_keys=False))


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    write(tmp_path, DATASETS)
    return tmp_path


@pytest.fixture
def simulated(monkeypatch):
    """Names of the datasets that are simulated, in turn."""
    names, run = [], module.run

    def noted(dataset, name, *others):
        names.append(name)
        return run(dataset, name, *others)

    monkeypatch.setattr(module, "run", noted)
    return names


@pytest.fixture
def undrawn(monkeypatch):
    for name in ("_draw_observables", "_draw_configurations"):
        monkeypatch.setattr(module, name, lambda *_: None)


def stores(root):
    folder = root / "data" / "study"
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_temperatures_of_all_datasets_are_one_table(project):
    simulate(project, "study")
    record = project / "reports/simulate/study"
    table = pd.read_csv(record / "temperatures.csv")
    assert table.dataset.tolist() == ["ordered"] * 2 + ["staggered"] * 2 + ["single"]
    ensemble = kadanoff.open_dataset(project / "data/study/ordered.zarr")
    assert table.energy[:2].to_numpy() == pytest.approx(ensemble.energy.mean(axis=1))
    assert (table.absolute_staggered_magnetization[2:4] > table.absolute_magnetization[2:4]).all()
    summary = json.loads((record / "metrics.json").read_text())
    key = "largest_deviation_from_exact_energy_in_standard_errors"
    for name, own in table.groupby("dataset"):
        assert summary[name][key] == pytest.approx(own.deviation.abs().max(), rel=1e-5)
        assert summary[name]["compared_with_exact"] == len(own)
    assert {path.name for path in record.glob("*.png")} == {"configurations.png", "observables.png"}


@pytest.mark.usefixtures("undrawn")
def test_only_what_changed_is_simulated(project, simulated):
    simulate(project, "study")
    before, (record,) = stores(project), (project / "reports/simulate").iterdir()
    table = (record / "temperatures.csv").read_bytes()
    simulated.clear()
    simulate(project, "study")
    assert simulated == []
    assert (record / "temperatures.csv").read_bytes() == table
    (project / "data/study/ordered.zarr/zarr.json").write_text("{}")  # what is damaged is made again
    simulate(project, "study")
    assert simulated == ["ordered"]
    assert stores(project) == before
    simulated.clear()
    write(project, {name: DATASETS[name] for name in ("ordered", "single")} | {"single": SMALL | {"seed": 2}})
    simulate(project, "study")
    assert simulated == ["single"]
    assert {path.parts[0] for path in stores(project)} == {"ordered.zarr", "single.zarr"}


@pytest.mark.usefixtures("undrawn")
def test_a_stage_that_was_killed_keeps_the_datasets_that_had_ended(project, simulated, monkeypatch):
    write_group = module.write_group

    def killed(path, ensemble):
        if path.name == "staggered.zarr":
            raise KeyboardInterrupt
        write_group(path, ensemble)

    monkeypatch.setattr(module, "write_group", killed)
    with pytest.raises(KeyboardInterrupt):
        simulate(project, "study")
    assert not (project / "reports/simulate/study").exists()
    monkeypatch.setattr(module, "write_group", write_group)
    simulated.clear()
    simulate(project, "study")
    assert simulated == ["staggered", "single"]


@pytest.mark.usefixtures("undrawn")
def test_of_many_temperatures_the_mean_square_deviation_is_told(project):
    temperatures = [round(2.0 + 0.01 * index, 2) for index in range(FINE + 1)]
    write(project, {"fine": SMALL | {"temperatures": temperatures, "samples": 10}})
    simulate(project, "study")
    table = pd.read_csv(project / "reports/simulate/study/temperatures.csv")
    found = json.loads((project / "reports/simulate/study/metrics.json").read_text())["fine"]
    expected = (table.deviation.dropna() ** 2).mean()
    assert found["mean_square_deviation_from_exact_energy_in_standard_errors"] == pytest.approx(expected, rel=1e-5)
    assert "largest_deviation_from_exact_energy_in_standard_errors" not in found


@pytest.mark.usefixtures("undrawn")
def test_a_quench_is_not_compared_with_equilibrium(project):
    quench = {"sampler": "metropolis", "sweeps": 2, "allow_unequilibrated": True}
    write(project, {"quench": SMALL | quench})
    simulate(project, "study")
    found = json.loads((project / "reports/simulate/study/metrics.json").read_text())
    assert found["quench"] == {"compared_with_exact": 0, "most_sweeps": 2}


def test_an_unknown_study_is_named(project):
    with pytest.raises(KadanoffError, match="datasets has no entry 'other'; it has: study"):
        simulate(project, "other")
