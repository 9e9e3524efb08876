"""The report on folds, on training sizes and on scores elsewhere."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from mobile_vla.layout import OtherEvaluationFiles
from mobile_vla.reporting.drawing.training_size import label_of, means_of, sized
from mobile_vla.reporting.load import Run, load_runs
from mobile_vla.reporting.page_tables import error_table
from mobile_vla.reporting.selection import populations
from support.report import ENGLISH, drawn, tabulated, written
from support.results import Results, make_results


def loaded(made: Results) -> tuple[Run, ...]:
    return load_runs(made.settings, made.results)


def test_experiments_that_differ_in_subset_alone_are_one_line(tmp_path: Path) -> None:
    runs = loaded(make_results(tmp_path, 3, seeds=2, subsets=(3, 9, None)))
    (line,) = sized(runs)
    means = means_of(line, lambda run: run.evaluation.policy_mae)
    assert [size for size, _ in means] == [3, 9, 15]
    maes = [run.evaluation.policy_mae for run in runs]
    assert means[0][1] == sum(maes[:2]) / 2
    assert label_of(line) == "lora, lora_r8, head_only"
    assert len(sized(loaded(make_results(tmp_path / "others", 3)))) == 3


def test_a_baseline_that_depends_on_the_training_episodes_stands_there_for_each(
    tmp_path: Path,
) -> None:
    runs = loaded(make_results(tmp_path, 2, subsets=(1, None)))
    assert len(populations(runs)) == 1
    labels = [row.label for row in error_table(runs, ENGLISH, {}).rows]
    assert labels[:3] == ["lora", "lora_r8", "zero"]
    assert {"train mean, 1 episode", "train mean, 15 episodes"} < set(labels)
    assert labels[-1] == "previous action"


def test_folds_are_never_compared_with_each_other(tmp_path: Path) -> None:
    runs = loaded(make_results(tmp_path, 2, folds=2))
    groups = populations(runs)
    assert [[run.label for run in group] for group in groups] == [
        ["lora seed0-fold0", "lora_r8 seed0-fold0"],
        ["lora seed0-fold1", "lora_r8 seed0-fold1"],
    ]


def test_the_page_shows_sizes_folds_and_scores_elsewhere(tmp_path: Path) -> None:
    made = make_results(
        tmp_path, 3, subsets=(3, 9, None), folds=2, others=("corridor",), ablation="lora"
    )
    names = ["error_by_training_size", "speed_ablation", "error_by_step", "tolerance"]
    text = written(made, drawn(made, names)).read_text()
    assert "Errors on other datasets" in text and text.count("<td>corridor</td>") == 6
    assert 'id="figure-error_by_training_size"' in text
    assert "with 3 training episodes" in text
    assert 'id="figure-speed_ablation"' in text
    assert "20 times as fast" in text
    assert "in fold 1" in text


def test_scores_elsewhere_are_a_table(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2, others=("corridor", "yard"))
    with tabulated(made)["elsewhere"].open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["experiment"], line["dataset"]) for line in lines] == [
        ("lora", "corridor"),
        ("lora", "yard"),
        ("lora_r8", "corridor"),
        ("lora_r8", "yard"),
    ]
    names = made.settings.runs[0].names()
    score = OtherEvaluationFiles.below(made.results, **names, dataset="corridor").evaluation
    found = json.loads(score.read_text())
    assert float(lines[0]["mae_command_units"]) == found["policy"]["mae"]["overall"]
    assert lines[0]["trained_on"] == "demo" and lines[0]["training_episodes"] == "15"
