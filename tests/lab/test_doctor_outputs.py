"""The doctor on outputs: what DVC removed, lost or would not notice is found, and nobody's work is touched."""

import json
import os
import re
import shutil

import pytest
from small_project import CONFIG, cure, findings, forged_list, git, repair_all, sentence

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning"),  # DVC's affair
]


@pytest.fixture
def project(small_project):
    return small_project


def test_a_record_that_dvc_removed_comes_back_from_git(project):
    shutil.rmtree(project / "reports/a")
    (project / "reports/b/run.txt").write_text("edited\n")
    finding = cure(project)
    assert "1 record missing, reports/a" in finding.what
    assert (project / "reports/a/run.txt").read_text() == "4\n"
    assert (project / "reports/b/run.txt").read_text() == "edited\n"


def test_a_record_that_git_never_had_is_made_again(project):
    git(project, "rm", "-rq", "reports/a")
    assert sentence(project) == "reports/a is missing, and Git has no copy: make it again with `dvc repro`."


def test_an_output_that_dvc_removed_comes_back_from_the_cache(project):
    shutil.rmtree(project / "data/a.zarr")
    finding = cure(project)
    assert finding.what.startswith("data/a.zarr is in DVC's cache and not in place")
    assert (project / "data/a.zarr/c").read_text() == "4\n"


def test_what_a_running_stage_is_making_is_not_missed(project):
    shutil.rmtree(project / "data/a.zarr")
    shutil.rmtree(project / "reports/a")
    paths = [str(project / "data/a.zarr"), str(project / "reports/a")]
    owner = {"pid": os.getpid(), "cmd": "dvc repro"}
    (project / ".dvc/tmp/rwlock").write_text(json.dumps({"write": dict.fromkeys(paths, owner)}))
    assert findings(project) == []


def test_outputs_of_a_fresh_clone_are_fetched(project):
    for name in ("data", ".dvc/cache"):
        shutil.rmtree(project / name)
    finding = cure(project)
    assert finding.what.startswith("data/a.zarr, data/b.zarr are neither in place nor in DVC's cache")
    assert (project / "data/b.zarr/c").read_text() == "6\n"


def test_wrong_bytes_in_the_remote_are_not_put_in_place(project):
    for name in ("data", ".dvc/cache"):
        shutil.rmtree(project / name)
    path = objects(project, "remote/files/md5")["4\n"]
    path.chmod(0o644)
    path.write_text("5\n")
    lines = []
    [left] = repair_all(project, say=lines.append)
    assert "the remote has other bytes than the md5 says for data/a.zarr" in " ".join(lines)
    assert "data/a.zarr" in left.what
    assert not (project / "data/a.zarr").exists()


def test_what_was_changed_here_is_kept_when_its_version_is_lost(project):
    shutil.rmtree(project / ".dvc/cache")
    (project / "data/a.zarr/c").write_text("mine\n")
    [left] = repair_all(project)
    assert left.what.startswith("data/a.zarr differs from dvc.lock, and DVC's cache lacks the version named there")
    assert (project / "data/a.zarr/c").read_text() == "mine\n"


def test_what_the_remote_lacks_too_is_told(project):
    for name in ("data", ".dvc/cache", "remote"):
        shutil.rmtree(project / name)
    assert "the remote 'shared' lacks objects of data/a.zarr, data/b.zarr" in sentence(project)


def test_without_a_remote_outputs_are_made_again(project):
    for name in ("data", ".dvc/cache"):
        shutil.rmtree(project / name)
    (project / ".dvc/config").write_text("[core]\n    analytics = false\n")
    assert "there is no remote: `dvc repro` makes them again" in sentence(project)


def test_a_cache_that_was_emptied_is_filled_from_the_workspace(project):
    shutil.rmtree(project / ".dvc/cache")
    shutil.rmtree(project / "remote")
    first, second = findings(project)
    assert first.what.startswith("DVC's cache lacks objects of data/a.zarr, which is in place")
    assert repair_all(project) == []
    assert second.repair is not None
    assert sum(path.is_file() for path in (project / ".dvc/cache/files").rglob("*")) == 4


def objects(project, folder=".dvc/cache/files/md5"):
    return {path.read_text(): path for path in (project / folder).rglob("*") if path.is_file()}


def test_a_damaged_object_is_set_aside_and_fetched_again(project):
    path = objects(project)["4\n"]
    path.chmod(0o644)
    path.write_text("5\n")
    path.chmod(0o444)  # DVC trusts this mode, and sees nothing
    shutil.rmtree(project / "data/a.zarr")
    finding = cure(project)
    assert "1 object of data/a.zarr in DVC's cache does not match the md5" in finding.what
    assert finding.repair.removes
    assert (project / "data/a.zarr/c").read_text() == "4\n"
    [aside] = path.parent.glob("*.broken-*")
    assert aside.read_text() == "5\n"


def test_a_damaged_listing_is_set_aside_and_work_in_place_is_kept(project):
    listing = next(path for path in objects(project).values() if path.name.endswith(".dir"))
    listing.chmod(0o644)
    listing.write_text("[")
    (project / "data/a.zarr/c").write_text("mine\n")
    (project / "data/b.zarr/c").write_text("mine\n")
    repair_all(project)
    assert {(project / f"data/{name}.zarr/c").read_text() for name in "ab"} == {"mine\n"}


def test_a_hash_that_is_no_hash_names_no_path(project):
    lock = project / "dvc.lock"
    text = lock.read_text()
    md5 = next(path for path in objects(project).values() if path.name.endswith(".dir"))
    oid = f"{md5.parent.name}{md5.name}"
    lock.write_text(text.replace(oid, "../../../../secret"))
    (project / "secret").write_text("x")
    assert "data/b.zarr has the hash '../../../../secret', which is no md5" in sentence(project)
    repair_all(project)
    assert (project / "secret").read_text() == "x"


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ({"md5": "../../../../../secret", "relpath": "c"}, "the hash '../../../../../secret', which is no md5"),
        ({"md5": "0" * 32, "relpath": "../../secret"}, "a file '../../secret', which may lie outside"),
    ],
)
def test_a_forged_list_of_files_is_one_finding_and_nothing_is_done(project, file, words):
    (project / "secret").write_text("x")
    oid = forged_list(project / ".dvc/cache/files/md5", [file])
    lock = project / "dvc.lock"
    lock.write_text(re.sub(r"[0-9a-f]{32}\.dir", oid, lock.read_text(), count=1))  # of data/a.zarr
    shutil.rmtree(project / "data/a.zarr")
    [finding] = findings(project)
    assert words in finding.what
    assert finding.repair is None
    assert (project / "secret").read_text() == "x"


def test_datasets_of_which_only_the_cache_is_left_are_one_finding(project):
    shutil.rmtree(project / "data")
    assert cure(project).what.startswith("data/a.zarr, data/b.zarr are in DVC's cache and not in place")


@pytest.mark.parametrize("name", ["config", "config.local"])
def test_a_remote_that_does_not_check_is_told_to(project, name):
    config = project / ".dvc" / name
    text = CONFIG.replace("    verify = true\n", "")
    (project / ".dvc/config").unlink()
    config.write_text(text)
    finding = cure(project)
    assert finding.what.startswith("the DVC remote 'shared' lacks `verify = true`")
    assert "verify = True" in config.read_text()
    assert [path.name for path in (project / ".dvc").glob("config*")] == [name]
