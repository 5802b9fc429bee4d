"""Records: what is in the folder, and that it is there whole or not at all."""

import json
import math
import signal
import subprocess
import sys

import pandas as pd
import pytest
from matplotlib.figure import Figure

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.project import figures
from kadanoff.project.records import recorded
from kadanoff.project.records.dvclock import folder_md5, outputs, read_lock
from kadanoff.project.records.read import read_record

SPINS = b"some spins"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project, on a machine without mlflow."""
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name in [name for name in sys.modules if name.startswith("kadanoff.project.tracking")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    return tmp_path


def figure():
    drawn = Figure()
    drawn.subplots().plot([1, 2, 4])
    return drawn


def record(mse=0.5):
    with recorded("coarsen", "cnn", parameters={"epochs": 2}, inputs=["data/coarsen/coarsen16.zarr"]) as run:
        run.epoch(1, train_loss=0.25)
        run.epoch(0, train_loss=0.5, validation_loss=float("nan"))
        run.metrics({"mse": Estimate(mse, 0.1, 10), "by": {"T=2.27": {"mean": 1, "error": float("nan")}}})
        run.figure("history", figure())
        run.text("table.md", "| a |\n")


def fail():
    with recorded("coarsen", "cnn", parameters={}) as run:
        run.metrics({"mse": 2})
        run.figure("history", figure())
        raise ZeroDivisionError


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_figure_is_an_svg_too_on_request_with_the_same_bytes_each_time(project, monkeypatch):
    def svg():
        with recorded("coarsen", "cnn", parameters={}) as run, figures.figure() as (drawn, axes):
            axes.plot([1, 2, 4])
            run.figure("history", drawn, "A < B")
        return (project / "reports/coarsen/cnn/history.svg").read_bytes()

    monkeypatch.setenv("KADANOFF_SVG", "1")
    assert svg() == svg()


def test_a_record_tells_the_run_and_its_numbers_are_deterministic(project):
    source = project / "data/coarsen/coarsen16.zarr"
    source.mkdir(parents=True)
    (source / "c").write_bytes(SPINS)
    record()
    first = contents(project / "reports/coarsen/cnn")
    record()
    second = contents(project / "reports/coarsen/cnn")
    assert sorted(first) == ["history.csv", "history.png", "metrics.json", "run.json", "table.md"]
    assert first["history.csv"] == b"epoch,train_loss,validation_loss\n0,0.5,nan\n1,0.25,\n"
    assert json.loads(first["metrics.json"]) == {
        "by": {"T=2.27": {"error": None, "mean": 1}},
        "mse": {"error": 0.1, "mean": 0.5},
    }
    run = json.loads(first.pop("run.json"))
    assert run["parameters"] == {"epochs": 2}
    assert run["inputs"] == [{"path": "data/coarsen/coarsen16.zarr", "md5": folder_md5(source, [source / "c"])}]
    assert (run["stage"], run["variant"], run["mlflow_run_id"]) == ("coarsen", "cnn", None)
    assert run["environment"]["python"] == sys.version.split()[0]
    del second["run.json"]
    assert first == second


def test_a_failed_run_leaves_the_old_record(project):
    record()
    before = contents(project / "reports/coarsen/cnn")
    with pytest.raises(ZeroDivisionError):
        fail()
    assert contents(project / "reports/coarsen/cnn") == before
    assert not list((project / ".checkpoints").glob("record-*/"))


def test_a_killed_run_leaves_the_old_record_and_the_next_one_works(project):
    record()
    before = contents(project / "reports/coarsen/cnn")
    script = (
        "import sys; sys.modules['mlflow'] = None\n"
        "from kadanoff.project.records import recorded\n"
        "with recorded('coarsen', 'cnn', parameters={}) as run:\n"
        "    run.text('table.md', 'half'); print('ready', flush=True); sys.stdin.read()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], cwd=project, **pipes) as process:
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(KadanoffError, match=r"another process is recording .*record-coarsen-cnn"):
            record()
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert contents(project / "reports/coarsen/cnn") == before
    record(mse=0.7)
    assert json.loads((project / "reports/coarsen/cnn/metrics.json").read_text())["mse"]["mean"] == 0.7


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda run: run.metrics({"a": {"b": "high"}}), "metric a/b is 'high'"),
        (lambda run: run.metrics({"a": [1, 2]}), "metric a is"),
        (lambda run: run.metrics({"a": object()}), "metric a is a object"),
        (lambda run: run.metrics({"a": 1}) or run.metrics({"a": 2}), "metric a is given twice"),
    ],
)
def test_a_wrong_entry_is_named(project, wrong, message):
    with pytest.raises(KadanoffError, match=message), recorded("coarsen", "cnn", parameters={}) as run:
        wrong(run)
    assert not (project / "reports").exists()


@pytest.mark.parametrize(
    ("stage", "variant", "parameters", "message"),
    [
        ("../coarsen", "cnn", {}, "run.stage is '../coarsen'"),
        ("coarsen", "a/b", {}, "run.variant is 'a/b'"),
        ("coarsen", "cnn\n", {}, "run.variant is"),
        ("coarsen", "cnn", {"network": object()}, "parameters.network is a object"),
    ],
)
def test_a_wrong_run_is_named(project, stage, variant, parameters, message):
    with pytest.raises(KadanoffError, match=message), recorded(stage, variant, parameters=parameters):
        pytest.fail("the block must not run")


@pytest.mark.parametrize("text", ["stages: [", "- a list", "stages: {a: 1}", "schema: '2.0'"])
def test_a_damaged_lock_is_named(project, text):
    (project / "dvc.lock").write_text(text)
    with pytest.raises(KadanoffError, match=r"dvc\.lock (is not valid YAML|has no mapping)"):
        read_lock(project)


def test_a_lock_may_have_aliases_as_dvc_writes_where_parameters_have_them(project):
    (project / "dvc.lock").write_text("stages:\n  a:\n    params: &id001 [1]\n  b:\n    params: *id001\n")
    assert read_lock(project) == {"a": {"params": ["1"]}, "b": {"params": ["1"]}}


def test_the_hash_of_a_folder_is_that_of_dvc(tmp_path):
    for name in ("b.md", "a é.png", "sub/c.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    files = (path for path in tmp_path.rglob("*") if path.is_file())
    assert folder_md5(tmp_path, files) == "875737a3f1ace82f8ba4d8dc79362415.dir"


def test_headlines_are_few_numbers_with_their_errors_and_a_sentence(project):
    with recorded("coarsen", "cnn", parameters={}) as run:
        run.metrics({"test": {"mse": Estimate(1 / 3, 0.01, 10), "n": 3}})
        run.summary("An error of {mse}, {other}.", "history", mse="test/mse", count="test/n", other="test/other")
    record = read_record(project, project / "reports/coarsen/cnn")
    assert record.summary == {"mse": 0.33333, "mse_stderr": 0.01, "count": 3}
    assert (record.info.result, record.info.figure) == ("An error of 0.333(10), –.", "history")


def test_a_part_of_a_stage_records_nothing(project, monkeypatch):
    monkeypatch.setenv("KADANOFF_PART", "1/2")
    with pytest.raises(KadanoffError, match="run it without --part"), recorded("coarsen", "cnn", parameters={}):
        pass
    assert not (project / "reports").exists()


def test_more_than_ten_headlines_are_refused(project):
    places = {f"number{n}": "test/mse" for n in range(6)}
    with recorded("coarsen", "cnn", parameters={}) as run:
        run.metrics({"test": {"mse": Estimate(1 / 3, 0.01, 10)}})
        with pytest.raises(KadanoffError, match="at most 10"):
            run.summary("Too much.", **places)


def test_what_is_compared_is_a_table_with_standard_errors(project):
    rows = [
        {"method": "blocks", "sweeps": 8, "gamma": Estimate(1.75, 0.001), "seconds": 2.0},
        {"method": "pixels", "sweeps": 0, "gamma": math.nan, "seconds": None},
    ]
    with recorded("exponents", parameters={}) as run:
        run.comparison(pd.DataFrame(rows, dtype=object), ["method", "sweeps"], ["gamma", "seconds"])
    record = read_record(project, project / "reports/exponents")
    assert record.info.compared_by == ["method", "sweeps"]
    blocks = {"method": "blocks", "sweeps": "8", "gamma": "1.75", "gamma_stderr": "0.001", "seconds": "2.0"}
    empty = {"method": "pixels", "sweeps": "0", "gamma": "", "gamma_stderr": "", "seconds": ""}
    assert record.comparison == [blocks, empty]


def test_without_a_summary_the_first_numbers_are_headlines(project):
    with recorded("coarsen", "cnn", parameters={}) as run:
        run.metrics({"test": {"mse": Estimate(1 / 3, 0.01, 10)}, "n": 3} | {f"T={n}": {"e": n} for n in range(20)})
    found = read_record(project, project / "reports/coarsen/cnn").summary
    assert len(found) == 10
    assert next(iter(found)) == "n"


@pytest.mark.parametrize("out", [{"path": "x", "md5": "../../home"}, {"md5": "0" * 32}, "x"])
def test_a_lock_from_outside_is_not_trusted(out, tmp_path):
    (tmp_path / "dvc.lock").write_text(json.dumps({"stages": {"coarsen@cnn": {"outs": [out]}}}))
    if isinstance(out, dict) and "path" in out:
        with pytest.raises(KadanoffError, match="which is no md5"):
            read_lock(tmp_path)
    else:
        assert outputs(read_lock(tmp_path)["coarsen@cnn"]) == {}
