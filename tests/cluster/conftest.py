"""A private Slurm cluster for the tests of this folder, which are skipped where Slurm is absent."""

import sys
from pathlib import Path

import pytest

from support.project import Project
from support.slurm import Slurm, missing


@pytest.fixture(scope="session", autouse=True)
def slurm():
    """The cluster. It comes first, so that without Slurm nothing else is made."""
    if missing():
        pytest.skip(f"not installed: {', '.join(missing())}; `make test-cluster` installs Slurm")
    with Slurm() as cluster, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Project, "python", sys.executable)  # a node has no forks
        yield cluster


@pytest.fixture(scope="session")
def arguments():
    """What a user gives Snakemake on the cluster; the tests' own profile shortens its waiting."""
    own = Path(__file__).parent / "profile"
    return ("--profile", "workflow/profiles/slurm", "--profile", str(own))
