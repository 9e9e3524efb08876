"""One small project that ran to its end; tests look at it, or copy it and edit the copy."""

import pytest

from support.project import Project


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A project whose report is built. Not to be changed: see ``copied``."""
    project = Project(tmp_path_factory.mktemp("finished") / "project")
    project.build()
    return project


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished project, results and all, to edit."""
    return finished.copy(tmp_path / "project")
