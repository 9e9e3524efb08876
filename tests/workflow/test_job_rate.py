"""Snakemake's limit of jobs a second, whose timers looked at all waiting jobs again and again."""

import re

from support.project import Project

MANIFEST = "results/datasets/demo/manifest.json"


def test_waiting_jobs_are_looked_at_once_for_each_job(tmp_path):
    project = Project(tmp_path / "project")
    finished = project.snakemake("--cores", "1", "--verbose", MANIFEST)
    assert finished.status == 0, finished.output
    jobs = int(re.search(r"^(\d+) of \1 steps \(100%\) done$", finished.output, re.M)[1])
    looks = len(re.findall(r"^Resources before job selection", finished.output, re.M))
    assert jobs == 25
    assert looks <= jobs + 1, "timers look at the waiting jobs beside"


def test_a_limit_that_the_user_gives_holds(tmp_path):
    project = Project(tmp_path / "project")
    project.edit("config.yaml", "scenes: 6", "scenes: 2")
    finished = project.build(MANIFEST, "--until", "simulate", "--max-jobs-per-timespan", "1/1s")
    assert "Job rate limit reached, waiting for free slots." in finished.output
