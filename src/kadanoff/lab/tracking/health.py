"""What can be wrong with an MLflow store, and its repair; `kadanoff doctor` asks here."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Literal
from urllib.parse import urlparse
from urllib.request import url2pathname

from filelock import FileLock
from mlflow.entities import Run, ViewType
from mlflow.store.db import utils as mlflow_schema

from kadanoff.errors import KadanoffError
from kadanoff.lab.tracking.store import LOCK, LOCK_SECONDS, Store, artifact_root

State = Literal["well", "empty", "broken", "foreign", "newer", "older", "elsewhere"]
BROKEN = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
BUSY_SECONDS = 5.0  # SQLite's own patience with another process
# where MLflow's schema names files
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def examine_file(path: Path, root: Path) -> State:
    """State of the SQLite file that should be the store of the project `root`; nothing in it is changed.

    Raises
    ------
    KadanoffError
        If it cannot be opened, or another process keeps it locked.
    """
    try:
        with closing(_read(path)) as database:
            if database.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                return "broken"
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                return "empty"  # MLflow fills it when it opens it
            if not {"alembic_version", "experiments", "runs"} <= tables:
                return "foreign"
            revisions = [found for (found,) in database.execute("SELECT version_num FROM alembic_version")]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in BROKEN:
            return "broken"
        raise KadanoffError(
            f"{path} cannot be read ({error}); end the processes that use it, and try again."
        ) from error
    if len(revisions) != 1 or any(name.startswith("_alembic_tmp_") for name in tables):
        return "broken"  # two processes made it at once, or one was killed
    known = _revisions()
    if revisions != known[:1]:
        return "older" if revisions[0] in known else "newer"
    own = path == root.resolve() / "mlflow.db"  # in a store that projects share, each has its own folder
    return "elsewhere" if own and artifact_roots(path) - {own_artifacts(root)} else "well"


def upgrade(path: Path) -> None:
    """Bring the schema of a SQLite store to this MLflow's version.

    Raises
    ------
    KadanoffError
        If a step of it fails.
    """
    with FileLock(path.with_name(LOCK), LOCK_SECONDS):
        engine = mlflow_schema.create_sqlalchemy_engine(f"sqlite:///{path}")
        try:
            mlflow_schema._upgrade_db(engine)  # what `mlflow db upgrade` calls
        except Exception as error:  # SQLAlchemy's, Alembic's and MLflow's own
            reason = next(iter(str(error).splitlines()), "")[:200]
            raise KadanoffError(f"{path} cannot be upgraded ({type(error).__name__}: {reason}).") from error
        finally:
            engine.dispose()


def own_artifacts(root: Path) -> str:
    """Where the project's own artifacts are, as a store names it."""
    return artifact_root(root).as_uri()


def artifact_roots(path: Path) -> set[str]:
    """Folders .../mlartifacts in which the experiments that this program made keep their files."""
    return {location.rpartition("/")[0] for location in _locations(path)}


def has_artifacts(path: Path, root: Path) -> bool:
    """Whether the project has the files of every experiment that the store places elsewhere."""
    own, places = artifact_root(root), [_folder(location) for location in _locations(path)]
    return all((own / place.name).is_dir() or not place.is_dir() for place in places)


def relocate(path: Path, root: Path) -> None:
    """Point all that the store says of .../mlartifacts to the project's own folder."""
    new = own_artifacts(root)
    with FileLock(path.with_name(LOCK), LOCK_SECONDS), closing(sqlite3.connect(path)) as database, database:
        for old in artifact_roots(path) - {new}:
            for table, column in PLACES:
                database.execute(
                    f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1) "
                    f"WHERE substr({column}, 1, length(:old) + 1) = :old || '/'",
                    {"new": new, "old": old},
                )


def deleted_experiments(store: Store, stages: Collection[str]) -> list[str]:
    """Names of these stages whose experiment is deleted."""
    found = store.client.search_experiments(ViewType.DELETED_ONLY)
    return sorted(experiment.name for experiment in found if experiment.name in stages)


def restore_experiments(store: Store, names: list[str]) -> None:
    """Bring deleted experiments back."""
    for name in names:
        found = store.client.get_experiment_by_name(name)
        if found is not None:
            store.client.restore_experiment(found.experiment_id)


def title(run: Run) -> str:
    """A run as a user calls it: `coarsen/cnn`."""
    return f"{run.data.tags.get('stage')}/{run.info.run_name}"


def _read(path: Path) -> sqlite3.Connection:
    """Not made if it is not there; writable, so that SQLite can undo what a killed process had half written."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)


def _revisions() -> list[str]:
    """Versions of the schema that this MLflow knows, the newest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(mlflow_schema._get_alembic_config(db_url=""))
    return [script.revision for script in scripts.walk_revisions()]


def _locations(path: Path) -> list[str]:
    """Where the experiments that this program made keep their files."""
    with closing(_read(path)) as database:
        rows = database.execute("SELECT name, artifact_location FROM experiments").fetchall()
    return [location for name, location in rows if (location or "").endswith(f"/mlartifacts/{name}")]


def _folder(location: str) -> Path:
    return Path(url2pathname(urlparse(location).path))
