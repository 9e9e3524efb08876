"""What the jobs of a cluster share through its file system is used, and not computed by each."""

import pytest

from support.project import SMALL, Project
from support.recorded import write_folder

RECORDED = SMALL.replace(
    "    kind: simulated\n    simulation: {scenes: 6, world: {frames: 15}}\n",
    "    kind: recorded\n    path: ../episodes\n",
)
COUNT = 5
CACHE = "results/.cache/content.json"


@pytest.fixture
def project(slurm, tmp_path):
    """A project with recorded episodes, of which nothing has been computed."""
    write_folder(tmp_path / "episodes", COUNT, frames=15, size=(36, 64))
    project = Project(tmp_path / "project", RECORDED)
    project.environment = slurm.environment
    return project


def test_jobs_read_the_digests_of_the_episodes_that_the_plan_has_made(project, slurm, arguments):
    assert project.plan("audit")["ingest"] == COUNT
    cache = project.folder / CACHE
    before = cache.stat()
    done = project.snakemake(*arguments, "audit")
    assert done.status == 0, done.output
    after = cache.stat()  # it is written whenever anything had to be read
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [job["comment"] for job in slurm.jobs()].count("rule_episodes_ingest") == 1
