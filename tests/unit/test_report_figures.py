from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from mobile_vla.errors import UserError
from mobile_vla.reporting.drawing.velocity_traces import stitch
from mobile_vla.reporting.figures import figures
from mobile_vla.reporting.palette import COLORS, color_of
from support.results import Results, make_results

NAMES = ("loss_curves", "error_by_dimension", "velocity_traces", "epoch_time", "closed_loop")


def drawn(made: Results, folder: Path) -> dict[str, Path]:
    paths = {name: folder / f"{name}.svg" for name in NAMES}
    figures(
        made.settings,
        metrics=made.metrics,
        results=made.results,
        evaluations=made.evaluations,
        elsewhere=made.elsewhere,
        predictions=made.predictions,
        paths=made.paths,
        timings=made.timings,
        languages=made.languages,
        latencies=made.latencies,
        rollouts=made.rollouts,
        **paths,
    )
    return paths


def test_equal_results_give_equal_bytes_and_matplotlib_is_left_as_it_was(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2)
    mpl.rcParams["font.size"] = 23
    try:
        first = drawn(made, tmp_path / "a")
        assert mpl.rcParams["font.size"] == 23
        mpl.rcParams["font.size"] = 7  # the user's matplotlibrc must not matter
        second = drawn(made, tmp_path / "b")
    finally:
        mpl.rcdefaults()
    for name in NAMES:
        assert first[name].read_bytes() == second[name].read_bytes()
        images = [path.with_suffix(".png").read_bytes() for path in (first[name], second[name])]
        assert images[0] == images[1]
        with Image.open(first[name].with_suffix(".png")) as image:
            assert image.width >= 800
            assert len(image.convert("RGB").getcolors(1 << 20) or []) > 10  # something is drawn


def test_a_change_of_the_results_changes_their_figure_alone(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2)
    first = drawn(made, tmp_path / "a")
    text = made.metrics[0].read_text().splitlines()
    made.metrics[0].write_text("\n".join(text[:-3]) + "\n")
    second = drawn(made, tmp_path / "b")
    changed = [name for name in NAMES if first[name].read_bytes() != second[name].read_bytes()]
    assert changed == ["loss_curves"]


def test_an_experiment_has_the_same_colour_in_all_figures(tmp_path: Path) -> None:
    paths = drawn(make_results(tmp_path, 3, beats=[False, True, False]), tmp_path)
    names = ["lora", "lora_r8", "head_only"]
    for name in ("loss_curves", "error_by_dimension", "epoch_time"):
        text = paths[name].read_text().lower()
        assert all(color_of(own, names).lower() in text for own in names)
    # The traces show the best run only, in its own colour.
    assert COLORS[1].lower() in paths["velocity_traces"].read_text().lower()
    assert COLORS[0].lower() not in paths["velocity_traces"].read_text().lower()


@pytest.mark.parametrize(
    "options",
    [
        {"experiments": 1, "beats": False},
        {"experiments": 5, "seeds": 2, "chunks": (10, 8)},
        {"experiments": 2, "scored_on": "val"},
    ],
)
def test_one_and_many(tmp_path: Path, options: dict) -> None:
    for path in drawn(make_results(tmp_path, **options), tmp_path / "figures").values():
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


def test_the_ladder_is_drawn_where_an_experiment_has_one(tmp_path: Path) -> None:
    made = make_results(tmp_path, 2, ladder="lora_r8")
    drawn(made, tmp_path / "without")
    assert not (tmp_path / "without/speed_ladder.svg").exists()
    paths = {name: tmp_path / f"{name}.svg" for name in (*NAMES, "speed_ladder")}
    figures(
        made.settings,
        metrics=made.metrics,
        results=made.results,
        evaluations=made.evaluations,
        elsewhere=made.elsewhere,
        predictions=made.predictions,
        timings=made.timings,
        languages=made.languages,
        latencies=made.latencies,
        rollouts=made.rollouts,
        paths=made.paths,
        **paths,
    )
    with Image.open(tmp_path / "speed_ladder.png") as image:
        colors = {color for _, color in image.convert("RGB").getcolors(1 << 20) or []}
    own = color_of("lora_r8", ["lora", "lora_r8"]).lstrip("#")
    assert tuple(bytes.fromhex(own)) in colors
