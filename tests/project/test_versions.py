"""Versions and runs: which runs a commit holds, and which commits hold a run."""

import json
import shutil
import subprocess

import pytest
import yaml

from kadanoff.errors import KadanoffError
from kadanoff.project.published import find_records, history, publish
from kadanoff.project.records import recorded
from kadanoff.project.records.dvclock import folder_md5
from kadanoff.project.tracking import sync
from kadanoff.project.tracking.store import open_store
from kadanoff.project.tracking.versions import import_runs_of, listing, runs_of
from kadanoff.project.tracking.where import where

FORMER = "refs/exps/ab/cdef0123456789abcdef0123456789abcdef01"


@pytest.fixture
def project(tracked_project, monkeypatch):
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test@localhost")
    (tracked_project / ".gitignore").write_text("mlflow.db*\nmlartifacts\n.checkpoints\n")
    git("init", "-q", "-b", "main")
    return tracked_project


def git(*arguments):
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def commit(subject):
    git("add", "-A")
    git("commit", "-qm", subject)
    return git("rev-parse", "HEAD")


def result(project, mse, variant="cnn"):
    """One run of a stage, as DVC would lock it; its id in MLflow."""
    with recorded("coarsen", variant, parameters={"mse": mse}) as run:
        run.metrics({"mse": mse})
    stages = {"simulate@d16": {"outs": [{"path": "data/d16.zarr", "md5": "1" * 32 + ".dir"}]}}
    for folder in find_records(project):
        path = folder.relative_to(project).as_posix()
        if not path.startswith("reports/published"):
            outs = [
                {"path": f"models/coarsen/{folder.name}.safetensors", "md5": "0" * 32},
                {"path": path, "md5": folder_md5(folder, folder.iterdir())},
            ]
            stages[f"coarsen@{folder.name}"] = {"deps": [{"path": "data/d16.zarr"}], "outs": outs}
    (project / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    return json.loads((project / f"reports/coarsen/{variant}/run.json").read_text())["mlflow_run_id"]


def ids(runs):
    return {pinned.title: pinned.run and pinned.run.info.run_id for pinned in runs}


@pytest.fixture
def history_of_three(project):
    """Commits: cnn; then also mlp; then another cnn. The first two were synchronised, the last was not."""
    first = result(project, 1)
    commits = [commit("first")]
    mlp = result(project, 2, "mlp")
    sync(project)
    commits.append(commit("second"))
    last = result(project, 3)
    commits.append(commit("third"))
    git("tag", "v1", commits[1])
    return commits, {"first": first, "mlp": mlp, "last": last}


def test_the_runs_of_a_commit_a_tag_and_an_experiment(project, history_of_three):
    commits, known = history_of_three
    git("update-ref", f"{FORMER}/sweet-fox", commits[0])
    assert ids(runs_of(project, commits[0])) == {"coarsen/cnn": known["first"]}
    assert ids(runs_of(project, "sweet-fox")) == {"coarsen/cnn": known["first"]}
    assert ids(runs_of(project, "v1")) == {"coarsen/cnn": known["first"], "coarsen/mlp": known["mlp"]}
    # the live run of the last one has no key yet
    assert ids(runs_of(project, "HEAD")) == {"coarsen/cnn": known["last"], "coarsen/mlp": known["mlp"]}
    row = next(line for line in listing(runs_of(project, "main"), "main").splitlines() if "cnn" in line)
    assert row.split()[:3] == ["coarsen/cnn", known["last"], "FINISHED"]


def test_an_unknown_version_is_a_sentence(project, history_of_three):
    commits, _ = history_of_three
    for rev in ("none", "-q", "--all", ""):
        with pytest.raises(KadanoffError, match="is no commit, tag, branch or experiment here"):
            runs_of(project, rev)
    git("update-ref", f"{FORMER}/twice", commits[0])
    git("update-ref", f"{FORMER.replace('ab', 'ba')}/twice", commits[1])
    with pytest.raises(KadanoffError, match=f"several experiments are called 'twice': .*{commits[0][:10]}"):
        runs_of(project, "twice")
    git("rm", "-rq", "--cached", "dvc.lock")
    git("commit", "-qm", "no results")
    with pytest.raises(KadanoffError, match=r"HEAD \(\w+\) has no dvc.lock"):
        runs_of(project, "HEAD")


def test_outside_of_git_it_is_a_sentence(tracked_project):
    with pytest.raises(KadanoffError, match="not a git repository"):
        runs_of(tracked_project, "HEAD")


def test_runs_of_another_version_are_imported_without_checking_it_out(project, history_of_three, empty_store):
    shutil.copy(empty_store, project / "mlflow.db")
    assert ids(runs_of(project, "v1")) == {"coarsen/cnn": None, "coarsen/mlp": None}
    table = listing(runs_of(project, "v1"), "v1").splitlines()
    assert table[-1] == "2 of 2 are not in this store; `kadanoff runs of v1 --import` brings them."
    git("rm", "-q", "dvc.lock")  # what is checked out does not matter
    assert import_runs_of(project, "v1").imported == ["coarsen/cnn", "coarsen/mlp"]
    assert import_runs_of(project, "v1").unchanged == ["coarsen/cnn", "coarsen/mlp"]
    [cnn, _] = runs_of(project, "v1")
    assert cnn.run.data.metrics["mse"] == 1
    assert cnn.run.data.tags["kadanoff.locked"] == "yes"


def test_the_commits_that_hold_a_result(project, history_of_three):
    commits, known = history_of_three
    git("update-ref", f"{FORMER}/sweet-fox", commits[1])
    (project / "note").write_text("not a result")
    newest = commit("note: a \x1b[31mred one")
    found = where(project, known["mlp"])
    assert [holding.version.commit for holding in found.own] == [newest, commits[2], commits[1]]
    assert found.own[2].version.names == "tag: v1, experiment sweet-fox"
    assert "\x1b" not in str(found)
    bring = "kadanoff pull data/d16.zarr models/coarsen/{}.safetensors"
    assert found.restore[0] == f"restore: {bring.format('mlp')}"  # it is checked out
    found = where(project, known["first"])
    assert [holding.version.commit for holding in found.own] == [commits[1], commits[0]]
    short = commits[1][:7]
    assert found.restore == [
        f"restore: git checkout {short} && {bring.format('cnn')}",
        f"copy:    dvc get . models/coarsen/cnn.safetensors --rev {short} -o cnn-{short}.safetensors",
    ]
    (project / "note").write_text("the commit lacks this file")
    assert where(project, known["first"]).restore[0].startswith("restore: git stash && git checkout")
    (project / "note").write_text("not a result")
    (project / "dvc.lock").write_text("changed")
    assert where(project, known["first"]).restore[0].startswith("restore: git stash && git checkout")
    assert where(project, known["mlp"]).restore[0].startswith("restore: git stash && kadanoff pull")
    # its live run has no key: it is found by the id in its record, here or in a commit
    assert [holding.version.commit for holding in where(project, known["last"]).own] == [newest, commits[2]]
    shutil.rmtree(project / "reports")
    assert [holding.version.commit for holding in where(project, known["last"]).own] == [newest, commits[2]]


def test_a_published_result_names_its_commits(project):
    run_id = result(project, 1)
    sync(project)
    publish(project, "paper")
    git("add", "reports/published")
    git("commit", "-qm", "published")
    found = where(project, run_id)
    assert (found.own, [holding.publication for holding in found.published]) == ([], ["paper"])
    assert found.restore == [
        "restore: git add dvc.lock and commit it first, since that of the publication takes its place."
    ]
    result(project, 2)
    short = commit("another result")[:7]
    lock = f"git show {short}:./reports/published/paper/dvc.lock > dvc.lock"  # that of the newest version
    # the dataset is not published, so its entry is not there to bring it
    pull = "kadanoff pull models/coarsen/cnn.safetensors"
    assert where(project, run_id).restore == [f"restore: ({lock} && {pull}; git checkout dvc.lock)"]
    own = (project / "dvc.lock").read_text()
    command = where(project, run_id).restore[0].removeprefix("restore: ").replace("kadanoff pull", "false")
    subprocess.run(command, shell=True, check=True, capture_output=True)
    assert (project / "dvc.lock").read_text() == own
    assert ids_of_published(project) == {"coarsen/cnn [paper]": run_id}


def ids_of_published(project):
    return {title: run for title, run in ids(runs_of(project, "HEAD")).items() if title.endswith("]")}


def test_a_change_that_is_not_in_the_way_stays(project):
    (project / "notes").write_text("1")
    run_id = result(project, 1)
    sync(project)
    first = commit("first")
    result(project, 2)
    commit("second")
    (project / "notes").write_text("2")
    assert where(project, run_id).restore[0].startswith(f"restore: git checkout {first[:7]} && kadanoff pull")


def test_a_shallow_clone_says_so(project, tmp_path, monkeypatch):
    run_id = result(project, 1)
    commit("first")
    git("checkout", "-q", "--orphan", "x")
    git("commit", "-qm", "second")
    git("commit", "-qm", "third", "--allow-empty")
    assert "--unshallow" not in str(where(project, run_id))
    git("clone", "-q", "--depth", "1", project.as_uri(), "clone")
    shutil.copy(project / "mlflow.db", project / "clone")
    monkeypatch.chdir(project / "clone")
    assert "this clone lacks older commits: `git fetch --unshallow`" in str(where(project / "clone", run_id))


@pytest.mark.parametrize("subject", ["a\u2028b", "a\x0cb", "a\x85b"])
def test_a_subject_with_odd_line_ends_is_one_commit(project, subject):
    run_id = result(project, 1)
    head = commit(subject)
    git("tag", "v\u20281")
    git("update-ref", f"{FORMER}/sweet\u2028fox", head)
    [holding] = where(project, run_id).own
    assert (holding.version.commit, holding.version.subject) == (head, "a?b")
    with pytest.raises(KadanoffError, match="is no commit"):
        runs_of(project, "sweet")


def test_a_result_in_no_commit_says_why(project):
    with pytest.raises(ZeroDivisionError), recorded("coarsen", "cnn", parameters={}):
        raise ZeroDivisionError
    result(project, 1)
    commit("empty")
    lost = result(project, 2)
    edited = result(project, 3, "mlp")
    last = result(project, 4)
    (project / "reports/coarsen/mlp/metrics.json").write_text("{}")
    store = open_store(project)
    [failed] = store.client.search_runs([store.experiment("coarsen")], "attributes.status = 'FAILED'")
    foreign = store.client.create_run(store.experiment("coarsen"), tags={"stage": "coarsen; rm -rf"})
    notes = {run: where(project, run).note for run in (failed.info.run_id, foreign.info.run_id, lost, last)}
    assert list(notes.values()) == [
        "it ended as FAILED: only a run that ends well leaves a record, so no version holds it.",
        "no stage of this project logged this run, so no version holds it.",
        "no version holds its record: a later run replaced it before it was committed. MLflow alone has its numbers.",
        "it is in dvc.lock here, and in no commit yet: git add dvc.lock reports/coarsen/cnn, then git commit.",
    ]
    assert "rm" not in str(where(project, foreign.info.run_id))
    store.set_tags(edited, {"kadanoff.locked": "edited"})
    assert (
        where(project, edited).note == "its record was edited by hand: no dvc.lock pins it, and no data belongs to it."
    )


def test_a_run_is_named_by_its_beginning_or_its_page(project, history_of_three):
    _, known = history_of_three
    run_id = known["first"]
    page = f"http://127.0.0.1:5000/#/experiments/1/runs/{run_id}"
    for text in (run_id, run_id[:12], page, f"{page}/model-metrics", f"{page}?workspace=x"):
        assert where(project, text).run.info.run_id == run_id
    for text in ("abc", "x" * 32, "' OR 1=1", "http://127.0.0.1:5000/#/experiments/1", ""):
        with pytest.raises(KadanoffError, match="is no id of a run"):
            where(project, text)
    with pytest.raises(KadanoffError, match=r"this store has no run 0{32}"):
        where(project, "0" * 32)


def test_several_runs_with_the_same_beginning_are_named(project, monkeypatch):
    store = open_store(project)
    for ending in "ab":
        monkeypatch.setattr("mlflow.store.tracking.sqlalchemy_store.uuid.uuid4", lambda e=ending: Id("0" * 31 + e))
        store.client.create_run(store.experiment("coarsen"))
    with pytest.raises(KadanoffError, match=f"several runs begin with 0000: {'0' * 31}[ab], {'0' * 31}[ab]; give more"):
        where(project, "0000")


class Id:
    def __init__(self, text):
        self.hex = text


@pytest.mark.parametrize(
    "entry",
    [
        {"coarsen@cnn; rm -rf .": {"outs": [{"path": "reports/coarsen/cnn", "md5": "MD5"}]}},
        {"coarsen@cnn": {"outs": [{"path": "reports/../../cnn", "md5": "MD5"}]}},
        {"coarsen@cnn": {"outs": [{"path": "reports/coarsen/cnn", "md5": "' OR 1=1 --"}]}},
        {"coarsen@cnn": {"outs": "all"}},
    ],
)
def test_nothing_in_the_lock_of_another_version_becomes_a_command(project, entry):
    run_id = result(project, 1)
    sync(project)
    [record] = find_records(project)
    md5 = folder_md5(record, record.iterdir())
    (project / "dvc.lock").write_text(
        yaml.safe_dump({"stages": entry}).replace("MD5", md5) + f"note: |\n  md5: {md5}\n"
    )
    git("add", "dvc.lock")
    git("commit", "-qm", "malicious")
    assert where(project, run_id).restore == []
    assert runs_of(project, "HEAD") == []


def test_a_version_with_a_broken_lock_is_a_sentence_and_hides_no_other(project, history_of_three):
    known = history_of_three[1]
    (project / "dvc.lock").write_text("<<<<<<< HEAD\n" + (project / "dvc.lock").read_text())
    broken = commit("with a conflict")
    with pytest.raises(KadanoffError, match=rf"{broken[:10]}:dvc\.lock is not valid YAML"):
        runs_of(project, "HEAD")
    assert "git checkout" in where(project, known["mlp"]).restore[0]


def test_hundreds_of_commits_are_read_at_once(project, history_of_three):
    """Each version is one more lock file: Git is asked a few times, not once for each."""
    commits, known = history_of_three
    publish(project, "paper")
    commits.append(commit("published"))
    text = (project / "dvc.lock").read_text()
    feed = [f"reset refs/heads/long\nfrom {commits[3]}\n"]
    for number in range(300):
        content = f"{text}# {number}\n"
        feed.append(
            f"commit refs/heads/long\ncommitter t <t@localhost> {1_800_000_000 + number} +0000\ndata 1\nx\n"
            f"M 644 inline dvc.lock\ndata {len(content)}\n{content}\n"
        )
    subprocess.run(["git", "fast-import", "--quiet"], input="".join(feed), text=True, check=True)
    calls = []
    original = subprocess.run

    def count(*arguments, **options):
        calls.append(arguments)
        return original(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "run", count)
        found = where(project, known["mlp"])
    assert len(found.own) == 303
    assert len(found.published) == 301
    assert len(calls) < 20
    assert str(found).count("\n") < 60
    assert "and 283 older commits" in str(found)
    assert len(history.holders(project, "0" * 32 + ".dir")) == 0
