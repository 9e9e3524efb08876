"""What another prompt does to a policy: how much farther left it goes when told left."""

from __future__ import annotations

from mobile_vla.reporting.drawing.drawn import Drawn, mark
from mobile_vla.reporting.drawing.style import new_figure, nothing
from mobile_vla.reporting.format import UNIT, number
from mobile_vla.reporting.material import Material
from mobile_vla.reporting.palette import FAINT

LINE = 0.32  # inches
NAMED = 6  # runs that a sentence names one by one


def language(material: Material) -> Drawn:
    """Draw the figure: a line a run, its lateral shift with the interval."""
    t = material.texts
    title, caption = t("language.title"), t("language.caption")
    runs = [run for run in material.shown if run.language.lateral_shift is not None]
    if not runs:
        why = material.shown[0].language.why
        return Drawn(nothing(why), title, caption, t("language.none"))
    figure = new_figure(0.8 + LINE * len(runs))
    ax = figure.subplots()
    parts = []
    for place, run in enumerate(runs):
        shift = run.language.lateral_shift
        assert shift is not None
        said = f"{run.label}: {number(shift.mean)} ({number(shift.low)} to {number(shift.high)})"
        said += f", {shift.units} episodes: {run.language.verdict}"
        color = material.color(run)
        if shift.low is not None and shift.high is not None:
            (bar,) = ax.plot([shift.low, shift.high], [place, place], color=color, lw=2.4)
            mark(bar, said)
        (dot,) = ax.plot(shift.mean, place, "o", color=color, ms=6)
        mark(dot, said)
        ax.annotate(
            run.language.verdict,
            (shift.mean if shift.high is None else shift.high, place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=FAINT,
        )
        parts.append(
            t(
                "language.one",
                run=run.label,
                verdict=t(f"said.{run.language.verdict}"),
                shift=number(shift.mean),
                low=number(shift.low),
                high=number(shift.high),
                episodes=t.count(shift.units, "episode"),
            )
        )
    ax.axvline(0, color=FAINT, lw=1)
    ax.set_yticks(range(len(runs)), [run.label for run in runs])
    ax.set_ylim(len(runs) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.margins(x=0.25)
    ax.set_xlabel(f"farther left when told left instead of right ({UNIT})")
    return Drawn(
        figure,
        title,
        f"{caption} {material.left_out}".strip(),
        t("language.finding", parts="; ".join(parts[:NAMED])),
    )
