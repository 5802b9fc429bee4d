"""A small DVC project with results, and the doctor on it: for the tests of the doctor."""

import json
import subprocess
import sys
from hashlib import md5

from kadanoff.project.doctor import examine, treat

PIPELINE = """
stages:
  simulate:
    foreach: ${datasets}
    do:
      cmd: mkdir data/${key}.zarr reports/${key} && echo ${item.size} | tee data/${key}.zarr/c > reports/${key}/run.txt
      params:
        - datasets.${key}
        - lattice.sites
      outs:
        - data/${key}.zarr
      plots:
        - reports/${key}: {cache: false}
"""
PARAMS = "datasets:\n  a: {size: 4}\n  b: {size: 6}\nlattice: {sites: square}\n"
CONFIG = "[core]\n    analytics = false\n    remote = shared\n['remote \"shared\"']\n    url = ../remote\n"
CONFIG += "    verify = true\n"


def git(folder, *arguments):
    user = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "-C", str(folder), *user, *arguments], check=True, capture_output=True)


def dvc(folder, *arguments):
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, check=True, capture_output=True)


def make_project(folder):
    """Results in Git, in the cache and in the remote."""
    git(folder, "init", "-q")
    for name in ("data", "reports"):
        (folder / name).mkdir()
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "params.yaml").write_text(PARAMS)
    (folder / ".gitignore").write_text("/data/\n/remote/\n/mlflow.db*\n/mlartifacts/\n")
    dvc(folder, "init", "-q")
    (folder / ".dvc/config").write_text(CONFIG)
    dvc(folder, "repro", "-q")
    dvc(folder, "push", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "results")


def forged_list(store, files):
    """Put a list of a folder's files into a cache or remote, under its right md5; that md5."""
    content = json.dumps(files).encode()
    oid = f"{md5(content).hexdigest()}.dir"
    place = store / oid[:2] / oid[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return oid


def findings(project, resumable=lambda root: {}):
    return list(examine(project, resumable))


def sentence(project):
    """What is said, if there is one finding."""
    [finding] = findings(project)
    return finding.what


def repair_all(project, resumable=lambda root: {}, say=print):
    """Do every repair; what is left."""
    return treat(lambda: examine(project, resumable), lambda _: True, say)


def cure(project):
    """Repair the one finding, and all that it uncovers; nothing may be left."""
    [finding] = findings(project)
    assert repair_all(project) == []
    return finding
