"""Draw the commands of the episodes that findings are about, as small SVG images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mobile_vla.audit.episode_checks import actions_of
from mobile_vla.audit.result import Finding
from mobile_vla.conventions import ACTION_COLUMNS
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.texts import Texts

WIDTH, HEIGHT = 240, 56  # pixels
EDGE = 4  # pixels around what is drawn
POINTS = 120  # of a line, at most: 1,000 frames are drawn as coarsely as 120
MARKS = 60  # frames that are marked, at most
EACH = 6  # plots of one code; each takes 1 KB, of a joystick up to 5 KB


@dataclass(frozen=True)
class Plot:
    """An episode's commands over its frames, and the frames that a finding names."""

    episode: str
    alt: str
    """Alternative text."""
    lines: dict[str, str]
    """SVG path by velocity, of those that are not always zero."""
    marks: tuple[float, ...]
    """Where the finding's frames are, in pixels."""
    middle: float
    """Height of zero, in pixels."""


def command_plots(
    findings: Sequence[Finding], every: Mapping[str, EpisodeFacts], t: Texts
) -> dict[str, list[Plot]]:
    """Return plots for the findings about an episode's actions, by code: the first of each.

    Args:
        findings: in the order in which they are shown.
        every: facts by the episode's name.
    """
    plots: dict[str, list[Plot]] = {}
    for finding in findings:
        facts = every.get(finding.episode or "")
        if facts is None or not finding.place.startswith("actions"):
            continue
        drawn = plots.setdefault(finding.code, [])
        if len(drawn) < EACH:
            drawn.append(plot(finding, facts, t))
    return plots


def plot(finding: Finding, facts: EpisodeFacts, t: Texts) -> Plot:
    """Return the plot of one finding."""
    actions = actions_of(facts)  # (T, 3)
    largest = max(float(np.abs(actions).max()), 1e-9)
    step = -(-facts.frames // POINTS)
    right = (WIDTH - 2 * EDGE) / max(facts.frames, 1)
    middle = HEIGHT / 2
    high = middle - EDGE
    lines: dict[str, str] = {}
    for name, values in zip(ACTION_COLUMNS, actions.T, strict=True):
        if values.any():
            heights = middle - high * values[::step] / largest
            lines[name] = _steps(heights, EDGE, right * step, WIDTH - EDGE)
    return Plot(
        episode=facts.episode,
        alt=t("audit.plot", episode=facts.episode, found=t.said(finding.found)),
        lines=lines,
        marks=tuple(round(EDGE + right * (frame + 0.5), 1) for frame in finding.frames[:MARKS]),
        middle=middle,
    )


def _steps(heights: np.ndarray, left: float, width: float, end: float) -> str:
    """Return the path of a line that keeps each height for some width, equal ones as one."""
    path = f"M{left:g},{heights[0]:.1f}"
    for index in np.flatnonzero(np.diff(heights)) + 1:
        path += f"H{left + width * index:.1f}V{heights[index]:.1f}"
    return f"{path}H{end:g}"
