"""What the robot saw, with the driver's and the predicted command drawn on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mobile_vla.conventions import FRAME_SIZE
from mobile_vla.data.frames import open_frames
from mobile_vla.reporting.drawing.drawn import Drawn
from mobile_vla.reporting.drawing.predicted_paths import t_kind
from mobile_vla.reporting.drawing.style import new_figure
from mobile_vla.reporting.drawing.velocity_traces import Trace, stitch
from mobile_vla.reporting.format import number
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.selection import best_run, exhibited

PICTURES = 6  # of an episode
SIDE = FRAME_SIZE // 2  # pixels
GAP, HEADING = 8, 34  # pixels between pictures, and above a row
ROW = 1.75  # inches
LENGTH = 0.33  # of a picture's side: an arrow of the action scale
TRUE, PREDICTED = "#fefefd", "#e69f01"  # on pictures, in light and dark alike
NEARLY = 0.02  # of the scale: shorter arrows are a dot


def episodes(material: Material) -> Drawn:
    """Draw the figure: the run with the highest skill, in its best, a typical and its worst."""
    t, run = material.texts, best_run(material.runs)
    chosen = exhibited(run.evaluation.per_episode)
    dataset = material.dataset_of(run.evaluation)
    frames, path = open_frames(dataset), material.predictions_of(run)
    figure = new_figure(0.4 + ROW * len(chosen))
    ax = figure.subplots()
    down, across = SIDE + HEADING, SIDE + GAP
    canvas = np.zeros((len(chosen) * down, PICTURES * across - GAP, 4), dtype=np.uint8)
    scale = float(np.abs(dataset.actions).max()) or 1.0
    for row, (kind, episode) in enumerate(chosen):
        trace = stitch(path, episode.episode, str(run.settings.settings.get("target")))
        first = int(dataset.offsets[dataset.index(episode.episode)])
        places = np.unique(np.linspace(0, len(trace.frame) - 1, PICTURES).round().astype(int))
        seen = frames[first + trace.frame[places]]  # (n, 224, 224, 3)
        top = row * down + HEADING
        name = episode.episode.removeprefix("episode_")
        ax.text(
            0, top - 19, f"{t_kind(kind)}: MAE {number(episode.mae)}", weight="bold", va="bottom"
        )
        ax.text(across * 2, top - 19, name, fontsize=7, va="bottom")
        for column, (place, picture) in enumerate(zip(places, seen, strict=True)):
            left = column * across
            canvas[top : top + SIDE, left : left + SIDE, :3] = picture[::2, ::2]
            canvas[top : top + SIDE, left : left + SIDE, 3] = 255
            ax.text(left, top - 3, f"frame {trace.frame[place]}", fontsize=6.5, va="bottom")
            foot = (left + SIDE / 2, top + 0.8 * SIDE)
            _arrows(ax, foot, trace, int(place), run.evaluation.dimensions, scale)
    ax.imshow(canvas, interpolation="none", extent=(0, canvas.shape[1], canvas.shape[0], 0))
    ax.set_axis_off()
    keys = [
        Line2D([], [], color="#9aa5b1", lw=4, label="driver (white on the pictures)"),
        Line2D([], [], color=PREDICTED, lw=2, label=f"{run.label} (predicted)"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    parts = "; ".join(
        t(
            "episodes.one",
            kind=t(f"kind.{kind}"),
            mae=number(own.mae),
            episode=own.episode,
            windows=t.count(own.windows, "window"),
        )
        for kind, own in chosen
    )
    finding = t("episodes.finding", run=run.label, parts=parts)
    return Drawn(figure, t("episodes.title"), t("episodes.caption"), finding)


def _arrows(
    ax: Axes,
    foot: tuple[float, float],
    trace: Trace,
    place: int,
    dimensions: Sequence[str],
    scale: float,
) -> None:
    """Draw two commands: forward is up, left is left; the true one is wide and below."""
    for values, color, width in ((trace.truth, TRUE, 4.5), (trace.prediction, PREDICTED, 1.8)):
        command = dict(zip(dimensions, values[place], strict=True))
        x, y = (float(command.get(name, 0.0)) / scale for name in ("linear_x", "linear_y"))
        tip = (foot[0] - LENGTH * SIDE * y, foot[1] - LENGTH * SIDE * x)
        if np.hypot(x, y) < NEARLY:
            ax.plot(*foot, "o", color=color, ms=width + 2)
            continue
        options = {"arrowstyle": "-|>", "color": color, "lw": width, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", tip, foot, arrowprops=options)
