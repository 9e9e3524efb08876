"""Figures of errors in parts of the steps: by step, frame, scenario, motion and tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mobile_vla.evaluation.result import Slice
from mobile_vla.reporting.drawing.style import (
    CELL_INK,
    DASHED,
    Drawn,
    baseline_key,
    heat_axes,
    heat_cell,
    legend_beside,
    lines_down,
    mark,
    marks,
    new_figure,
    nothing,
)
from mobile_vla.reporting.format import number, percent
from mobile_vla.reporting.load import Run
from mobile_vla.reporting.material import Material, comparable
from mobile_vla.reporting.palette import FAINT, LIGHTEST

Along = Literal["step", "frame"]
Groups = dict[str, tuple[Run, ...]]
Look = dict[str, Any]

PANELS = 4  # sets of comparable runs; more are not drawn
NAMED = 6  # runs that a sentence names
PANEL, LINE, CELL = 2.9, 0.3, 0.55  # inches
SPREAD = 0.5  # of the room between two lines
LIGHT = 0.55  # share of a row above which its text is set in white


def _groups(material: Material) -> tuple[Groups, str]:
    """Return the sets of comparable runs that there is room for, and a sentence on the others."""
    groups = comparable(material.shown)
    notes = (material.left_out, material.no_room_for(list(groups), PANELS))
    return dict(list(groups.items())[:PANELS]), " ".join(filter(None, notes))


def _panels(groups: Groups) -> tuple[Figure, list[Axes]]:
    figure = new_figure(0.3 + PANEL * len(groups))
    axes = list(figure.subplots(len(groups), 1, squeeze=False)[:, 0])
    for ax, title in zip(axes, groups, strict=True):
        ax.set_title(title)
    return figure, axes


def _first_runs(groups: Groups) -> list[Run]:
    return [run for runs in groups.values() for run in runs][:NAMED]


def error_by_step(material: Material) -> Drawn:
    """Draw the error at each step of the chunk."""
    return _error_along(material, "step")


def error_by_frame(material: Material) -> Drawn:
    """Draw the error at each frame of the episode."""
    return _error_along(material, "frame")


def _error_along(material: Material, along: Along) -> Drawn:
    """Draw a line a run, with the best baseline."""
    t, name, (groups, note) = material.texts, f"error_by_{along}", _groups(material)
    figure, axes = _panels(groups)
    for ax, runs in zip(axes, groups.values(), strict=True):
        _errors_along(ax, material, runs, along)
    axes[-1].set_xlabel(material.labels(f"{name}.axis"))
    sentences = []
    for run in _first_runs(groups):
        parts = _parts(run, along)
        worst = max(parts, key=lambda part: part.policy.mae["overall"])
        # the steps of the values that the sentence has, and not of the whole line
        steps = [part.steps for part in (parts if along == "step" else [worst])]
        sentences.append(
            t(
                f"{name}.one",
                run=run.label,
                first=number(parts[0].policy.mae["overall"]),
                begin=getattr(parts[0], along),
                last=number(parts[-1].policy.mae["overall"]),
                end=getattr(parts[-1], along),
                worst=number(worst.policy.mae["overall"]),
                place=getattr(worst, along),
                steps=t.between(t.count(min(steps), "step"), t.count(max(steps), "step")),
            )
        )
    return Drawn(figure, t(f"{name}.finding", parts="; ".join(sentences)), note)


def _parts(run: Run, along: Along) -> list[Slice]:
    return run.evaluation.by_step if along == "step" else run.evaluation.by_frame


def _errors_along(ax: Axes, material: Material, runs: Sequence[Run], along: Along) -> None:
    handles, words = {}, material.labels
    drawn = set()
    for run in runs:
        parts = _parts(run, along)
        x = [float(getattr(part, along)) for part in parts]
        best = run.evaluation.best_baseline.name
        baseline = [part.mae[best] for part in parts]
        if (best, tuple(baseline)) not in drawn:  # experiments share it
            drawn.add((best, tuple(baseline)))
            ax.plot(x, baseline, color=FAINT, lw=1.2, ls=DASHED)
            marks(ax, x, baseline, [f"{words.words(best)}: {number(mae)}" for mae in baseline])
        y = [part.policy.mae["overall"] for part in parts]
        line = {**material.line(run), "marker": "o", "ms": 3}
        ax.plot(x, y, **line)
        said = [
            words(
                f"error_by_{along}.at",
                run=run.label,
                at=getattr(part, along),
                mae=number(value),
                steps=words.count(part.steps, "step"),
                episodes=words.count(part.episodes, "episode"),
            )
            for part, value in zip(parts, y, strict=True)
        ]
        marks(ax, x, y, said)
        handles[run.experiment] = Line2D([], [], **line, label=run.experiment)
    legend_beside(ax, [*handles.values(), baseline_key(words("drawn.overall_baseline"))])
    ax.set_ylim(bottom=0)
    ax.set_ylabel(words("drawn.mae"))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def error_by_scenario(material: Material) -> Drawn:
    """Draw a panel a set of comparable runs, a line a value that varies, a dot a run."""
    t, words, (groups, note) = material.texts, material.labels, _groups(material)
    groups = {
        name: runs
        for name, runs in groups.items()
        if any(run.evaluation.by_scenario for run in runs)
    }
    if not groups:
        return nothing(words("error_by_scenario.none"), t("error_by_scenario.none"))
    rows = [
        list(
            dict.fromkeys(
                words.cell(part.cell) for run in runs for part in run.evaluation.by_scenario
            )
        )
        for runs in groups.values()
    ]
    heights = [0.7 + LINE * len(labels) for labels in rows]
    figure = new_figure(0.3 + sum(heights))
    axes = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (name, runs), labels in zip(axes, groups.items(), rows, strict=True):
        _scenarios(ax, material, runs, labels)
        ax.set_title(name)
    axes[-1].set_xlabel(words("drawn.mae"))
    sentences = []
    for run in _first_runs(groups):
        if not run.evaluation.by_scenario:
            continue
        worst = max(run.evaluation.by_scenario, key=lambda part: part.policy.mae["overall"])
        sentences.append(
            t(
                "error_by_scenario.one",
                run=run.label,
                worst=number(worst.policy.mae["overall"]),
                place=t.cell(worst.cell),
                episodes=t.count(worst.episodes, "episode"),
            )
        )
    return Drawn(figure, t("error_by_scenario.finding", parts="; ".join(sentences)), note)


def _scenarios(ax: Axes, material: Material, runs: Sequence[Run], labels: Sequence[str]) -> None:
    handles, words = {}, material.labels
    tick_look: Look = {"color": FAINT, "marker": "|", "ls": "", "ms": 9, "mew": 1.4}
    for index, run in enumerate(runs):
        shift = SPREAD * ((index + 0.5) / len(runs) - 0.5)
        line = material.line(run)
        marker = "o" if line["ls"] == "-" else "s"
        look: Look = {**line, "marker": marker, "ls": "", "ms": 5}
        best = run.evaluation.best_baseline.name
        for part in run.evaluation.by_scenario:
            scenario = words.cell(part.cell)
            place = labels.index(scenario) + shift
            (tick,) = ax.plot(part.mae[best], place, **tick_look)
            mark(tick, f"{words.words(best)}, {scenario}: {number(part.mae[best])}")
            mae = part.policy.mae["overall"]
            (dot,) = ax.plot(mae, place, **look)
            n = words.count(part.episodes, "episode")
            mark(dot, f"{run.label}, {scenario}: {number(mae)} (n = {n})")
        handles[run.experiment] = Line2D([], [], **look, label=run.experiment)
    key = baseline_key(words("drawn.overall_baseline"), **tick_look)
    legend_beside(ax, [*handles.values(), key])
    lines_down(ax, labels, grid=True)
    ax.set_xlim(left=0)


def confusion(material: Material) -> Drawn:
    """Draw which motion was driven and which predicted, of the example."""
    t, run = material.texts, material.example()
    motion, words = run.evaluation.motion, material.labels
    classes = [words.motion(name) for name in motion.classes]
    size = len(classes)
    figure = new_figure(1.2 + CELL * size, min(8.0, 2.6 + 1.05 * size))
    ax = figure.subplots()
    shades = LinearSegmentedColormap.from_list("own", [LIGHTEST, material.color(run)])
    totals = [sum(values) for values in motion.confusion]
    for row, (values, total) in enumerate(zip(motion.confusion, totals, strict=True)):
        for column, value in enumerate(values):
            share = value / total if total else 0.0
            square = heat_cell(ax, row, column, shades(share))
            said = words(
                "confusion.at",
                driven=classes[row],
                predicted=classes[column],
                steps=words.count(value, "step"),
                share=percent(share),
                all=total,
            )
            mark(square, said)
            if value:
                ink = "white" if share > LIGHT else CELL_INK
                ax.text(column, row, f"{value:,}", ha="center", va="center", color=ink, fontsize=8)
    labels = [f"{name} ({total:,})" for name, total in zip(classes, totals, strict=True)]
    heat_axes(ax, labels, classes, rotation=0 if size < 5 else 30)
    ax.set_ylabel(words("confusion.driven"))
    ax.set_xlabel(words("confusion.predicted"))
    ax.set_title(run.label)
    worst = min(
        (values[row] / total, motion.classes[row])
        for row, (values, total) in enumerate(zip(motion.confusion, totals, strict=True))
        if total
    )
    finding = t(
        "confusion.finding",
        run=run.label,
        accuracy=percent(motion.accuracy),
        f1=number(motion.macro_f1),
        steps=t.count(sum(totals), "step"),
        worst=t.motion(worst[1]),
        share=percent(worst[0]),
    )
    return Drawn(figure, finding, material.why(run))


def tolerance(material: Material) -> Drawn:
    """Draw the share of steps whose error is within a tolerance: a line a run."""
    t, words, (groups, note) = material.texts, material.labels, _groups(material)
    figure, axes = _panels(groups)
    sentences = []
    for ax, runs in zip(axes, groups.values(), strict=True):
        handles = {}
        drawn = set()
        for run in runs:
            x, best = run.evaluation.tolerance.tolerances, run.evaluation.best_baseline.name
            match = run.evaluation.tolerance.match
            shares, baseline = match["policy"], match[best]
            if (best, tuple(baseline)) not in drawn:
                drawn.add((best, tuple(baseline)))
                ax.plot(x, baseline, color=FAINT, lw=1.2, ls=DASHED)
            ax.plot(x, shares, **material.line(run))
            said = [
                words(
                    "tolerance.at",
                    run=run.label,
                    at=number(at),
                    share=percent(share),
                    steps=words.count(run.evaluation.steps, "step"),
                    name=words.words(best),
                    baseline=percent(base),
                )
                for at, share, base in zip(x, shares, baseline, strict=True)
            ]
            marks(ax, x, shares, said)
            handles[run.experiment] = Line2D([], [], **material.line(run), label=run.experiment)
            middle = run.evaluation.tolerance.headline
            sentences.append(
                t(
                    "tolerance.one",
                    run=run.label,
                    share=percent(shares[middle]),
                    baseline=percent(baseline[middle]),
                    name=t.words(best),
                    at=number(x[middle]),
                    steps=t.count(run.evaluation.steps, "step"),
                )
            )
        legend_beside(ax, [*handles.values(), baseline_key(words("drawn.overall_baseline"))])
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.set_ylim(0, 1.02)
        ax.set_xlim(left=0)
        ax.set_ylabel(words("tolerance.share"))
    axes[-1].set_xlabel(words("tolerance.axis"))
    return Drawn(figure, t("tolerance.finding", parts="; ".join(sentences[:NAMED])), note)
