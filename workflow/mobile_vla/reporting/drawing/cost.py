"""Figures of what a policy costs: seconds of an epoch, of its variants, and of a control step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from mobile_vla.reporting.drawing.style import Drawn, beside, lines_down, mark, new_figure
from mobile_vla.reporting.format import duration, number
from mobile_vla.reporting.load import Run, first_runs
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import BASELINE, FAINT
from mobile_vla.texts import Texts
from mobile_vla.timing.result import VariantTime

NAMED = 6  # runs that a sentence names one by one; of more it gives the range
PROJECTED: dict[str, Any] = {"facecolor": "none", "hatch": "////"}
HEIGHT = 0.38  # of a bar of an epoch; a run has two
BAR, LINE = 0.34, 0.3  # inches a bar of the ablation, a line of the latency
FRAME = 0.75  # inches of a panel's title and axis


def epoch_time(material: Material) -> Drawn:
    """Draw for each run a bar for training, and for its experiment one for timing."""
    t, words, runs = material.texts, material.labels, material.shown
    figure = new_figure(1.0 + 0.52 * len(runs))
    ax = figure.subplots()
    for place, run in enumerate(runs):
        color = material.color(run)
        seconds = run.training.avg_epoch_time
        epochs = words.count(len(run.training.epoch_times), "epoch")
        (bar,) = ax.barh(place - HEIGHT / 2, seconds, height=HEIGHT, color=color)
        said = words("epoch_time.measured", time=duration(seconds), epochs=epochs)
        mark(bar, f"{run.label}: {said}")
        beside(ax, seconds, place - HEIGHT / 2, said, 4, color=FAINT)
        if run.timing.run == run.run:
            projected = run.timing.seconds_per_epoch
            look = {**PROJECTED, "edgecolor": color, "linewidth": 0.8}
            ax.barh(place + HEIGHT / 2, projected, height=HEIGHT, **look)
            steps = words.count(run.timing.steps, "step")
            said = f"{duration(projected)} ({steps}{_busy(run.timing.contended, words)})"
            beside(ax, projected, place + HEIGHT / 2, said, 4, color=FAINT)
    lines_down(ax, [run.label for run in runs])
    ax.margins(x=0.32)
    ax.set_xlim(left=0)
    ax.set_xlabel(words("epoch_time.axis"))
    keys = [
        Patch(facecolor=FAINT, label=words("epoch_time.solid")),
        Patch(**PROJECTED, edgecolor=FAINT, label=words("epoch_time.hatched")),
    ]
    figure.legend(handles=keys, loc="outside upper right", ncols=2)
    if len(runs) > NAMED:
        times = [run.training.avg_epoch_time for run in runs]
        between = t.between(duration(min(times)), duration(max(times)))
        finding = t("epoch_time.range", time=between, runs=t.count(len(runs), "run"))
    else:
        parts = [
            t(
                "epoch_time.one",
                run=run.label,
                measured=duration(run.training.avg_epoch_time),
                projected=duration(run.timing.seconds_per_epoch),
            )
            for run in runs
        ]
        finding = t("epoch_time.finding", parts="; ".join(parts))
    return Drawn(figure, finding, material.left_out)


def _busy(contended: bool, words: Texts) -> str:
    """Return that others used the machine while something was timed; empty where nobody did."""
    return f", {words('cost.busy')}" if contended else ""


def speed_ablation(material: Material) -> Drawn:
    """Draw seconds of an epoch the plain way and with one change after another."""
    words = material.labels
    runs = first_runs([run for run in material.runs if run.timing.ablation])
    heights = [FRAME + BAR * len(run.timing.ablation) for run in runs]
    figure = new_figure(0.2 + sum(heights))
    axes = figure.subplots(len(runs), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, run in zip(axes, runs, strict=True):
        _variants(ax, run.timing.ablation, material.color(run), words)
        ax.set_title(f"{run.experiment}{_busy(run.timing.contended, words)}")
    axes[-1].set_xlabel(words("speed_ablation.axis"))
    return Drawn(figure, " ".join(_speedup(run, material.texts) for run in runs))


def _speedup(run: Run, t: Texts) -> str:
    first, last = run.timing.ablation[0], run.timing.ablation[-1]
    fastest = max(run.timing.ablation, key=lambda variant: variant.speedup)
    text = t(
        "speed_ablation.finding",
        experiment=run.experiment,
        first=duration(first.seconds_per_epoch),
        fastest=duration(fastest.seconds_per_epoch),
        variant=t.words(fastest.name),
        times=number(fastest.speedup, 2),
    )
    if fastest is not last:
        times = number(last.speedup, 2)
        text += " " + t("speed_ablation.last", variant=t.words(last.name), times=times)
    return text


def _variants(ax: Axes, variants: Sequence[VariantTime], color: str, words: Texts) -> None:
    for place, variant in enumerate(variants):
        shade = BASELINE if place == 0 else color
        text = duration(variant.seconds_per_epoch)
        (bar,) = ax.barh(place, variant.seconds_per_epoch, height=0.7, color=shade)
        mark(bar, f"{words.words(variant.name)}: {text}")
        if place:
            text += "   " + words("speed_ablation.times", times=number(variant.speedup, 2))
            if variant.flops_ratio is not None:
                ratio = number(variant.flops_ratio, 2)
                text += ", " + words("speed_ablation.operations", ratio=ratio)
        beside(ax, variant.seconds_per_epoch, place, text, 4, color=FAINT)
    first, *more = (words.words(variant.name) for variant in variants)
    lines_down(ax, [first, *(f"+ {name}" for name in more)])
    ax.margins(x=0.12)
    ax.set_xlim(left=0)


def latency(material: Material) -> Drawn:
    """Draw a control step, for each experiment and number format a line from p50 to p99."""
    t, words = material.texts, material.labels
    runs = first_runs(material.shown)
    lines = [(run, measured) for run in runs for measured in run.latency.precisions]
    figure = new_figure(0.8 + LINE * len(lines))
    ax = figure.subplots()
    for place, (run, measured) in enumerate(lines):
        seconds, color = measured.seconds, material.color(run)
        ends = [1000 * seconds.p50, 1000 * seconds.p99]
        (bar,) = ax.plot(ends, [place, place], color=color, lw=2.4)
        (dot,) = ax.plot(ends[0], place, "o", color=color, ms=6)
        said = f"p50 {duration(seconds.p50)}, p99 {duration(seconds.p99)}"
        for artist in (bar, dot):
            mark(
                artist, f"{run.experiment}, {measured.precision}: {said} (n = {run.latency.steps})"
            )
        rate = words("latency.rate", rate=number(measured.control_rate_hz))
        said = rate + _busy(run.latency.contended, words)
        beside(ax, ends[1], place, said, 8, color=FAINT)
    lines_down(ax, [f"{run.experiment}, {measured.precision}" for run, measured in lines])
    ax.margins(x=0.2)
    ax.set_xlim(left=0)
    ax.set_xlabel(words("latency.axis"))
    parts = [
        t(
            "latency.one",
            experiment=run.experiment,
            p50=duration(run.latency.precisions[0].seconds.p50),
            p99=duration(run.latency.precisions[0].seconds.p99),
            precision=run.latency.precisions[0].precision,
            steps=t.count(run.latency.steps, "step"),
        )
        for run in runs[:NAMED]
    ]
    return Drawn(figure, t("latency.finding", parts="; ".join(parts)), material.left_out)
