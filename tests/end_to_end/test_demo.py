"""The shipped demo, as a new user meets it: a clone, `make report`, and the numbers in the page."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from mobile_vla.comparison.result import ComparisonResult
from mobile_vla.reporting.verdict import standing
from support.report import ENGLISH
from support.trial_drives import SimulatedTrial, write_twin

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clean clone without an environment, in which `make report` ran."""
    folder = tmp_path_factory.mktemp("clone") / "project"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    done = make(folder, "report", "CORES=2")
    assert done.returncode == 0, done.stdout[-5000:]
    return folder


def make(folder, *arguments):
    """Run make as from a shell in which no environment is active."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    outside = Path(sys.prefix) / "bin"
    paths = [p for p in os.environ["PATH"].split(":") if Path(p) != outside]
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**inherited, "PATH": ":".join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def evaluation(clone, experiment):
    path = clone / "results/experiments" / experiment / "seed0/evaluation.json"
    return json.loads(path.read_text())


def test_the_report_is_there_and_nothing_is_left_to_do(clone):
    assert (clone / "results/report.html").stat().st_size < 5e6
    again = make(clone, "report", "CORES=2")
    assert again.returncode == 0 and "Nothing to be done" in again.stdout
    assert "pip install" not in again.stdout
    plan = subprocess.run(
        [clone / ".venv/bin/snakemake", "-n"], cwd=clone, capture_output=True, text=True
    )
    assert plan.returncode == 0 and "Nothing to be done" in plan.stdout + plan.stderr


def test_the_page_says_what_the_scores_amount_to(clone):
    found = evaluation(clone, "lora")
    best = min(scores["mae"]["overall"] for scores in found["baselines"].values())
    assert {"replay", "nearest_neighbours", "ridge", "untrained"} < set(found["baselines"])
    assert found["policy"]["mae"]["overall"] < found["baselines"]["train_mean"]["mae"]["overall"]
    assert found["best_baseline"]["mae"] == best
    page = (clone / "results/report.html").read_text()
    words = re.sub(r"(<[^>]+>|\s)+", " ", page)
    mae = found["policy"]["mae"]["overall"]
    compared = ComparisonResult.read(clone / "results/comparison.json")
    (own,) = (each for each in compared.experiments if each.experiment == "lora")
    assert own.verdict.model_dump() == found["verdict"]  # of one run
    assert ENGLISH(f"tag.{standing(own)}") in words
    assert "In closed loop, " in words
    assert f"Mean absolute error {mae:.3f} (95" in words


def test_the_experiments_share_what_is_frozen(clone):
    stored = sorted(file.stem for file in (clone / "results/features/demo/tiny").glob("[!.]*.npy"))
    # two views of each: as recorded, and mirrored
    assert [name.split("-")[0] for name in stored] == ["image_embeds"] * 2 + ["readout"] * 2


def test_a_job_stays_below_four_gigabytes(clone):
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # kB, the largest process
    assert 1e5 < largest < 4e6


def test_a_blind_trial_in_another_world_tells_lora_from_head_only(clone):
    python = str(clone / ".venv/bin/python")
    trial = SimulatedTrial(clone, python, "apart", ("lora/seed0", "head_only/seed0"), scenes=15)
    result, leaked = trial.drive()
    assert leaked == []
    (pair,) = result.pairs
    assert pair.blocks <= 30 and pair.evidence >= 20 and result.left_out == []
    letters = trial.files.key().letters
    assert pair.better == letters["lora/seed0"]
    assert trial.run("unblind", "apart") == 0
    assert trial.judged().pairs[0].better == "lora/seed0"


def test_a_blind_trial_of_equally_good_policies_stays_inconclusive(clone):
    config, runs = clone / "config.yaml", clone / "results/experiments"
    config.write_text(
        config.read_text().replace("\nexperiments:\n", "\nexperiments:\n  lora_twin: {}\n")
    )
    backbone = clone / "results/backbones/tiny/backbone.json"
    write_twin(runs / "lora/seed0/policy", runs / "lora_twin/seed0/policy", backbone)
    python = str(clone / ".venv/bin/python")
    trial = SimulatedTrial(clone, python, "alike", ("lora/seed0", "lora_twin/seed0"), scenes=8)
    result, leaked = trial.drive()
    assert leaked == []
    (pair,) = result.pairs
    assert pair.blocks == 16 and pair.better is None and pair.low < 0 < pair.high
