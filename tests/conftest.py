"""The library and the tests' helpers, importable without an installation; a finished project."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from pathlib import Path

import hypothesis
import pytest

TESTS = Path(__file__).resolve().parent

sys.path.insert(0, str(TESTS))
sys.path.insert(0, str(TESTS.parent / "workflow"))

from support.forks import Forks  # noqa: E402  (found by the lines above)
from support.project import Project  # noqa: E402

# The same examples each time, and no limit of time for one: a test says the same on every machine.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tests")

FORKS = "MOBILE_VLA_TEST_FORKS"  # the program that starts forks, for all processes of a test run


def pytest_configure(config):
    """Start the server of forks, once for all processes of pytest-xdist."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="forks-")
        forks = Forks(Path(folder.name))
        os.environ[FORKS] = str(forks.python)
        config.add_cleanup(folder.cleanup)
        config.add_cleanup(forks.close)
    Project.python = os.environ[FORKS]


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A small project that ran to its end, shared by all processes; ``copied`` may be changed."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "finished/project"
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "results/report.html").is_file():
            Project(folder).build()
    return Project.at(folder)


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished project, results and all, to edit."""
    return finished.copy(tmp_path / "project")
