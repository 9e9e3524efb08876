"""The rules used from other folders, and as a module of another workflow."""

import shutil
import subprocess

import pytest

from support.project import SMALL, Project

# They read a template, or what one of these makes.
PAGES = {"timing", "audit_experiments", "card", "figures", "tables", "page"}
SCORES = "results/experiments/head_only/seed0/evaluation.json"
ONE = SMALL.replace("  lora:\n    lora: {r: 4}\n", "")
MODULE = """
configfile: "lab.yaml"

module policies:
    snakefile: gitfile("{repository}", path="workflow/Snakefile", ref="HEAD")
    config: config["policies"]
    prefix: "robot"

use rule * from policies as policies_*

rule length:
    input: "robot/{scores}"
    output: "length.txt"
    shell: "cd . && wc -c < {{input}} > {{output}}"

rule everything:
    default_target: True
    input: "length.txt", rules.policies_tables.output
"""


def indented(text):
    return "".join(f"  {line}" for line in text.splitlines(keepends=True))


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """The project as a git repository."""
    folder = Project(tmp_path_factory.mktemp("repository"), None).folder
    for line in ("init -q", "add -A", "-c user.name=a -c user.email=a@b commit -qm all"):
        subprocess.run(["git", "-C", folder, *line.split()], check=True)
    return folder


@pytest.mark.long
def test_a_module_of_another_workflow_computes_the_same(repository, finished, tmp_path):
    other = Project.at(tmp_path)
    (tmp_path / "Snakefile").write_text(MODULE.format(repository=repository, scores=SCORES))
    (tmp_path / "lab.yaml").write_text(f"policies:\n{indented(ONE)}")
    other.build()
    scores = (tmp_path / "robot" / SCORES).read_bytes()
    assert scores == (finished.folder / SCORES).read_bytes()
    assert int((tmp_path / "length.txt").read_text()) == len(scores)
    assert list((tmp_path / "robot/results/tables").glob("*.csv"))
    assert not (tmp_path / "results").exists()
    assert other.plan() == {}


def test_a_mistake_in_a_module_s_configuration_is_named_by_its_setting(repository, tmp_path):
    (tmp_path / "Snakefile").write_text(MODULE.format(repository=repository, scores=SCORES))
    (tmp_path / "lab.yaml").write_text(
        f"policies:\n{indented(ONE)}".replace("epochs: 2", "epochs: x")
    )
    said = Project.at(tmp_path).snakemake("-n")
    assert said.status != 0 and "Traceback" not in said.output
    assert "(experiments.head_only.training.epochs): found 'x'" in said.output


@pytest.fixture
def lab(finished, tmp_path):
    """A folder with a configuration and the results of a project that lies elsewhere."""
    folder = tmp_path / "lab"
    for name in ("results", ".snakemake"):
        shutil.copytree(finished.folder / name, folder / name)
    (folder / "config.yaml").write_text(SMALL)
    return Project.at(folder)


@pytest.mark.parametrize("rules", ["Snakefile", "workflow/Snakefile"])
def test_results_in_another_folder_are_those_of_the_project(finished, lab, rules):
    planned = lab.plan("--snakefile", str(finished.folder / rules))
    assert set(planned) <= PAGES


def test_snakemake_may_be_told_the_folder(finished, lab):
    planned = finished.snakemake("-n", "--directory", str(lab.folder))
    assert planned.status == 0, planned.output
    assert set(planned.jobs()) <= PAGES
    page = "results/datasets/demo/audit.html"
    lab.build("--snakefile", str(finished.folder / "Snakefile"), page)
    assert lab.plan("--snakefile", str(finished.folder / "Snakefile"), page) == {}
