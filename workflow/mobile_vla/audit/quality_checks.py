"""Check how good demonstrations are, each against its peers.

An episode is compared by numbers of ``quality``. It is reported where its number is several robust
standard deviations (1.4826 times the median absolute deviation) from the peers' median. A least
spread is assumed, because a few equal drives would make any other one an outlier.
``tests/benchmarks/demonstrations.py`` measures what is detected and what is reported falsely.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mobile_vla.audit.findings import SetCheck, of_episode, spans
from mobile_vla.audit.quality import (
    TRACE,
    blurred_frames,
    brightness,
    clipped,
    clipped_frames,
    idle_frames,
    idle_share,
    reversal_frames,
    reversals,
    roughness,
    sharpness,
)
from mobile_vla.audit.result import Finding
from mobile_vla.config.audit import Declared
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.sentence import Sentence, say, verbatim

PEERS = 8  # others, at least: of fewer neither median nor spread says anything
FAR = 4.0  # robust standard deviations from the median
SIGMA = 1.4826  # of a normal distribution, in median absolute deviations
ORDINARY = (0.1, 0.9)  # quantiles between which peers are called ordinary

Number = Callable[[EpisodeFacts], float | None]


@dataclass(frozen=True)
class QualityMeasure:
    """A number of each episode, and from which distance on it is reported."""

    code: str
    place: str
    number: Number
    """The number, None where the episode has none."""
    spread: float
    """Least robust standard deviation that is assumed of the peers."""
    side: Literal["high", "low", "both"]
    form: str
    """Of the number."""
    text: str
    """How the number reads: the template of a sentence."""
    remedy: Sentence
    frames: Callable[[EpisodeFacts], Sequence[int]]
    """The frames that show it."""
    logarithmic: bool = False
    """Whether ratios count, not differences."""
    same_scenario: bool = False
    """Whether the peers are those of the same scenario, where there are enough of them."""


def middle(facts: EpisodeFacts) -> list[int]:
    """Return the frame in the middle."""
    return [facts.frames // 2]


MEASURES = (
    QualityMeasure(
        code="much_idle",
        place="actions",
        number=idle_share,
        spread=0.05,
        side="high",
        form="{:.0%}",
        text="no command in {number} of the frames",
        remedy=say(
            "look whether the driver hesitated or the recording ran on; cut it, or leave the "
            "episode out: it teaches the robot to stand still"
        ),
        frames=idle_frames,
    ),
    QualityMeasure(
        code="many_reversals",
        place="actions",
        number=reversals,
        spread=3.0,
        side="high",
        form="{:.0f}",
        text="{number} reversals of a velocity in 100 frames",
        remedy=say("look whether the driver went to and fro; leave the episode out if it did"),
        frames=reversal_frames,
    ),
    QualityMeasure(
        code="jerky_commands",
        place="actions",
        number=roughness,
        spread=0.3,
        side="high",
        form="-{:.1f}",
        text="a log dimensionless jerk of {number}",
        remedy=say(
            "look whether the joystick or its driver trembled; filter the commands, or leave the "
            "episode out"
        ),
        frames=middle,
    ),
    QualityMeasure(
        code="other_length",
        place="actions",
        number=lambda facts: float(facts.frames),
        spread=1.5,
        side="both",
        form="{:.0f}",
        text="{number} frames",
        remedy=say("look whether the recording was cut short or ran on"),
        frames=lambda facts: [facts.frames - 1],
        same_scenario=True,
    ),
    QualityMeasure(
        code="blurred",
        place="images",
        number=sharpness,
        spread=0.2,
        side="low",
        form="{:.1f}",
        text="a variance of the Laplacian of {number} at a brightness of 128",
        remedy=say("look at the pictures: the lens may be dirty or out of focus"),
        frames=middle,
        logarithmic=True,
    ),
    QualityMeasure(
        code="clipped_pixels",
        place="images",
        number=clipped,
        spread=0.02,
        side="high",
        form="{:.0%}",
        text="{number} of the pixels black or white",
        remedy=say(
            "look at the pictures: exposure or lamp may be wrong, and what is clipped is lost"
        ),
        frames=clipped_frames,
    ),
    QualityMeasure(
        code="other_brightness",
        place="images",
        number=brightness,
        spread=0.15,
        side="both",
        form="{:.0f}",
        text="a mean of {number} of 255",
        remedy=say(
            "look whether exposure or light was another one; a policy sees both as they are"
        ),
        frames=middle,
        logarithmic=True,
    ),
)


def far_from_peers(measure: QualityMeasure) -> SetCheck:
    """Return the check that an episode's number is about that of its peers."""

    def check(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
        known = [facts for facts in every if measure.number(facts) is not None]
        numbers = np.array([measure.number(facts) for facts in known])  # (E,)
        rows: dict[object, list[int]] = defaultdict(list)
        if measure.same_scenario:
            for row, facts in enumerate(known):
                rows[tuple(facts.scenario.values())].append(row)
        for row, facts in enumerate(known):
            group = rows[tuple(facts.scenario.values())] if measure.same_scenario else []
            alike = len(group) > PEERS
            others = [one for one in group if one != row]
            peers = numbers[others] if alike else np.delete(numbers, row)
            if len(peers) < PEERS or not outlying(numbers[row], peers, measure):
                continue
            low, high = np.quantile(peers, ORDINARY)
            yield of_episode(
                facts,
                measure.code,
                measure.place,
                found=say(measure.text, number=measure.form.format(numbers[row])),
                expected=say(
                    "{range}, as in 80 % of {n} episodes of its scenario"
                    if alike
                    else "{range}, as in 80 % of {n} other episodes",
                    range=say(measure.text, number=_between(measure.form, low, high)),
                    n=len(peers),
                ),
                remedy=measure.remedy,
                frames=measure.frames(facts),
            )

    return check


def outlying(number: float, peers: np.ndarray, measure: QualityMeasure) -> bool:
    """Whether a number is too far from those of the peers, (n,), on a side that counts."""
    if measure.logarithmic:
        number, peers = math.log(number + TRACE), np.log(peers + TRACE)
    centre = float(np.median(peers))
    spread = max(SIGMA * float(np.median(np.abs(peers - centre))), measure.spread)
    distance = (number - centre) / spread
    sides = {"high": distance, "low": -distance, "both": abs(distance)}
    return sides[measure.side] > FAR


def _between(form: str, low: float, high: float) -> Sentence:
    """Return a range, or one number where both read alike."""
    first, last = form.format(low), form.format(high)
    return verbatim(first) if first == last else say("{low} to {high}", low=first, high=last)


def blurred_frames_of(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
    """Single frames are as sharp as those around them."""
    for facts in every:
        frames = blurred_frames(facts)
        if frames:
            yield of_episode(
                facts,
                "blurred_frames",
                f"images, {spans(frames)}",
                found=say(
                    "{n} of {all} frames are far less sharp than those around them",
                    n=len(frames),
                    all=facts.frames,
                ),
                expected=say("at least a quarter of their variance of the Laplacian"),
                remedy=say(
                    "look at the pictures: the robot may have turned or shaken too fast for the "
                    "camera"
                ),
                frames=frames,
            )


QUALITY_CHECKS: tuple[SetCheck, ...] = (
    *(far_from_peers(measure) for measure in MEASURES),
    blurred_frames_of,
)
