"""The library and the tests' helpers, importable without an installation; a finished project."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent

sys.path.insert(0, str(TESTS))
sys.path.insert(0, str(TESTS.parent / "workflow"))

from support.project import Project  # noqa: E402  (found by the lines above)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A small project that ran to its end. Not to be changed: see ``copied``."""
    project = Project(tmp_path_factory.mktemp("finished") / "project")
    project.build()
    return project


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished project, results and all, to edit."""
    return finished.copy(tmp_path / "project")
