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
from mobile_vla.texts import Texts
from mobile_vla.trials.result import DrivenPolicy, DriveRate, TrialResult

PANEL = 2.6  # inches
BAND = 0.13  # opacity of an interval


def real_drives(material: Material) -> Drawn:
    """Draw a panel for each trial with drives; of a blind one the rates of today alone."""
    t, words = material.texts, material.labels
    shown = [trial for trial in material.trials if any(own.now.drives for own in trial.policies)]
    if not shown:
        return nothing(words("real_drives.none"), t("real_drives.none"))
    figure = new_figure(0.3 + PANEL * len(shown))
    axes = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for ax, trial in zip(axes, shown, strict=True):
        _panel(ax, trial, material)
    axes[-1].set_xlabel(words("real_drives.axis"))
    findings = [" ".join([f"{own.trial}:", *trial_sentences(own, t)]) for own in shown]
    return Drawn(figure, " ".join(findings))


def _panel(ax: Axes, trial: TrialResult, material: Material) -> None:
    words = material.labels
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
            _history(ax, own, look, words)
            keys.append(Line2D([], [], label=own.policy, **look))
        elif own.now.drives:
            _today(ax, own, trial.begun - 0.05 * place * trial.begun, words)
    for pair in trial.pairs:
        if pair.better is not None and pair.decided_in is not None:
            line = ax.axvline(pair.decided_in, color=FAINT, lw=1.2, ls=DASHED)
            said = {"block": pair.decided_in, "better": pair.better, "other": pair.worse}
            mark(line, words("real_drives.won", **said))
    if any(pair.better is not None for pair in trial.pairs):
        decided = words("real_drives.decided")
        keys.append(Line2D([], [], color=FAINT, lw=1.2, ls=DASHED, label=decided))
    if trial.voids:
        look, void = {"color": FAINT, "marker": "x", "ls": "", "ms": 5}, words("real_drives.void")
        ax.plot(trial.voids, [0.0] * len(trial.voids), clip_on=False, **look)
        marks(ax, trial.voids, [0.0] * len(trial.voids), [void] * len(trial.voids))
        keys.append(Line2D([], [], label=void, **look))
    if trial.unblinded is not None:
        ax.axvline(trial.begun + 0.5, color=FAINT, lw=1.2)
        keys.append(Line2D([], [], color=FAINT, lw=1.2, label=words("real_drives.unblinded")))
    ax.set_title(_state(trial, words))
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlim(0, trial.begun + 1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_ylabel(words("real_drives.rate"))
    legend_beside(ax, keys)


def _state(trial: TrialResult, words: Texts) -> str:
    if trial.unblinded is None:
        return words("real_drives.blind", trial=trial.trial)
    return words("real_drives.on", trial=trial.trial, day=trial.unblinded[:10])


def _counts(own: DrivenPolicy, rate: DriveRate, words: Texts) -> str:
    """Return what a policy's point says to the pointer."""
    counts = {"successes": rate.successes, "drives": rate.drives}
    ends = {"low": percent(rate.low), "high": percent(rate.high)}
    return words("real_drives.counts", policy=own.policy, **counts, **ends)


def _history(ax: Axes, own: DrivenPolicy, look: Mapping[str, Any], words: Texts) -> None:
    x = [rate.block for rate in own.history]
    y = [rate.successes / rate.drives for rate in own.history]
    ax.step(x, y, where="post", **look)
    low, high = ([getattr(rate, end) for rate in own.history] for end in ("low", "high"))
    ax.fill_between(x, low, high, step="post", color=look["color"], alpha=BAND, linewidth=0)
    texts = [
        words("real_drives.at", block=rate.block, counts=_counts(own, rate, words))
        for rate in own.history
    ]
    marks(ax, x, y, texts)


def _today(ax: Axes, own: DrivenPolicy, x: float, words: Texts) -> None:
    """Draw a policy that has no name yet, and so no colour."""
    now = own.now
    y = now.successes / now.drives
    ax.plot([x, x], [now.low, now.high], color=FAINT)
    ax.plot(x, y, "o", color=FAINT, ms=5)
    beside(ax, x, y, own.policy, 6)
    marks(ax, [x], [y], [_counts(own, now, words)])
