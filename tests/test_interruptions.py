"""`kill -9` at random points, then `dvc repro`: the same bytes, nothing partial, no orphan."""

import signal
import time

import numpy as np
import psutil
import pytest
from project import copy_project, shrink

pytestmark = pytest.mark.slow

KILLS = 2
STAGES = {
    "simulate@coarsen": "data/coarsen",
    "coarsen@cnn": "models/coarsen/cnn.safetensors",
}


def longer(params):
    """Parameters with which either stage takes some seconds."""
    params = shrink(params)
    params["datasets"]["coarsen"]["coarsen16"].update(size=64, samples=64, sweeps=1500)
    params["coarsen"]["training"].update(epochs=20, early_stopping_patience=20)
    return params


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = copy_project(tmp_path_factory.mktemp("kill"))
    project.write_params(longer(project.params()))
    project.commit("longer parameters")
    return project


def stage_process(dvc, stage):
    """The process of the running stage, once DVC has started it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and dvc.is_running():
        for child in dvc.children(recursive=True):
            try:
                if child.name() == "kadanoff" or any(word.endswith("/kadanoff") for word in child.cmdline()[:2]):
                    return child
            except psutil.Error:
                continue
        time.sleep(0.02)
    raise AssertionError(f"{stage} was never started")


def gone(process):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("victim", ["stage", "dvc"])
def test_a_killed_stage_resumes_to_the_same_bytes(project, stage, victim):
    output = STAGES[stage]
    project.run("dvc", "repro", stage)  # what it needs
    started = time.monotonic()
    project.run("dvc", "repro", "--force", "--single-item", "--no-run-cache", stage)
    duration = time.monotonic() - started
    expected = project.output_md5(stage, output)
    generator = np.random.Generator(np.random.Philox([len(stage), len(victim)]))
    killed = 0
    for delay in generator.uniform(0.1, 0.9, KILLS) * duration:
        process = project.start("dvc", "repro", "--force", "--single-item", "--no-run-cache", stage)
        dvc = psutil.Process(process.pid)
        worker = stage_process(dvc, stage)
        time.sleep(max(0.0, delay - (time.time() - dvc.create_time())))
        try:
            (worker if victim == "stage" else dvc).send_signal(signal.SIGKILL)
            killed += 1
        except psutil.NoSuchProcess:  # it ran faster than when it was timed
            pass
        process.communicate(timeout=60)
        assert gone(worker), "the stage outlived its dvc"
        finished = (project.folder / output).exists()
        assert finished or not list((project.folder / output).parent.glob(f"*{stage.split('@')[1]}*"))
    assert killed, "no kill came in time"
    project.run("dvc", "repro", "--force", "--single-item", "--no-run-cache", stage)
    assert project.output_md5(stage, output) == expected
    if stage == "coarsen@cnn":
        history = (project.folder / "reports" / "coarsen" / "cnn" / "history.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in history] == ["epoch", *map(str, range(1, 21))]
    leftovers = [entry for entry in (project.folder / ".checkpoints").iterdir() if entry.is_dir()]
    assert leftovers == []
    assert [entry for entry in (project.folder / output).parent.iterdir() if entry.name.startswith(".")] in (
        [],
        [(project.folder / output).parent / ".gitignore"],
    )
