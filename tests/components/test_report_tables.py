from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from mobile_vla.training.result import write_metrics
from support.report import tabulated
from support.results import Results, make_results
from support.training_results import epoch_of


def written(made: Results) -> dict[str, list[dict[str, str]]]:
    return {
        name: list(csv.DictReader(path.open(encoding="utf-8")))
        for name, path in tabulated(made).items()
    }


def test_values_equal_those_of_the_json_files(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2, seeds=2)
    found = written(made)
    assert len(found["experiments"]) == 4
    for line, path, results in zip(
        found["experiments"], made.evaluations, made.trainings, strict=True
    ):
        scored, trained = json.loads(path.read_text()), json.loads(results.read_text())
        assert (line["experiment"], line["run"]) == (scored["experiment"], scored["run"])
        assert float(line["mae_command_units"]) == scored["policy"]["mae"]["overall"]
        assert float(line["skill"]) == scored["skill"]
        assert line["verdict"] == scored["verdict"]["outcome"]
        assert int(line["steps"]) == scored["steps"]
        assert int(line["trainable_parameters"]) == trained["parameters"]["trainable_total"]
        assert float(line["avg_epoch_seconds"]) == trained["avg_epoch_time"]
    # Six predictors, four metrics, overall and two dimensions, for each run.
    assert len(found["errors"]) == 4 * 6 * 4 * 3
    scored = json.loads(made.evaluations[3].read_text())
    values = {
        (line["predictor"], line["metric"], line["dimension"]): float(line["value"])
        for line in found["errors"]
        if (line["experiment"], line["run"]) == ("lora_r8", "seed1")
    }
    assert values["policy", "rmse", "linear_y"] == scored["policy"]["rmse"]["linear_y"]
    assert values["zero", "mse", "overall"] == scored["baselines"]["zero"]["mse"]["overall"]


def test_the_epochs_table(tmp_path: Path) -> None:
    made = make_results(tmp_path, 1)
    losses = [(0.5, 0.4), (0.4, 0.1), (0.3, 0.2)]  # training, validation
    write_metrics(made.metrics[0], [epoch_of(i, *both) for i, both in enumerate(losses)])
    lines = written(made)["epochs"]
    assert lines[0]["change_percent"] == ""
    assert [float(line["change_percent"]) for line in lines[1:]] == pytest.approx([-75, 100])
    cumulative = [float(line["cumulative_change_percent"]) for line in lines[1:]]
    assert cumulative == pytest.approx([-75, -50])


def test_no_verdict_where_the_scored_episodes_chose_the_checkpoint(tmp_path: Path) -> None:
    line = written(make_results(tmp_path, 1, scored_on="val"))["experiments"][0]
    assert line["verdict"] == "no_verdict"
    assert line["selected_on_scored"] == "True"


def test_verdicts_pairs_steps_and_cells_are_tables_for_a_paper_too(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2, beats=[True, False])
    found = written(made)
    scores = json.loads(made.comparison.read_text())
    own = scores["experiments"][0]
    line = next(
        line
        for line in found["verdicts"]
        if (line["experiment"], line["against"]) == ("lora", "replay")
    )
    assert float(line["difference"]) == own["differences"]["replay"]["value"]
    assert float(line["low"]) == own["differences"]["replay"]["low"]
    assert float(line["its_mae"]) == own["baselines"]["replay"]
    assert {line["kind"] for line in found["verdicts"]} == {"baseline", "control"}
    (pair,) = found["pairs"]
    assert (pair["one"], pair["other"], pair["better"]) == ("lora", "lora_r8", "lora")
    assert [line["step"] for line in found["by_step"]] == [str(n) for n in range(1, 11)] * 2
    assert found["by_cell"][0]["cell"] == "distance close, side left"
    lines = {line["part"]: line for line in found["by_part"] if line["experiment"] == "lora"}
    scored = json.loads(made.evaluations[0].read_text())
    turns = scored["segments"]["turns"]
    assert float(lines["turns"]["ade"]) == turns["displacement"]["policy"]["ade"]
    assert int(lines["turns"]["segments"]) == turns["segments"] > 0
    assert float(lines["turns"]["mae"]) == scored["parts"]["turns"]["policy"]["mae"]["overall"]
    assert lines["first_step"]["ade"] == ""
    tex = (tmp_path / "results/tables/verdicts.tex").read_text()
    assert tex.startswith("\\begin{tabular}{lllrrrr")
    assert tex.count("\\\\") == 3  # the head, and a line for each experiment
    assert re.search(r"lora\\_r8 & does\\_not\\_beat & [^&]* & 12", tex)
    assert f"{own['mae']['value']:.3f}" in tex


def test_one_experiment_has_no_pair_and_the_table_is_its_head(tmp_path: Path) -> None:
    found = written(make_results(tmp_path, 1))
    assert found["pairs"] == []
    assert (tmp_path / "results/tables/pairs.csv").read_text().startswith("one,other,dataset")
    assert "\\midrule\n\\bottomrule" in (tmp_path / "results/tables/pairs.tex").read_text()
