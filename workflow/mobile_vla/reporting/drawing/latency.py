"""Seconds of a control step, in each number format."""

from __future__ import annotations

from mobile_vla.reporting.drawing.drawn import Drawn, mark
from mobile_vla.reporting.drawing.style import new_figure
from mobile_vla.reporting.format import duration, number
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import FAINT

LINE = 0.3  # inches
NAMED = 6  # experiments that a sentence names one by one


def latency(material: Material) -> Drawn:
    """Draw the figure: for each experiment and number format a line from p50 to p99."""
    t = material.texts
    first = {run.experiment: run for run in reversed(material.shown)}
    runs = [first[name] for name in material.experiments if name in first]
    lines = [(run, own) for run in runs for own in run.latency.precisions]
    figure = new_figure(0.8 + LINE * len(lines))
    ax = figure.subplots()
    for place, (run, own) in enumerate(lines):
        seconds, color = own.seconds, material.color(run)
        ends = [1000 * seconds.p50, 1000 * seconds.p99]
        (bar,) = ax.plot(ends, [place, place], color=color, lw=2.4)
        (dot,) = ax.plot(ends[0], place, "o", color=color, ms=6)
        said = f"p50 {duration(seconds.p50)}, p99 {duration(seconds.p99)}"
        for artist in (bar, dot):
            mark(artist, f"{run.experiment}, {own.precision}: {said} (n = {run.latency.steps})")
        busy = ", machine was busy" if run.latency.contended else ""
        ax.annotate(
            f"{number(own.control_rate_hz)} Hz at p99{busy}",
            (ends[1], place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=FAINT,
        )
    ax.set_yticks(range(len(lines)), [f"{run.experiment}, {own.precision}" for run, own in lines])
    ax.set_ylim(len(lines) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.margins(x=0.2)
    ax.set_xlim(left=0)
    ax.set_xlabel("milliseconds of a control step, p50 to p99")
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
    caption = f"{t('latency.caption')} {material.left_out}".strip()
    finding = t("latency.finding", parts="; ".join(parts))
    return Drawn(figure, t("latency.title"), caption, finding)
