"""What config.yaml no longer names stays on disk until it is asked for, and then goes."""

import os
import subprocess
import sys

from support.project import ROOT


def clean(project, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "mobile_vla", "clean-stale", *arguments],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "workflow")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_it_lists_first_and_removes_on_wish(copied):
    assert "nothing in results/ is stale" in clean(copied)
    copied.edit("config.yaml", "  head_only:\n    finetune: none\n", "")
    copied.edit("config.yaml", "scenes: 6", "scenes: 5")
    experiment = copied.folder / "results/experiments/head_only"
    trial = copied.folder / "results/trials/old/trials.json"
    trial.parent.mkdir(parents=True)
    trial.write_text("{}")
    listed = clean(copied)
    assert "results/experiments/head_only" in listed and "readout-" in listed
    assert listed.count("/raw/") == 6 and listed.count("/episodes/") == 6
    assert "nothing was removed" in listed and experiment.is_dir()
    clean(copied, "--remove")
    assert not experiment.exists() and not trial.exists()
    assert (copied.folder / "results/experiments/lora/seed0/metrics.csv").is_file()
    assert "nothing in results/ is stale" in clean(copied)
