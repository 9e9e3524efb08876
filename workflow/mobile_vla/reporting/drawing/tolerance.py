"""Share of steps whose error is within a tolerance."""

from __future__ import annotations

from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from mobile_vla.reporting.drawing.drawn import Drawn, marks
from mobile_vla.reporting.drawing.style import new_figure, stroke
from mobile_vla.reporting.format import UNIT, number, percent
from mobile_vla.reporting.material import Material, comparable
from mobile_vla.reporting.palette import FAINT

PANEL = 2.9  # inches


def tolerance(material: Material) -> Drawn:
    """Draw the figure: a line a run, and the best baseline of each set of comparable runs."""
    t = material.texts
    groups = dict(list(comparable(material.shown).items())[:4])
    figure = new_figure(0.3 + PANEL * len(groups))
    axes = figure.subplots(len(groups), 1, squeeze=False)[:, 0]
    found = []
    for ax, (title, runs) in zip(axes, groups.items(), strict=True):
        handles = {}
        drawn = set()
        for run in runs:
            x, best = run.evaluation.tolerance.tolerances, run.evaluation.best_baseline.name
            match = run.evaluation.tolerance.match
            style = stroke(run.experiment, material.experiments)
            if (best, tuple(match[best])) not in drawn:
                drawn.add((best, tuple(match[best])))
                ax.plot(x, match[best], color=FAINT, lw=1.2, ls=(0, (3, 2)))
            ax.plot(x, match["policy"], color=material.color(run), ls=style)
            said = [
                f"{run.label}, within {number(at)}: {percent(share)} of "
                f"{run.evaluation.steps:,} steps ({best.replace('_', ' ')} {percent(base)})"
                for at, share, base in zip(x, match["policy"], match[best], strict=True)
            ]
            marks(ax, x, match["policy"], said)
            handles[run.experiment] = Line2D(
                [], [], color=material.color(run), ls=style, label=run.experiment
            )
            middle = len(x) // 4
            found.append(
                t(
                    "tolerance.one",
                    run=run.label,
                    share=percent(match["policy"][middle]),
                    baseline=percent(match[best][middle]),
                    name=t.words(best),
                    at=number(x[middle]),
                    steps=t.count(run.evaluation.steps, "step"),
                )
            )
        keys = [
            *handles.values(),
            Line2D([], [], color=FAINT, ls=(0, (3, 2)), label="best baseline"),
        ]
        ax.legend(handles=keys, loc="center left", bbox_to_anchor=(1.01, 0.5))
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.set_ylim(0, 1.02)
        ax.set_xlim(left=0)
        ax.set_ylabel("steps within it")
        ax.set_title(title)
    axes[-1].set_xlabel(f"tolerance ({UNIT})")
    caption = f"{t('tolerance.caption')} {material.left_out}".strip()
    finding = t("tolerance.finding", parts="; ".join(found[:6]))
    return Drawn(figure, t("tolerance.title"), caption, finding)
