"""Where the true commands lead, and where each predicted chunk would."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mobile_vla.conventions import columns_of
from mobile_vla.evaluation.trajectories import integrate
from mobile_vla.reporting.drawing.drawn import Drawn
from mobile_vla.reporting.drawing.style import new_figure
from mobile_vla.reporting.format import number
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import BASELINE
from mobile_vla.reporting.selection import best_run, exhibited


def predicted_paths(material: Material) -> Drawn:
    """Draw the figure: the run with the highest skill, in its best, a typical and its worst."""
    t, run = material.texts, best_run(material.runs)
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
        rows = np.flatnonzero(data["episode"] == episode.episode)
        ax.plot(-poses[:, 1], poses[:, 0], color=BASELINE, lw=4, solid_capstyle="round")
        for row in rows:
            kept = data["mask"][row]
            chunk = np.zeros((int(kept.sum()), 3))
            chunk[:, columns_of(run.evaluation.dimensions)] = data["prediction"][row][kept]
            _chunk(ax, poses[int(data["frame"][row][0])], chunk, color)
        ax.plot(0, 0, "o", color=BASELINE, ms=6)
        ax.set_title(f"{t_kind(kind)}: MAE {number(episode.mae)}\n({episode.windows} windows)")
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_xlabel("← left, right → (command steps)")
    axes[0].set_ylabel("forward (command steps)")
    keys = [
        Line2D([], [], color=BASELINE, lw=4, label="driver (true)"),
        Line2D([], [], color=color, lw=1.2, label=f"{run.label}: each predicted chunk"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    finding = t(
        "predicted_paths.finding",
        run=run.label,
        parts="; ".join(
            t(
                "predicted_paths.one",
                kind=t(f"kind.{kind}"),
                episode=own.episode,
                ade=number(own.ade),
                fde=number(own.fde),
            )
            for kind, own in chosen
        ),
    )
    return Drawn(figure, t("predicted_paths.title"), t("predicted_paths.caption"), finding)


def t_kind(kind: str) -> str:
    """Return how a figure calls a kind of episode."""
    return {"best": "lowest error", "median": "median error", "worst": "largest error"}.get(
        kind, "the only episode"
    )


def _chunk(ax: Axes, start: np.ndarray, velocities: np.ndarray, color: str) -> None:
    """Draw where a chunk leads from a pose: x, y and heading."""
    own = integrate(velocities)
    cos, sin = np.cos(start[2]), np.sin(start[2])
    x = start[0] + np.concatenate([[0.0], cos * own[:, 0] - sin * own[:, 1]])
    y = start[1] + np.concatenate([[0.0], sin * own[:, 0] + cos * own[:, 1]])
    ax.plot(-y, x, color=color, lw=1.1, alpha=0.8)
    ax.plot(-y[-1], x[-1], "o", color=color, ms=2)
