"""The command line: light, helpful, and a sentence where it refuses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import kadanoff
from kadanoff.cli import app, main
from kadanoff.runtime.cluster import cluster

ROOT = Path(__file__).parents[1]

GOOD = {"size": 4, "temperatures": [2.0], "samples": 4, "sweeps": 100}
HEAVY = ("torch", "numba", "mlflow", "zarr", "matplotlib", "numpy", "transformers", "timm", "sklearn")


def run(*arguments, folder, **environment):
    command = [sys.executable, "-c", "from kadanoff.cli import main; main()", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, env=os.environ | environment
    )


@pytest.fixture
def project(tmp_path):
    wrong = {"bad": GOOD | {"samples": 0, "sise": 4}}
    params = {"datasets": {"good": {"good": GOOD}, "wrong": wrong, "short": {"few": GOOD | {"sweeps": 2}}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (tmp_path / "dvc.yaml").touch()
    return tmp_path


HELP = "from kadanoff.cli import app; app(['--help'], standalone_mode=False)"


@pytest.mark.parametrize("code", ["import kadanoff", "import kadanoff.cli", HELP])
def test_imports_stay_light(code):
    script = f"import sys; {code}; print([name for name in {HEAVY} if name in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert finished.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["run", "simulate@wrong"],
            ["datasets.wrong.bad.samples is 0", "datasets.wrong.bad.sise is not a known key", "'size'"],
        ),
        (["run", "simulate@none"], ["datasets has no entry 'none'; it has: good, wrong, short"]),
        (["run", "simulate@short"], ["sweeps is 2", "allow_unequilibrated"]),
        (["run", "simulate"], ["stage simulate needs a variant"]),
        (["run", "grow@x"], ["stage grow has no variants"]),
        (["run", "nothing"], ["there is no stage 'nothing'; the stages are: attention, classify"]),
        (["run", "coarsen@cnn"], ["params.yaml has no entry 'coarsen'"]),
        (["apply", "no.safetensors", "no.zarr", "out.zarr"], ["cannot read no.safetensors"]),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_1(project, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(project)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    monkeypatch.setattr("sys.argv", ["kadanoff", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    message = capsys.readouterr().err
    assert ended.value.code == 1
    assert message.startswith("error: ") or "\nerror: " in message
    assert all(word in message for word in words)
    assert not (project / "data").exists()


def test_run_lists_all_stages_with_what_they_do(project):
    listed = run("run", folder=project).stdout.splitlines()
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert {line.split()[0] for line in listed} == pipeline.keys()
    assert all(len(line.split()) > 3 for line in listed)


def test_help_has_a_panel_for_each_kind_of_command(project):
    shown = run("-h", folder=project).stdout
    for panel, command in (("Data", "simulate"), ("Networks", "apply"), ("Large lattices", "grow"), ("Runs", "ui")):
        assert command in shown.split(f" {panel} ")[1]
    assert run("--version", folder=project).stdout == f"kadanoff {kadanoff.__version__}\n"


def test_outside_of_a_project_the_folder_is_named(tmp_path):
    finished = run("run", "simulate@x", folder=tmp_path)
    assert finished.returncode == 1
    assert (
        finished.stderr
        == f"error: there is no dvc.yaml in {tmp_path} or above it; run this in a folder of the project.\n"
    )


def test_letters_of_any_alphabet_in_paths_and_files(project):
    root, environment = project / "Größe ψ", {"LC_ALL": "C", "PYTHONUTF8": "0"}
    root.mkdir()
    params = yaml.safe_dump({"datasets": {"a": {"no": GOOD}}})
    (root / "params.yaml").write_text(f"# Größe ψ\n{params}", encoding="utf-8")
    (root / "dvc.yaml").write_text("stages: {}  # ψ", encoding="utf-8")
    made = run("run", "simulate@a", folder=root, **environment)
    assert made.returncode == 0, made.stderr
    assert (root / "data" / "a" / "no.zarr").exists()
    assert run("report", folder=root, **environment).returncode == 0


def test_the_cluster_of_the_command_line_is_that_of_the_environment(monkeypatch):
    seen = []
    monkeypatch.setenv("KADANOFF_CLUSTER", "")  # restored in the end, whatever the command sets
    monkeypatch.setattr("kadanoff.commands.grow.grow", lambda job, *_: seen.append((job.device, cluster())))
    options = ["--device", "cpu", "--cluster", "tcp://there:8786"]
    assert CliRunner().invoke(app, ["grow", "large.zarr", *options]).exit_code == 0
    assert CliRunner().invoke(app, ["run", "--cluster", "scheduler.json"]).exit_code == 0
    assert seen == [("cpu", "tcp://there:8786")]
    assert cluster() == "scheduler.json"
