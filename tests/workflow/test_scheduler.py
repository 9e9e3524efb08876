"""Snakemake looks at the jobs that wait when a job has ended, and at no more than it needs."""

import os
import re
import signal

import pytest

from support.project import Project

MANIFEST = "results/datasets/demo/manifest.json"


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


def test_waiting_jobs_are_looked_at_once_for_each_job(project):
    finished = project.snakemake("--cores", "1", "--verbose", MANIFEST)
    assert finished.status == 0, finished.output
    jobs = int(re.search(r"^(\d+) of \1 steps \(100%\) done$", finished.output, re.M)[1])
    looks = len(re.findall(r"^Resources before job selection", finished.output, re.M))
    assert jobs == 25
    assert looks <= jobs + 1, "timers look at the waiting jobs beside"


def test_a_limit_that_the_user_gives_holds(project):
    project.edit("config.yaml", "scenes: 6", "scenes: 2")
    finished = project.build(MANIFEST, "--until", "simulate", "--max-jobs-per-timespan", "1/1s")
    assert "Job rate limit reached, waiting for free slots." in finished.output


@pytest.mark.parametrize(("given", "looked_at"), [([], 200), (["--scheduler-subsample", "50"], 50)])
def test_of_many_waiting_jobs_some_are_looked_at(project, given, looked_at):
    project.edit("config.yaml", "scenes: 6", "scenes: 101")
    process = project.start("--cores", "1", "--verbose", MANIFEST, *given)
    try:
        line = next(line for line in process.stdout if line.startswith("Ready "))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert line == f"Ready subsampled jobs: {looked_at} (out of 202)\n"
