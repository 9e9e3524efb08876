"""The order of colours, judged by what the pictures show.

Nothing in a file says whether red or blue comes first. What speaks for it are clearly coloured
things: those before a robot are wood, cardboard, brick, soil and skin, hence warm. Measured on
photographs, objects are mostly warm and backgrounds mostly cool (Gibson et al., "Color naming
across languages reflects color use", PNAS 114, 2017, figure 4), and the average photograph has more
red than blue (ImageNet's channel means are 0.485, 0.456 and 0.406). The sky is the great exception,
and the camera of a ground robot sees it in the upper half: only the lower one is judged.

``ingest`` gathers the share of clearly red and clearly blue pixels there. It is a guess: a blue
floor, a blue box or tinted light mislead it, and grey scenes say nothing. So it only warns, and
config.yaml has the last word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from mobile_vla.audit.findings import Facts, Finding, of_dataset, of_episode
from mobile_vla.config.audit import Declared

SEEN = 0.005  # share of clearly coloured pixels below which a scene counts as grey
LEANS = 2.0  # how much more of one colour there must be than of the other
SURE = 0.04  # share of clearly coloured pixels by which a single episode is judged
SURELY = 4.0
MOST = 0.8  # share of episodes that agree, before one that does not is worth a word
FEW = 5  # episodes below which shares say nothing

Lean = Literal["red", "blue"]


def lean(facts: Facts, seen: float = SEEN, leans: float = LEANS) -> Lean | None:
    """Return which of red and blue an episode shows clearly more of; None where neither."""
    strong = facts["image_statistics"]["strong"]
    red, blue = strong["red"], strong["blue"]
    if red >= seen and red >= leans * blue:
        return "red"
    if blue >= seen and blue >= leans * red:
        return "blue"
    return None


def mixed_order(every: Sequence[Facts], _: Declared) -> Iterator[Finding]:
    """All episodes have their colours in one order.

    Judged although config.yaml settles the order: episodes of another collector may join later.
    """
    leans = Counter(found for facts in every if (found := lean(facts)) is not None)
    if leans.total() < FEW:
        return
    usual, count = leans.most_common(1)[0]
    if count < MOST * leans.total():
        return
    for facts in every:
        own = lean(facts, SURE, SURELY)
        if own is not None and own != usual:
            strong = facts["image_statistics"]["strong"]
            yield of_episode(
                facts,
                "other_color_order",
                "images",
                found=f"{strong[own]:.1%} of the lower half are clearly {own}, "
                f"{strong[usual]:.1%} clearly {usual}",
                expected=f"more {usual}, as in {count} of {leans.total()} episodes",
                remedy="look at the picture; if red and blue are swapped, swap them in the file, "
                "or make these episodes a dataset of their own with the other `images.color`",
                frames=[0],
            )


def probable_bgr(every: Sequence[Facts], declared: Declared) -> Iterator[Finding]:
    """The pictures are warmer than they are cool; otherwise they are probably BGR read as RGB."""
    frames = sum(facts["frames"] for facts in every)
    if declared.color_settled or not frames:
        return
    red, blue = (
        sum(facts["frames"] * facts["image_statistics"]["strong"][name] for facts in every) / frames
        for name in ("red", "blue")
    )
    leans = Counter(found for facts in every if (found := lean(facts)) is not None)
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
