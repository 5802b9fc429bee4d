"""Projects in which stages run: the current folder, nothing is shown live, and temperatures are trained in turn."""

from contextlib import contextmanager

import pytest
import yaml

from kadanoff.studies import superresolution
from kadanoff.studies.superres import superres_compare


@pytest.fixture(scope="session")
def inside():
    """`with inside(folder, params):` work in a project with these parameters."""

    def in_turn(_, function, tasks, folder=None):
        return [function(*task) for task in tasks]

    @contextmanager
    def work(folder, params):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setattr("kadanoff.project.view.LIVE_AFTER_SECONDS", float("inf"))
            for module in (superresolution, superres_compare):
                patch.setattr(module, "in_processes", in_turn)
            write(folder, params)
            yield folder

    return work


def write(folder, params):
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
