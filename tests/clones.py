"""Clones of a project that share nothing but a remote, for the tests of sharing."""

import hashlib

from project import Project
from servers import KEYS

IMPATIENT = {"AWS_MAX_ATTEMPTS": "1"}  # for servers that are not there


def clone(source, target):
    """A fresh clone, without data, with the right keys in its environment."""
    source.run("git", "clone", "-q", str(source.folder), str(target))
    return at(target)


def at(folder):
    """The project in a folder, with the right keys in its environment, and none of this machine's."""
    project, nothing = Project(folder), folder.with_name(f"{folder.name}.aws")
    nothing.touch()
    elsewhere = {"AWS_CONFIG_FILE": str(nothing), "AWS_SHARED_CREDENTIALS_FILE": str(nothing)}
    elsewhere["AWS_EC2_METADATA_DISABLED"] = "true"
    project.environment |= {**KEYS, **elsewhere, "DVC_SITE_CACHE_DIR": f"{folder}.site"}
    return project


def set_remote(project, *arguments):
    output = project.run("kadanoff", "remote", *arguments)
    assert "written, read back and deleted" in output
    return output


def everything_intact(project):
    """Every file of DVC's cache is what its name says."""
    files = [path for path in (project.folder / ".dvc/cache/files/md5").rglob("*") if path.is_file()]
    for path in files:
        assert path.parent.name + path.stem == hashlib.md5(path.read_bytes()).hexdigest(), path
    return len(files)


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
