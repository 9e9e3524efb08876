from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mobile_vla.errors import UserError
from mobile_vla.evaluation.result import EpisodeError
from mobile_vla.layout import SplitFiles, TimingFiles
from mobile_vla.reporting.load import Run, epoch_rows, load_datasets, load_runs
from mobile_vla.reporting.selection import best_run, exhibited, populations
from mobile_vla.training.result import read_metrics
from support.results import Results, make_results
from support.training_results import epoch_of


def loaded(made: Results) -> tuple[Run, ...]:
    return load_runs(made.settings, made.results)


def edit(path: Path, **changed: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def test_runs_get_their_own_files_and_their_experiments_timing(tmp_path: Path) -> None:
    runs = loaded(make_results(tmp_path, 2, seeds=2))
    assert [run.label for run in runs] == [
        "lora seed0",
        "lora seed1",
        "lora_r8 seed0",
        "lora_r8 seed1",
    ]
    assert [run.timing.experiment for run in runs] == ["lora", "lora", "lora_r8", "lora_r8"]
    assert all(run.evaluation.run == run.training.run == run.run for run in runs)


def test_another_runs_file_is_noticed(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2)
    shutil.copy(made.evaluations[1], made.evaluations[0])
    with pytest.raises(UserError, match="results of lora_r8/seed0, expected those of lora/seed0"):
        loaded(made)


def test_another_datasets_file_is_noticed(tmp_path: Path) -> None:
    made = make_results(tmp_path, 1)
    edit(SplitFiles.below(made.results, dataset="demo").split, dataset="other")
    with pytest.raises(UserError, match=r"split\.json: holds the results of other"):
        load_datasets(made.settings, made.results)


def test_all_that_is_wrong_with_a_file_is_said_together(tmp_path: Path) -> None:
    made = make_results(tmp_path, 1)
    edit(made.trainings[0], best_epoch="many", parameters={"trainable": {}})
    with pytest.raises(UserError) as caught:
        loaded(made)
    message = str(caught.value)
    assert "3 problems" in message
    for place in ("best_epoch", "parameters.backbone_total", "parameters.trainable_total"):
        assert f"training_results.json ({place})" in message


def test_missing_and_broken_files_say_what_to_do(tmp_path: Path) -> None:
    made = make_results(tmp_path, 1)
    timing = TimingFiles.below(made.results, experiment="lora").timing
    timing.write_text("{")
    with pytest.raises(UserError, match="not readable as JSON"):
        loaded(made)
    timing.unlink()
    with pytest.raises(UserError, match="not there"):
        loaded(made)


def test_metrics_of_another_form_are_refused_at_their_column(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    header, line = "epoch,train_loss,val_loss\n", "0,0.5,0.25\n"
    path.write_text(header)
    with pytest.raises(UserError, match="no epoch"):
        read_metrics(path)
    path.write_text(header + line)
    with pytest.raises(UserError, match=r"metrics\.csv \(learning_rate\)"):
        read_metrics(path)
    for wrong in ("first", "", "nan"):
        path.write_text(header + line.replace("0.25", wrong))
        with pytest.raises(UserError, match=r"metrics\.csv \(val_loss\)"):
            read_metrics(path)


def test_changes_of_the_validation_loss_by_hand() -> None:
    losses = [0.8, 0.4, 0.2, 0.3]
    epochs = [epoch_of(number, 1.0, loss) for number, loss in enumerate(losses)]
    rows = epoch_rows(epochs, best_epoch=2)
    assert [row.change for row in rows] == [None, -0.5, -0.5, pytest.approx(0.5)]
    assert [row.cumulative for row in rows] == [
        None,
        -0.5,
        pytest.approx(-0.75),
        pytest.approx(-0.625),
    ]
    assert [row.measured.epoch for row in rows if row.best] == [2]


def test_other_chunks_are_another_population(tmp_path: Path) -> None:
    runs = loaded(make_results(tmp_path, 3, chunks=(10, 8)))
    assert [[run.label for run in group] for group in populations(runs)] == [
        ["lora", "head_only"],
        ["lora_r8"],
    ]


def test_ranking_runs(tmp_path: Path) -> None:
    runs = loaded(make_results(tmp_path / "test", 3, beats=[False, True, False]))
    assert best_run(runs).label == "lora_r8"


def test_the_best_a_typical_and_the_worst_episode() -> None:
    episodes = [
        EpisodeError(
            episode=name,
            group=name,
            windows=7,
            steps=70,
            mae=mae,
            best_baseline_mae=0.5,
            ade=0,
            fde=0,
        )
        for name, mae in (("a", 0.3), ("b", 0.1), ("c", 0.2), ("d", 0.9))
    ]
    chosen = [(kind, own.episode) for kind, own in exhibited(episodes)]
    assert chosen == [("best", "b"), ("median", "c"), ("worst", "d")]
    assert [kind for kind, _ in exhibited(episodes[:2])] == ["best", "worst"]
    assert [kind for kind, _ in exhibited(episodes[:1])] == ["only"]
