"""Figures of example episodes: pictures, velocities, and predicted paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mobile_vla.conventions import FRAME_SIZE, columns_of
from mobile_vla.data.frames import open_frames
from mobile_vla.errors import UserError
from mobile_vla.evaluation.result import EpisodeError
from mobile_vla.evaluation.trajectories import integrate
from mobile_vla.reporting.drawing.style import Drawn, hide, marks, new_figure, shortened
from mobile_vla.reporting.format import number
from mobile_vla.reporting.load import Run, grouped
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import BASELINE, FAINT
from mobile_vla.reporting.selection import best_run, exhibited
from mobile_vla.reporting.verdict import scored_on
from mobile_vla.texts import Texts

PICTURES = 6  # of an episode
SIDE = FRAME_SIZE // 2  # pixels
GAP, HEADING = 8, 34  # pixels between pictures, and above a row
ROW = 1.75  # inches
LENGTH = 0.33  # of a picture's side: an arrow of the action scale
TRUE, PREDICTED = "#fefefd", "#e69f01"  # on pictures, in light and dark alike
NEARLY = 0.02  # of the scale: shorter arrows are a dot


@dataclass(frozen=True)
class Trace:
    """The first step of each of an episode's N chunks, in command units."""

    frame: np.ndarray  # (N,) that the action belongs to, counted from 0
    prediction: np.ndarray  # (N, A)
    truth: np.ndarray  # (N, A)


def stitch(predictions: Path, episode: str, target: str) -> Trace:
    """Join the first step of an episode's chunks into one trace.

    ``target`` is ``next`` where a chunk starts after its window, ``current`` where at its end.

    Raises:
        UserError: the file lacks the episode.
    """
    with np.load(predictions, allow_pickle=False) as data:
        rows = np.flatnonzero((data["episode"] == episode) & data["mask"][:, 0])
        if not len(rows):
            raise UserError(
                f"{predictions}: no window of {episode}, which evaluation.json lists; "
                "remove both and run snakemake again"
            )
        rows = rows[np.argsort(data["last_frame"][rows], kind="stable")]
        return Trace(
            frame=data["last_frame"][rows] + (1 if target == "next" else 0),
            prediction=data["prediction"][rows, 0],
            truth=data["truth"][rows, 0],
        )


def _listed(chosen: Sequence[tuple[str, EpisodeError]], t: Texts) -> str:
    return "; ".join(
        t(
            "episodes.one",
            kind=t(f"kind.{kind}"),
            mae=number(episode.mae),
            episode=episode.episode,
            windows=t.count(episode.windows, "window"),
        )
        for kind, episode in chosen
    )


def episodes(material: Material) -> Drawn:
    """Draw the driver's and the predicted command on pictures of an episode, a row each."""
    t, words, run = material.texts, material.labels, material.example()
    chosen = exhibited(run.evaluation.per_episode)
    dataset = material.dataset_of(run.evaluation)
    frames, path = open_frames(dataset), material.predictions_of(run)
    figure = new_figure(0.4 + ROW * len(chosen))
    ax = figure.subplots()
    down, across = SIDE + HEADING, SIDE + GAP
    canvas = np.zeros((len(chosen) * down, PICTURES * across - GAP, 4), dtype=np.uint8)
    commands = dataset.actions[:, columns_of(run.evaluation.dimensions)]
    scale = float(np.abs(commands / run.evaluation.units).max()) or 1.0
    for row, (kind, episode) in enumerate(chosen):
        trace = stitch(path, episode.episode, str(run.settings.settings.get("target")))
        first = int(dataset.offsets[dataset.index(episode.episode)])
        places = np.unique(np.linspace(0, len(trace.frame) - 1, PICTURES).round().astype(int))
        seen = frames[first + trace.frame[places]]  # (n, 224, 224, 3)
        top = row * down + HEADING
        title = f"{words(f'kind.{kind}')}: MAE {number(episode.mae)}"
        ax.text(0, top - 19, title, weight="bold", va="bottom")
        name = episode.episode.removeprefix("episode_")
        ax.text(across * 2, top - 19, name, fontsize=7, va="bottom")
        for column, (place, picture) in enumerate(zip(places, seen, strict=True)):
            left = column * across
            canvas[top : top + SIDE, left : left + SIDE, :3] = picture[::2, ::2]
            canvas[top : top + SIDE, left : left + SIDE, 3] = 255
            frame = words("data.frame", frame=trace.frame[place])
            ax.text(left, top - 3, frame, fontsize=6.5, va="bottom")
            foot = (left + SIDE / 2, top + 0.8 * SIDE)
            _arrows(ax, foot, trace, int(place), run.evaluation.dimensions, scale)
    ax.imshow(canvas, interpolation="none", extent=(0, canvas.shape[1], canvas.shape[0], 0))
    ax.set_axis_off()
    keys = [
        Line2D([], [], color="#9aa5b1", lw=4, label=words("episodes.driver")),
        Line2D([], [], color=PREDICTED, lw=2, label=_predicted(run, words)),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    finding = t("episodes.finding", run=run.label, parts=_listed(chosen, t))
    return Drawn(figure, finding, material.why(run))


def _predicted(run: Run, words: Texts) -> str:
    return words("episodes.predicted", run=shortened(run.label))


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


@dataclass(frozen=True)
class _Example:
    """An episode with what a run predicts of it, in command units."""

    truth: np.ndarray  # (T, A) of all frames
    frames: list[np.ndarray]  # of each line the frames that it is over, counted from 0
    lines: list[np.ndarray]  # (frames, A): whole chunks, or the first steps of all


def _example(material: Material, run: Run, episode: EpisodeError) -> _Example:
    """Read an episode; with fewer windows than steps of a chunk, whole chunks show more of it."""
    scored, path = run.evaluation, material.predictions_of(run)
    dataset = material.dataset_of(scored)
    index = dataset.index(episode.episode)
    first, length = int(dataset.offsets[index]), int(dataset.lengths[index])
    commands = dataset.actions[first : first + length][:, columns_of(scored.dimensions)]
    truth = commands / scored.units
    with np.load(path, allow_pickle=False) as data:
        mask = data["mask"]
        if episode.windows >= mask.shape[1]:
            trace = stitch(path, episode.episode, str(run.settings.settings.get("target")))
            return _Example(truth, [trace.frame], [trace.prediction])
        rows = np.flatnonzero((data["episode"] == episode.episode) & mask.any(axis=1))
        frame, prediction = data["frame"], data["prediction"]
        frames = [frame[row][mask[row]] for row in rows]
        return _Example(truth, frames, [prediction[row][mask[row]] for row in rows])


def velocity_traces(material: Material) -> Drawn:
    """Draw predicted and true velocity: of each experiment a row a dimension.

    The columns are a typical episode and the worst.
    """
    t, words = material.texts, material.labels
    experiments = grouped(material.shown, lambda run: run.experiment)
    runs = [best_run(members) for members in experiments.values()]
    rows = sum(len(run.evaluation.dimensions) for run in runs)
    figure = new_figure(0.6 + 0.6 * len(runs) + 1.35 * rows)
    grid = figure.subplots(rows, 2, sharey="row", squeeze=False)
    top, findings = 0, []
    for run in runs:
        dimensions = run.evaluation.dimensions
        axes = grid[top : top + len(dimensions)]
        top += len(dimensions)
        chosen = [own for own in exhibited(run.evaluation.per_episode) if own[0] != "best"]
        for column, (kind, episode) in enumerate(chosen):
            example = _example(material, run, episode)
            for row, ax in enumerate(axes[:, column]):
                _velocities(ax, example, row, material.color(run), words)
            title = f"{run.label}, {words(f'kind.{kind}')}: MAE {number(episode.mae)}"
            short = episode.episode.removeprefix("episode_")
            windows = words.count(episode.windows, "window")
            axes[0, column].set_title(f"{title}\n{short} ({windows})", fontsize=8)
            axes[-1, column].set_xlabel(words.words("frame"))
        for ax, dimension in zip(axes[:, 0], dimensions, strict=True):
            ax.set_ylabel(f"{dimension}\n({words.words('command_units')})")
        hide(list(axes[:, len(chosen) :].flat))
        findings.append(
            t(
                "velocity_traces.finding",
                run=run.label,
                scored=scored_on(run.evaluation, t),
                parts=_listed(chosen, t),
            )
        )
    keys = [
        Line2D([], [], color=BASELINE, lw=4, label=words("velocity_traces.driver")),
        Line2D([], [], color=FAINT, lw=1.5, label=words("velocity_traces.predicted")),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    return Drawn(figure, " ".join(findings), material.left_out)


def _velocities(ax: Axes, example: _Example, dimension: int, color: str, words: Texts) -> None:
    # Wide and pale below narrow and strong: both stay visible where they agree.
    true = example.truth[:, dimension]
    ax.step(np.arange(len(true)), true, where="mid", color=BASELINE, lw=4)
    for frames, line in zip(example.frames, example.lines, strict=True):
        predicted = line[:, dimension]
        ax.step(frames, predicted, where="mid", color=color, lw=1.5)
        ax.plot(frames, predicted, "o", color=color, ms=3)
        said = [
            words(
                "velocity_traces.at",
                frame=frame,
                predicted=number(float(value)),
                driven=number(float(true[frame])),
            )
            for frame, value in zip(frames, predicted, strict=True)
        ]
        marks(ax, frames.tolist(), predicted.tolist(), said)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def predicted_paths(material: Material) -> Drawn:
    """Draw where the true commands lead, and where each predicted chunk would."""
    t, words, run = material.texts, material.labels, material.example()
    chosen = exhibited(run.evaluation.per_episode)
    figure = new_figure(4.0)
    axes = figure.subplots(1, len(chosen), squeeze=False)[0]
    dataset = material.dataset_of(run.evaluation)
    color = material.color(run)
    with np.load(material.predictions_of(run), allow_pickle=False) as file:
        data = {name: file[name] for name in ("episode", "frame", "mask", "prediction")}
    for ax, (kind, episode) in zip(axes, chosen, strict=True):
        index = dataset.index(episode.episode)
        first = int(dataset.offsets[index])
        actions = dataset.actions[first : first + int(dataset.lengths[index])]  # (T, 3)
        poses = np.concatenate([np.zeros((1, 3)), integrate(actions)])  # before frame 0, after each
        ax.plot(-poses[:, 1], poses[:, 0], color=BASELINE, lw=4, solid_capstyle="round")
        for row in np.flatnonzero(data["episode"] == episode.episode):
            kept = data["mask"][row]
            chunk = np.zeros((int(kept.sum()), 3))
            predicted = data["prediction"][row][kept] * run.evaluation.units
            chunk[:, columns_of(run.evaluation.dimensions)] = predicted
            _chunk(ax, poses[int(data["frame"][row][0])], chunk, color)
        ax.plot(0, 0, "o", color=BASELINE, ms=6)
        title = f"{words(f'kind.{kind}')}: MAE {number(episode.mae)}"
        ax.set_title(f"{title}\n({words.count(episode.windows, 'window')})")
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_xlabel(words("predicted_paths.aside"))
    axes[0].set_ylabel(words("predicted_paths.ahead"))
    keys = [
        Line2D([], [], color=BASELINE, lw=4, label=words("velocity_traces.driver")),
        Line2D([], [], color=color, lw=1.2, label=_predicted(run, words)),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    parts = "; ".join(
        t(
            "predicted_paths.one",
            kind=t(f"kind.{kind}"),
            episode=episode.episode,
            ade=number(episode.ade),
            fde=number(episode.fde),
        )
        for kind, episode in chosen
    )
    finding = t("predicted_paths.finding", run=run.label, parts=parts)
    return Drawn(figure, finding, material.why(run))


def _chunk(ax: Axes, start: np.ndarray, velocities: np.ndarray, color: str) -> None:
    """Draw where a chunk leads from a pose: x, y and heading."""
    path = integrate(velocities)
    cos, sin = np.cos(start[2]), np.sin(start[2])
    x = start[0] + np.concatenate([[0.0], cos * path[:, 0] - sin * path[:, 1]])
    y = start[1] + np.concatenate([[0.0], sin * path[:, 0] + cos * path[:, 1]])
    ax.plot(-y, x, color=color, lw=1.1, alpha=0.8)
    ax.plot(-y[-1], x[-1], "o", color=color, ms=2)
