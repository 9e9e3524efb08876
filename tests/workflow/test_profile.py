"""The profile for clusters fits the rules, and what a job reads first is light."""

import re
import subprocess
import sys

import pytest
import yaml

from support.project import ROOT

PROFILE = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())
RULES = {
    name
    for file in (ROOT / "workflow/rules").glob("*.smk")
    for name in re.findall(r"^rule (\w+):", file.read_text(), re.MULTILINE)
}
# Pillow is not among them: Snakemake itself imports it, by way of docutils.
HEAVY = ("torch", "transformers", "peft", "accelerate", "h5py", "matplotlib", "scipy")
PARSE = f"""
import sys
from snakemake.cli import main
try:
    main(["-n", "--quiet"])
except SystemExit as end:
    print("heavy:", [name for name in {HEAVY} if name in sys.modules], end.code)
"""


@pytest.mark.parametrize("section", ["set-resources", "groups"])
def test_the_profile_names_rules_that_there_are(section):
    assert set(PROFILE[section]) <= RULES


def test_every_rule_that_runs_the_model_gets_a_gpu():
    gets = {rule for rule, asked in PROFILE["set-resources"].items() if asked.get("gpu")}
    text = "".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    wants = re.findall(
        r"^rule (\w+):(?:(?!^rule ).)*?^        (?:gpu=|\*\*training_resources)", text, re.M | re.S
    )
    assert gets | {"train", "timing"} == set(wants)  # these two ask for one for each process
    assert len(gets) == 6


def test_the_workflow_is_parsed_without_heavy_packages(finished):
    done = subprocess.run(
        [sys.executable, "-c", PARSE], cwd=finished.folder, capture_output=True, text=True
    )
    assert "heavy: [] 0" in done.stdout, done.stdout + done.stderr
