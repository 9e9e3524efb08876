"""Check single episodes against the others of the dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from mobile_vla.audit.episode_checks import TOLERANCE, actions_of
from mobile_vla.audit.findings import SetCheck, of_episode
from mobile_vla.audit.result import Finding
from mobile_vla.config.audit import Declared
from mobile_vla.conventions import columns_of
from mobile_vla.ingest.result import EpisodeFacts, StrongColors
from mobile_vla.sentence import say

# Nothing in a file says whether red or blue comes first. Clearly coloured things hint at it: those
# before a robot are wood, cardboard, brick, soil and skin, hence warm. Measured on photographs,
# objects are mostly warm and backgrounds mostly cool (Gibson et al., "Color naming across languages
# reflects color use", PNAS 114, 2017, figure 4), and the average photograph has more red than blue
# (ImageNet's channel means are 0.485, 0.456 and 0.406). The sky is the great exception, and the
# camera of a ground robot sees it in the upper half: ``ingest`` judges only the lower one. It is a
# guess: a blue floor, a blue box or tinted light mislead it, and grey scenes say nothing. So it
# only warns, and the setting `images.color` in config.yaml settles it.
SEEN = 0.005  # share of clearly coloured pixels below which a scene counts as grey
LEANS = 2.0  # how much more of one colour there must be than of the other
SURE = 0.04  # share of clearly coloured pixels by which a single episode is judged
SURELY = 4.0
MOST = 0.8  # share of episodes that agree, from which on another one is reported
FEW = 5  # episodes below which shares say nothing

Lean = Literal["red", "blue"]


def duplicates(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
    """No two episodes are the same: they could stand on both sides of the split."""
    by_file: dict[str | None, EpisodeFacts] = {}
    by_content: dict[str, EpisodeFacts] = {}
    for facts in every:
        same_bytes = by_file.setdefault(facts.sha256, facts)
        content = f"{facts.frame_file.sha256} {facts.actions}"
        same_content = by_content.setdefault(content, facts)
        if same_bytes is not facts:
            code, found = (
                "duplicate_file",
                say("the same bytes as {episode}", episode=same_bytes.episode),
            )
        elif same_content is not facts:
            code = "duplicate_content"
            found = say("the same frames and actions as {episode}", episode=same_content.episode)
        else:
            continue
        yield of_episode(
            facts,
            code,
            "file",
            found=found,
            expected=say("each episode once"),
            remedy=say("remove one of the two: on both sides of the split it falsifies the scores"),
        )


def frame_sizes(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
    """All images have the same size; another one means another camera or setting."""
    shapes = [facts.raw_shape for facts in every if facts.raw_shape is not None]
    sizes = Counter(shapes)
    usual = max(sizes, key=lambda size: (sizes[size], size), default=(0, 0, 0))
    for facts, size in zip(every, shapes, strict=True):  # rejected episodes are not among them
        if size != usual:
            yield of_episode(
                facts,
                "other_image_size",
                "images",
                found=say("{width}×{height} pixels", width=size[1], height=size[0]),
                expected=say(
                    "{width}×{height} as in {n} of {all} episodes",
                    width=usual[1],
                    height=usual[0],
                    n=sizes[usual],
                    all=len(every),
                ),
                remedy=say("check that it is the same camera and field of view"),
                frames=[0],
            )


def normalised_actions(every: Sequence[EpisodeFacts], declared: Declared) -> Iterator[Finding]:
    """Commands are raw: a largest one of exactly 1 was divided by the scale already."""
    limits = np.array(declared.actions.limits)
    scaled = np.abs(limits - 1) > TOLERANCE
    if not scaled.any():
        return
    columns = np.array(columns_of(declared.actions.dimensions))[scaled]
    largest = {facts.episode: float(np.abs(actions_of(facts)[:, columns]).max()) for facts in every}
    moving = [facts for facts in every if largest[facts.episode] > 0]
    concerned = [facts for facts in moving if abs(largest[facts.episode] - 1) <= TOLERANCE]
    about: list[EpisodeFacts | None] = list(concerned)
    remedy = say(
        "other episodes go beyond 1: look whether this one was normalised before it was stored"
    )
    if concerned and len(concerned) == len(moving):
        about = [None]  # a finding about the dataset as a whole
        remedy = say("say `actions: {{scale: 1}}` if they were normalised before they were stored")
    for facts in about:
        yield of_episode(
            facts,
            "actions_normalised",
            "actions",
            found=say(
                "the largest command is exactly 1, and the scale is {scale}",
                scale=declared.actions.said,
            ),
            expected=say("raw commands, which the scale makes normalised ones"),
            remedy=remedy,
        )


def lean(facts: EpisodeFacts, seen: float = SEEN, leans: float = LEANS) -> Lean | None:
    """Return which of red and blue an episode shows clearly more of; None where neither."""
    red, blue = strong_colors_of(facts).red, strong_colors_of(facts).blue
    if red >= seen and red >= leans * blue:
        return "red"
    if blue >= seen and blue >= leans * red:
        return "blue"
    return None


def strong_colors_of(facts: EpisodeFacts) -> StrongColors:
    """Return the shares of clearly coloured pixels in an episode that was not rejected."""
    strong = facts.image_statistics.strong
    assert strong is not None
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
            shares = strong_colors_of(facts).model_dump()
            colors = {"red": say("red"), "blue": say("blue")}
            yield of_episode(
                facts,
                "other_color_order",
                "images",
                found=say(
                    "{other:.1%} of the lower half are clearly {color}, {share:.1%} clearly "
                    "{usual}",
                    other=shares[color],
                    color=colors[color],
                    share=shares[usual],
                    usual=colors[usual],
                ),
                expected=say(
                    "more {usual}, as in {n} of {all} episodes",
                    usual=colors[usual],
                    n=count,
                    all=leans.total(),
                ),
                remedy=say(
                    "look at the picture; if red and blue are swapped, swap them in the file, or "
                    "make these episodes a dataset of their own with the other `images.color`"
                ),
                frames=[0],
            )


PEER_CHECKS: tuple[SetCheck, ...] = (duplicates, frame_sizes, normalised_actions, mixed_order)
