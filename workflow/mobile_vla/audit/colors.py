"""Check the order of colours by what the pictures show.

Nothing in a file says whether red or blue comes first. Clearly coloured things hint at it: those
before a robot are wood, cardboard, brick, soil and skin, hence warm. Measured on
photographs, objects are mostly warm and backgrounds mostly cool (Gibson et al., "Color naming
across languages reflects color use", PNAS 114, 2017, figure 4), and the average photograph has more
red than blue (ImageNet's channel means are 0.485, 0.456 and 0.406). The sky is the great exception,
and the camera of a ground robot sees it in the upper half: only the lower one is judged.

``ingest`` gathers the share of clearly red and clearly blue pixels there. It is a guess: a blue
floor, a blue box or tinted light mislead it, and grey scenes say nothing. So it only warns, and
the setting `images.color` in config.yaml settles it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from mobile_vla.audit.findings import of_dataset, of_episode
from mobile_vla.audit.result import Finding
from mobile_vla.config.audit import Declared
from mobile_vla.ingest.result import EpisodeFacts, StrongColors

SEEN = 0.005  # share of clearly coloured pixels below which a scene counts as grey
LEANS = 2.0  # how much more of one colour there must be than of the other
SURE = 0.04  # share of clearly coloured pixels by which a single episode is judged
SURELY = 4.0
MOST = 0.8  # share of episodes that agree, from which on another one is reported
FEW = 5  # episodes below which shares say nothing

Lean = Literal["red", "blue"]


def lean(facts: EpisodeFacts, seen: float = SEEN, leans: float = LEANS) -> Lean | None:
    """Return which of red and blue an episode shows clearly more of; None where neither."""
    red, blue = _strong(facts).red, _strong(facts).blue
    if red >= seen and red >= leans * blue:
        return "red"
    if blue >= seen and blue >= leans * red:
        return "blue"
    return None


def _strong(facts: EpisodeFacts) -> StrongColors:
    strong = facts.image_statistics.strong
    assert strong is not None  # rejected episodes are not checked
    return strong


def mixed_order(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
    """All episodes have their colours in one order.

    Judged although config.yaml settles the order: episodes of another collector may join later.
    """
    leans = Counter(color for facts in every if (color := lean(facts)) is not None)
    if leans.total() < FEW:
        return
    usual, count = leans.most_common(1)[0]
    if count < MOST * leans.total():
        return
    for facts in every:
        color = lean(facts, SURE, SURELY)
        if color is not None and color != usual:
            shares = _strong(facts).model_dump()
            yield of_episode(
                facts,
                "other_color_order",
                "images",
                found=f"{shares[color]:.1%} of the lower half are clearly {color}, "
                f"{shares[usual]:.1%} clearly {usual}",
                expected=f"more {usual}, as in {count} of {leans.total()} episodes",
                remedy="look at the picture; if red and blue are swapped, swap them in the file, "
                "or make these episodes a dataset of their own with the other `images.color`",
                frames=[0],
            )


def probable_bgr(every: Sequence[EpisodeFacts], declared: Declared) -> Iterator[Finding]:
    """The pictures are warmer than they are cool; otherwise they are probably BGR read as RGB."""
    frames = sum(facts.frames for facts in every)
    if declared.color_settled or not frames:
        return
    red, blue = (
        sum(facts.frames * getattr(_strong(facts), color) for facts in every) / frames
        for color in ("red", "blue")
    )
    leans = Counter(color for facts in every if (color := lean(facts)) is not None)
    if blue >= SEEN and blue >= LEANS * red and leans["blue"] > leans["red"]:
        yield of_dataset(
            "probable_bgr",
            "images",
            found=f"{blue:.1%} of the lower halves are clearly blue, {red:.1%} clearly red; "
            f"so it is in {leans['blue']} of {len(every)} episodes",
            expected="more red than blue before a robot: wood, cardboard, soil and skin are warm",
            remedy="look at the pictures and settle it by `images: {color: bgr}`, or by "
            "`images: {color: rgb}` if blue is right",
        )
