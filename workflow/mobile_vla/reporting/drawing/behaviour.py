"""Figures of a policy's behaviour: trajectories in closed loop, and the effect of the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from mobile_vla.layout import RolloutFiles
from mobile_vla.reporting.drawing.style import Drawn, beside, lines_down, mark, new_figure, nothing
from mobile_vla.reporting.format import number, whole_percent
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import BASELINE, COLORS, FAINT, GRID
from mobile_vla.reporting.verdict import span_of
from mobile_vla.texts import Texts

SIDES = ("left", "right")
OUTCOMES = {
    "success": COLORS[0],
    "collision": COLORS[1],
    "wrong_side": COLORS[3],
    "timeout": COLORS[4],
}
ROOM = 3.2  # metres before and behind the box that are shown
ASIDE = 2.0  # metres beside it
PATHS, STRIP, LINE = 3.3, 1.55, 0.32  # inches of height
HEADING, GAP = 32, 10  # pixels above a strip, and between its pictures
NAMED = 6  # runs that a sentence names one by one


def closed_loop(material: Material) -> Drawn:
    """Draw trajectories around the box by side, and film strips, of the example's rollouts."""
    t, words = material.texts, material.labels
    run = material.example([run for run in material.runs if run.rollouts is not None])
    rollouts = run.rollouts
    assert rollouts is not None  # the settings name this figure only where there are rollouts
    paths = RolloutFiles.below(material.results, **run.settings.names()).paths
    with np.load(paths, allow_pickle=False) as file:
        data: dict[str, Any] = {name: file[name] for name in file.files}
    strips = len(data["strip"])
    figure = new_figure(PATHS + STRIP * strips)
    heights = [PATHS, STRIP * strips] if strips else [PATHS]
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    upper = grid[0].subgridspec(1, 2)
    first: Axes | None = None
    for column, side in enumerate(SIDES):
        first = figure.add_subplot(upper[column], sharex=first, sharey=first)
        _paths(first, data, side, words)
        if column == 0:
            first.set_ylabel(words("closed_loop.aside"))
    handles = [
        Line2D([], [], color=color, label=words.words(name)) for name, color in OUTCOMES.items()
    ]
    handles.append(Line2D([], [], color=BASELINE, lw=3, label=words.words("expert")))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    if strips:
        _strips(figure.add_subplot(grid[1]), data, words)
    parts = [
        t(
            "closed_loop.one",
            driver=run.label if name == "policy" else t(f"driver.{name}"),
            share=whole_percent(driver.success.rate),
            low=whole_percent(driver.success.low),
            high=whole_percent(driver.success.high),
        )
        for name, driver in rollouts.drivers.items()
    ]
    finding = t(
        "closed_loop.finding",
        parts=", ".join(parts),
        rollouts=t.count(rollouts.rollouts, "rollout"),
        scenes=rollouts.scenes,
    )
    return Drawn(figure, finding, material.why(run))


def _paths(ax: Axes, data: Mapping[str, Any], side: str, words: Texts) -> None:
    rows = np.flatnonzero(data["side"] == side)
    for row in rows:
        x, y, depth, width = data["box"][row]
        corner = (-depth / 2, -width / 2)
        ax.add_patch(Rectangle(corner, depth, width, facecolor=GRID, edgecolor="none"))
        expert = data["expert_poses"][row] - (x, y)
        ax.plot(expert[:, 0], expert[:, 1], color=BASELINE, lw=2.5, alpha=0.35)
    for row in rows:
        path = data["policy_poses"][row] - data["box"][row][:2]  # NaN after its end
        outcome = str(data["policy_outcome"][row])
        (line,) = ax.plot(path[:, 0], path[:, 1], color=OUTCOMES[outcome], lw=0.9)
        mark(line, _scene(data, row, words))
        last = path[~np.isnan(path[:, 0])][-1]
        ax.plot(*last, "o", color=OUTCOMES[outcome], ms=3)
    succeeded = (data["policy_outcome"][rows] == "success").sum()
    ax.set_title(words("closed_loop.side", side=side, n=succeeded, all=len(rows)))
    ax.set_xlabel(words("closed_loop.past"))
    ax.set_xlim(-ROOM, ROOM)
    ax.set_ylim(-ASIDE, ASIDE)


def _scene(data: Mapping[str, Any], rollout: Any, words: Texts) -> str:
    """Return what a rollout was and how it ended."""
    return words(
        "closed_loop.scene",
        scene=data["scene"][rollout],
        side=data["side"][rollout],
        outcome=words.words(str(data["policy_outcome"][rollout])),
    )


def _strips(ax: Axes, data: Mapping[str, Any], words: Texts) -> None:
    """Draw all strips as one picture: equal pictures would get equal ids in the SVG."""
    count, length, side = data["strip"].shape[:3]
    down, across = side + HEADING, side + GAP  # pixels from strip to strip, from picture to picture
    canvas = np.zeros((count * down, length * across, 4), dtype=np.uint8)  # transparent
    for row in range(count):
        rollout = data["strip_rollout"][row]
        outcome = str(data["policy_outcome"][rollout])
        top = row * down + HEADING
        ax.text(0, top - 18, _scene(data, rollout, words), fontsize=8, va="bottom")
        for column, picture in enumerate(data["strip"][row]):
            left = column * across
            canvas[top : top + side, left : left + side, :3] = picture
            canvas[top : top + side, left : left + side, 3] = 255
            color = OUTCOMES[outcome]
            ax.add_patch(Rectangle((left, top), side, side, fill=False, edgecolor=color, lw=1.5))
            frame = words("data.frame", frame=data["strip_frame"][row][column])
            ax.text(left, top - 3, frame, fontsize=6.5, va="bottom")
    ax.imshow(canvas, interpolation="none", extent=(0, canvas.shape[1], canvas.shape[0], 0))
    ax.set_axis_off()


def language(material: Material) -> Drawn:
    """Draw how much farther left a policy goes when told left: a line a run, with interval."""
    t, words = material.texts, material.labels
    shifts = [
        (run, run.language.lateral_shift)
        for run in material.shown
        if run.language.lateral_shift is not None
    ]
    if not shifts:
        return nothing(words("language.none"), t("language.none"))
    figure = new_figure(0.8 + LINE * len(shifts))
    ax = figure.subplots()
    parts = []
    for place, (run, shift) in enumerate(shifts):
        verdict, color = f"said.{run.language.verdict}", material.color(run)
        ends, n = span_of(shift.low, shift.high, words), words.count(shift.units, "group")
        said = f"{run.label}: {number(shift.mean)} ({ends}), {n}: {words(verdict)}"
        if shift.low is not None and shift.high is not None:
            (bar,) = ax.plot([shift.low, shift.high], [place, place], color=color, lw=2.4)
            mark(bar, said)
        (dot,) = ax.plot(shift.mean, place, "o", color=color, ms=6)
        mark(dot, said)
        end = shift.mean if shift.high is None else shift.high
        beside(ax, end, place, words(verdict), 8, color=FAINT)
        parts.append(
            t(
                "language.one",
                run=run.label,
                verdict=t(verdict),
                shift=number(shift.mean),
                interval=span_of(shift.low, shift.high, t),
                groups=t.count(shift.units, "group"),
            )
        )
    ax.axvline(0, color=FAINT, lw=1)
    lines_down(ax, [run.label for run, _ in shifts])
    ax.margins(x=0.25)
    ax.set_xlabel(words("language.axis"))
    return Drawn(figure, t("language.finding", parts="; ".join(parts[:NAMED])), material.left_out)
