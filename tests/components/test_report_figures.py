from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from pydantic import ValidationError

from mobile_vla.config.reporting import FIGURES, FigureSettings
from mobile_vla.errors import UserError
from mobile_vla.reporting.drawing.examples import stitch
from mobile_vla.reporting.drawing.style import broken_up, fit_titles, new_figure
from mobile_vla.reporting.figures import drawing_of
from mobile_vla.reporting.format import number
from mobile_vla.reporting.palette import COLORS, color_of
from support.report import drawn
from support.results import Results, make_results
from support.rewriting import rewrite

NAMES = ("loss_curves", "error_by_dimension", "epoch_time", "closed_loop")


def test_each_name_of_the_settings_has_a_drawing() -> None:
    names = [name for names in FIGURES.values() for name in names]
    assert len(set(names)) == len(names)
    assert all(drawing_of(name).__name__ == name for name in names)


def test_equal_results_give_equal_bytes_and_matplotlib_is_left_as_it_was(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2)
    mpl.rcParams["font.size"] = 23
    try:
        first = drawn(made, NAMES[-2:], tmp_path / "a", kinds=("svg", "pdf", "png"))
        assert mpl.rcParams["font.size"] == 23
        mpl.rcParams["font.size"] = 7  # the user's matplotlibrc must not matter
        second = drawn(made, NAMES[-2:], tmp_path / "b", kinds=("svg", "pdf", "png"))
    finally:
        mpl.rcdefaults()
    for name in NAMES[-2:]:
        assert first[name].read_bytes() == second[name].read_bytes()
        for suffix in (".png", ".pdf"):
            both = [path.with_suffix(suffix).read_bytes() for path in (first[name], second[name])]
            assert both[0] == both[1]
        with Image.open(first[name].with_suffix(".png")) as image:
            assert image.width >= 800
            assert len(image.convert("RGB").getcolors(1 << 20) or []) > 10  # something is drawn


def test_a_change_of_the_results_changes_their_figure_alone(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2)
    first = drawn(made, NAMES, tmp_path / "a")
    text = made.metrics[0].read_text().splitlines()
    made.metrics[0].write_text("\n".join(text[:-3]) + "\n")
    second = drawn(made, NAMES, tmp_path / "b")
    changed = [name for name in NAMES if first[name].read_bytes() != second[name].read_bytes()]
    assert changed == ["loss_curves"]


def test_an_experiment_has_the_same_colour_in_all_figures(tmp_path: Path) -> None:
    lines = ("loss_curves", "error_by_dimension", "epoch_time")
    made = make_results(tmp_path, 3, beats=[False, True, False])
    paths = drawn(made, [*lines, "velocity_traces"])
    names = ["lora", "lora_r8", "head_only"]
    for name in lines:
        text = paths[name].read_text().lower()
        assert all(color_of(own, names).lower() in text for own in names)
    traces = paths["velocity_traces"].read_text().lower()
    assert all(color.lower() in traces for color in COLORS[:3])  # a panel for each


@pytest.mark.parametrize(
    "options",
    [
        {"experiments": 1, "beats": False, "scored_on": "val"},
        pytest.param({"experiments": 3, "seeds": 2, "chunks": (10, 8)}, marks=pytest.mark.long),
    ],
)
def test_one_and_many(tmp_path: Path, options: dict) -> None:
    for path in drawn(make_results(tmp_path, **options)).values():
        assert path.stat().st_size > 10_000


@pytest.mark.parametrize(("target", "frames"), [("next", [4, 5, 7]), ("current", [3, 4, 6])])
def test_stitching_takes_the_first_step_of_the_episodes_chunks_in_time(
    tmp_path: Path, target: str, frames: list[int]
) -> None:
    prediction = np.arange(5 * 2).reshape(5, 2, 1).astype(np.float32)
    mask = np.ones((5, 2), dtype=bool)
    mask[4, 0] = False
    np.savez(
        tmp_path / "predictions.npz",
        episode=np.array(["b", "a", "b", "b", "b"]),
        last_frame=np.array([6, 0, 3, 4, 7]),
        prediction=prediction,
        truth=-prediction,
        mask=mask,
    )
    trace = stitch(tmp_path / "predictions.npz", "b", target)
    assert trace.frame.tolist() == frames
    assert trace.prediction.ravel().tolist() == [4, 6, 0]
    assert trace.truth.ravel().tolist() == [-4, -6, 0]
    with pytest.raises(UserError, match="no window of c"):
        stitch(tmp_path / "predictions.npz", "c", target)


def test_the_ablation_is_drawn_where_an_experiment_has_one(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2, ablation="lora_r8")
    svg = drawn(made, ["speed_ablation"], kinds=("svg", "png"))["speed_ablation"]
    with Image.open(svg.with_suffix(".png")) as image:
        colors = {color for _, color in image.convert("RGB").getcolors(1 << 20) or []}
    own = color_of("lora_r8", ["lora", "lora_r8"]).lstrip("#")
    assert tuple(bytes.fromhex(own)) in colors


def test_marks_say_the_values_of_the_files(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2)
    text = drawn(made, ["error_by_step"])["error_by_step"].read_text()
    titles = re.findall(r"<title>([^<]*)</title>", text)
    for path, label in zip(made.evaluations, ("lora", "lora_r8"), strict=True):
        for part in json.loads(path.read_text())["by_step"]:
            said = f"{label}, step {part['step']}: {number(part['policy']['mae']['overall'])}"
            assert [title for title in titles if title.startswith(said)], said
    assert "mark:" not in text and "marks:" not in text


def test_an_unknown_figure_is_refused() -> None:
    with pytest.raises(ValidationError, match="no such figure: pie_chart; expected some of action"):
        FigureSettings(runs=(), datasets=(), figures=("pie_chart",))


@pytest.mark.parametrize("name", ["error_by_step", "error_by_frame"])
def test_a_sentence_has_the_number_of_steps_that_its_values_rest_on(
    tmp_path: Path, name: str
) -> None:
    made = make_results(tmp_path, 1)
    drawn(made, [name])
    alt = json.loads((made.results / "figures/captions.json").read_text())[name]["alt"]
    parts = json.loads(made.evaluations[0].read_text())["by_" + name.removeprefix("error_by_")]
    steps = {part["steps"] for part in parts}
    if name == "error_by_frame":
        steps = {max(parts, key=lambda part: part["policy"]["mae"]["overall"])["steps"]}
    found = re.search(r"\(n = ([\d,]+) steps?", alt)
    assert found is not None and {int(found[1].replace(",", ""))} == steps


def captions(made: Results) -> dict[str, Any]:
    return json.loads((made.results / "figures/captions.json").read_text())


@pytest.mark.parametrize(("chunk", "lines"), [(10, 7), (14, 3), (16, 1)])
def test_where_windows_are_few_whole_chunks_are_drawn_beside_the_truth_of_all_frames(
    tmp_path: Path, chunk: int, lines: int
) -> None:
    text = drawn(make_results(tmp_path, 1, chunks=(chunk,)), ["velocity_traces"])
    said = re.findall(r"<title>(frame \d+): predicted", text["velocity_traces"].read_text())
    dimensions, episodes = 2, 2
    assert len(said) == lines * chunk * dimensions * episodes
    assert len(set(said)) == min(chunk + lines - 1, 16)  # frames 4 to 19


@pytest.mark.parametrize("name", ["confusion", "predicted_paths", "closed_loop"])
def test_a_setting_chooses_the_experiment_that_figures_of_one_run_show(
    tmp_path: Path, name: str
) -> None:
    made = make_results(tmp_path, 3, beats=[False, True, False])
    drawn(made, [name])
    assert "Shown: lora_r8, of the highest skill." in captions(made)[name]["caption"]
    made.settings = made.settings.model_copy(update={"example": "head_only"})
    drawn(made, [name])
    assert "Shown: head_only, by `report.example`." in captions(made)[name]["caption"]
    assert "head_only" in captions(made)[name]["alt"]


def test_datasets_that_a_figure_has_no_room_for_are_named(tmp_path: Path) -> None:
    made, names = make_results(tmp_path, 1), ["demo", "two", "three", "four", "five"]
    first, figures = made.results / "datasets/demo", {"action_sequences": 3, "coverage": 4}
    for name in names[1:]:
        shutil.copytree(first, first.with_name(name))
        for path in first.with_name(name).glob("*.json"):
            text = path.read_text().replace('"dataset": "demo"', f'"dataset": "{name}"')
            rewrite(path, json.loads(text))
    for shown in (names[:3], names):
        made.settings = made.settings.model_copy(update={"datasets": tuple(shown)})
        drawn(made, list(figures))
        for figure, room in figures.items():
            said = f"There is room for {room} of 5; not drawn: {', '.join(names[room:])}."
            assert (said in captions(made)[figure]["caption"]) == (shown == names)


def test_sets_of_runs_that_a_figure_has_no_room_for_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobile_vla.reporting.drawing.baselines.PANELS", 3)
    made = make_results(tmp_path, 5, chunks=(6, 8, 10, 12, 14))
    drawn(made, ["error_by_step", "error_by_frame", "error_by_scenario", "error_by_dimension"])
    for figure, own in captions(made).items():
        room, left = 4, "demo, window 4, chunk 14"
        if figure == "error_by_dimension":
            room, left = 3, "full_finetune, variant_4"
        assert f"There is room for {room} of 5; not drawn: {left}." in own["caption"]


LONG = "an_experiment_with_a_name_that_says_all_of_its_settings_lr_0.0001_rank_32"


@pytest.mark.parametrize("width", [8, 20, 60])
def test_a_title_is_broken_and_loses_nothing(width: int) -> None:
    text = f"{LONG}, worst: MAE 0.0607\n(3 windows)"
    broken = broken_up(text, width)
    assert max(map(len, broken.splitlines())) <= width
    assert broken.replace("\n", "").replace(" ", "") == text.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_no_title_reaches_into_the_next_panel_or_out_of_the_figure(columns: int) -> None:
    figure = new_figure(3)
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, columns, squeeze=False)[0]
    titles = [ax.set_title(f"{LONG} {LONG}", loc="left") for ax in panels]
    fit_titles(figure)
    figure.draw_without_rendering()
    ends = [*(ax.get_window_extent().x0 for ax in panels[1:]), figure.bbox.x1]
    for title, end in zip(titles, ends, strict=True):
        assert title.get_window_extent().x1 <= end
