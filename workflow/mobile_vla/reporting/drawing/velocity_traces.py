"""Predicted and true velocity over an episode: a typical one and the worst."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mobile_vla.errors import UserError
from mobile_vla.reporting.drawing.drawn import Drawn, marks
from mobile_vla.reporting.drawing.style import new_figure
from mobile_vla.reporting.format import number
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import BASELINE
from mobile_vla.reporting.selection import best_run, exhibited
from mobile_vla.reporting.verdict import scored_on

KINDS = {"median": "median error", "worst": "largest error", "only": "the only episode"}


@dataclass(frozen=True)
class Trace:
    """The first step of each of an episode's chunks.

    Args:
        frame: (N,) the frame that the action belongs to, counted from 0.
        prediction: (N, A) in raw command units.
        truth: (N, A) in raw command units.
    """

    frame: np.ndarray
    prediction: np.ndarray
    truth: np.ndarray


def stitch(predictions: Path, episode: str, target: str) -> Trace:
    """Join the first step of an episode's chunks into one trace.

    Args:
        predictions: the run's ``predictions.npz``.
        episode: name of the episode.
        target: ``next`` where a chunk starts after its window, ``current`` where at its end.

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
        last = data["last_frame"][rows]
        order = np.argsort(last, kind="stable")
        rows = rows[order]
        return Trace(
            frame=last[order] + (1 if target == "next" else 0),
            prediction=data["prediction"][rows, 0],
            truth=data["truth"][rows, 0],
        )


def velocity_traces(material: Material) -> Drawn:
    """Draw the figure: the run with the highest skill; a row a dimension, a column an episode."""
    t, run = material.texts, best_run(material.runs)
    scored = run.evaluation
    chosen = [(kind, own) for kind, own in exhibited(scored.per_episode) if kind in KINDS]
    color, predictions = material.color(run), material.predictions_of(run)
    figure = new_figure(1.1 + 1.45 * len(scored.dimensions))
    grid = figure.subplots(
        len(scored.dimensions), len(chosen), sharex=True, sharey=True, squeeze=False
    )
    for column, (kind, episode) in enumerate(chosen):
        trace = stitch(predictions, episode.episode, str(run.settings.settings.get("target")))
        for row, dimension in enumerate(scored.dimensions):
            _panel(grid[row, column], trace, row, color, run.label)
            if column == 0:
                grid[row, column].set_ylabel(f"{dimension}\n(command units)")
        short = episode.episode.removeprefix("episode_")
        title = f"{KINDS[kind]}: MAE {number(episode.mae)} ({episode.windows} windows)\n"
        grid[0, column].set_title(title, loc="left")
        grid[0, column].text(0, 1.03, short, transform=grid[0, column].transAxes, fontsize=7)
        grid[-1, column].set_xlabel("frame")
        grid[-1, column].xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
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
    finding = t("velocity_traces.finding", run=run.label, scored=scored_on(scored, t), parts=parts)
    return Drawn(figure, t("velocity_traces.title"), t("velocity_traces.caption"), finding)


def _panel(ax: Axes, trace: Trace, dimension: int, color: str, label: str) -> None:
    # Wide and pale below narrow and strong: both stay visible where they agree.
    true, predicted = trace.truth[:, dimension], trace.prediction[:, dimension]
    ax.step(trace.frame, true, where="mid", color=BASELINE, lw=4, label="driver (true)")
    ax.step(trace.frame, predicted, where="mid", color=color, lw=1.5, label=f"{label} (predicted)")
    ax.plot(trace.frame, predicted, "o", color=color, ms=3)
    said = [
        f"frame {frame}: predicted {number(float(own))}, driven {number(float(other))}"
        for frame, own, other in zip(trace.frame, predicted, true, strict=True)
    ]
    marks(ax, trace.frame.tolist(), predicted.tolist(), said)
