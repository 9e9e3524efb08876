"""Figure of real drives: how often each policy arrived, after each block of a trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mobile_vla.reporting.drawing.style import (
    DASHED,
    Drawn,
    beside,
    legend_beside,
    mark,
    marks,
    new_figure,
    nothing,
)
from mobile_vla.reporting.format import percent
from mobile_vla.reporting.material import STROKES, Material
from mobile_vla.reporting.palette import FAINT, color_of
from mobile_vla.reporting.trials import trial_sentences
from mobile_vla.trials.result import DrivenPolicy, TrialResult

PANEL = 2.6  # inches
BAND = 0.13  # opacity of an interval


def real_drives(material: Material) -> Drawn:
    """Draw a panel for each trial with drives; of a blind one the rates of today alone."""
    t = material.texts
    shown = [trial for trial in material.trials if any(own.now.drives for own in trial.policies)]
    if not shown:
        return nothing("no trial has a complete block yet", t("real_drives.none"))
    figure = new_figure(0.3 + PANEL * len(shown))
    axes = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for ax, trial in zip(axes, shown, strict=True):
        _panel(ax, trial, material)
    axes[-1].set_xlabel("blocks begun")
    findings = [" ".join([f"{own.trial}:", *trial_sentences(own, t)]) for own in shown]
    return Drawn(figure, " ".join(findings))


def _panel(ax: Axes, trial: TrialResult, material: Material) -> None:
    keys = []
    drawn: list[str] = []
    for place, own in enumerate(trial.policies):
        if trial.unblinded is not None:
            experiment, names = own.policy.partition("/")[0], material.experiments
            look: Any = {
                "color": color_of(experiment, names) if experiment in names else FAINT,
                "ls": STROKES[drawn.count(experiment) % len(STROKES)],
            }
            drawn.append(experiment)
            _history(ax, own, look)
            keys.append(Line2D([], [], label=own.policy, **look))
        elif own.now.drives:
            _today(ax, own, trial.begun - 0.05 * place * trial.begun)
    for pair in trial.pairs:
        if pair.better is not None and pair.decided_in is not None:
            line = ax.axvline(pair.decided_in, color=FAINT, lw=1.2, ls=DASHED)
            won = f"{pair.better} arrives more often than {pair.worse}"
            mark(line, f"block {pair.decided_in}: {won}")
    if any(pair.better is not None for pair in trial.pairs):
        keys.append(Line2D([], [], color=FAINT, lw=1.2, ls=DASHED, label="decided"))
    if trial.voids:
        look = {"color": FAINT, "marker": "x", "ls": "", "ms": 5}
        ax.plot(trial.voids, [0.0] * len(trial.voids), clip_on=False, **look)
        marks(ax, trial.voids, [0.0] * len(trial.voids), ["void"] * len(trial.voids))
        keys.append(Line2D([], [], label="void drive", **look))
    state = "blind" if trial.unblinded is None else f"unblinded {trial.unblinded[:10]}"
    if trial.unblinded is not None:
        ax.axvline(trial.begun + 0.5, color=FAINT, lw=1.2)
        keys.append(Line2D([], [], color=FAINT, lw=1.2, label="unblinded"))
    ax.set_title(f"{trial.trial}, {state}")
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlim(0, trial.begun + 1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_ylabel("drives that arrive")
    legend_beside(ax, keys)


def _history(ax: Axes, own: DrivenPolicy, look: Mapping[str, Any]) -> None:
    x = [rate.block for rate in own.history]
    y = [rate.successes / rate.drives for rate in own.history]
    ax.step(x, y, where="post", **look)
    low, high = ([getattr(rate, end) for rate in own.history] for end in ("low", "high"))
    ax.fill_between(x, low, high, step="post", color=look["color"], alpha=BAND, linewidth=0)
    texts = [
        f"{own.policy}, block {rate.block}: {rate.successes} of {rate.drives} "
        f"({percent(rate.low)} to {percent(rate.high)})"
        for rate in own.history
    ]
    marks(ax, x, y, texts)


def _today(ax: Axes, own: DrivenPolicy, x: float) -> None:
    """Draw a policy that has no name yet, and so no colour."""
    now = own.now
    y = now.successes / now.drives
    ax.plot([x, x], [now.low, now.high], color=FAINT)
    ax.plot(x, y, "o", color=FAINT, ms=5)
    beside(ax, x, y, own.policy, 6)
    marks(ax, [x], [y], [f"{own.policy}: {now.successes} of {now.drives}"])
