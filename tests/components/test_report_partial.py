"""The page from the runs that finished."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mobile_vla.config.reporting import PartialSettings, Sweep, SweepMember
from mobile_vla.errors import UserError
from mobile_vla.layout import PartialFiles
from mobile_vla.reporting.partial_report import partial_report
from support.results import UNCERTAINTY, Results, make_results


def reported(made: Results) -> str:
    figures = ("loss_curves", *(("sweeps",) if made.settings.sweeps else ()))
    few = made.settings.model_copy(update={"figures": figures})
    partial_report(PartialSettings(report=few, uncertainty=UNCERTAINTY), made.results)
    return PartialFiles.below(made.results).report.read_text(encoding="utf-8")


def test_finished_runs_are_shown_and_the_others_listed_with_their_logs(tmp_path: Path) -> None:
    made = make_results(tmp_path, 3)
    experiments = tmp_path / "results/experiments"
    (experiments / "lora_r8/seed0/training_results.json").unlink()
    shutil.rmtree(experiments / "head_only")
    log = tmp_path / "results/logs/train/lora_r8/seed0.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"line {n}\n" for n in range(50)) + "the loss is not finite <inf>\n")
    html = reported(made)
    assert "This page is partial: 2 runs did not finish" in html
    assert "line 49\nthe loss is not finite &lt;inf&gt;" in html and "line 30\n" not in html
    assert "lora_r8 seed0: not finished" in html and "head_only seed0: not started" in html
    assert "1 experiment in 1 run" in html
    assert 'id="figure-loss_curves"' in html


def test_without_a_finished_run_there_is_no_page(tmp_path: Path) -> None:
    made = make_results(tmp_path, 1)
    shutil.rmtree(tmp_path / "results/experiments")
    with pytest.raises(UserError, match="none of 1 runs has finished yet"):
        reported(made)


def test_a_sweep_is_shown_once_a_combination_of_it_has_finished(tmp_path: Path) -> None:
    made = make_results(tmp_path, 3)
    names = [own.experiment for own in made.settings.runs]
    members = tuple(
        SweepMember(experiment=name, values={"lora.r": rank})
        for name, rank in zip(names[1:], (4, 8), strict=True)
    )
    sweep = Sweep(name="rank", keys=("lora.r",), members=members)
    made.settings = made.settings.model_copy(update={"sweeps": (sweep,)})
    experiments = tmp_path / "results/experiments"
    for name in names[1:]:
        (experiments / name).rename(tmp_path / name)
    html = reported(made)
    assert "Combinations of rank" not in html and 'id="figure-sweeps"' not in html
    (tmp_path / names[1]).rename(experiments / names[1])
    html = reported(made)
    assert "Combinations of rank" in html and 'id="figure-sweeps"' in html
