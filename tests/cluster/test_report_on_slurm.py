"""The whole report on a cluster: every rule as a Slurm job, the results those of one machine."""

import re

import pytest

from support.deterministic_files import deterministic_files
from support.project import Project

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def made(slurm, arguments, tmp_path_factory):
    """A project whose report was made on the cluster, and its jobs there."""
    project = Project(tmp_path_factory.mktemp("cluster") / "project")
    project.environment = slurm.environment
    before = {job["id"] for job in slurm.jobs()}
    done = project.snakemake(*arguments, "results/report.html")
    assert done.status == 0, done.output
    return project, [job for job in slurm.jobs() if job["id"] not in before]


def test_every_rule_is_a_slurm_job_and_short_ones_are_one_together(made):
    _, jobs = made
    assert {job["state"] for job in jobs} == {"COMPLETED"}
    assert {job["node"] for job in jobs} == {"n1", "n2"}
    names = [re.sub(r"^rule_|_wildcards_.*", "", job["comment"]) for job in jobs]
    assert {name: names.count(name) for name in sorted(set(names))} == {
        "audit_dataset": 1,
        "audit_experiments": 1,
        "data_manifest_split": 1,
        "episodes_ingest_simulate": 1,
        "evaluate": 2,
        "features": 2,
        "language": 2,
        "latency": 2,
        "random_backbone": 1,
        "report_card_compare_figures_page_tables": 1,
        "rollout": 2,
        "timing": 2,
        "train": 2,
    }


def test_the_results_are_those_of_one_machine(made, finished):
    project, _ = made
    there, here = deterministic_files(project), deterministic_files(finished)
    assert there.keys() == here.keys()
    assert [name for name in here if there[name] != here[name]] == []
    assert "experiments/lora/seed0/policy/adapter_model.safetensors" in here


def test_nothing_is_left_to_do_here_or_there(made, arguments):
    project, _ = made
    assert project.plan() == {}
    again = project.snakemake(*arguments, "results/report.html")
    assert again.status == 0 and "Nothing to be done" in again.output
