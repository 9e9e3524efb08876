"""Check single episodes against the others of the dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from mobile_vla.audit.colors import mixed_order
from mobile_vla.audit.content_checks import TOLERANCE, actions_of
from mobile_vla.audit.findings import SetCheck, of_dataset, of_episode
from mobile_vla.audit.result import Finding
from mobile_vla.config.audit import Declared
from mobile_vla.conventions import columns_of
from mobile_vla.ingest.result import EpisodeFacts


def duplicates(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
    """No two episodes are the same: they could stand on both sides of the split."""
    by_file: dict[str | None, EpisodeFacts] = {}
    by_content: dict[str, EpisodeFacts] = {}
    for facts in every:
        content = f"{facts.frame_file.sha256} {facts.actions}"
        same = by_file.get(facts.sha256)
        code, what = "duplicate_file", "the same bytes as"
        if same is None:
            same = by_content.get(content)
            code, what = "duplicate_content", "the same frames and actions as"
        if same is not None:
            yield of_episode(
                facts,
                code,
                "file",
                found=f"{what} {same.episode}",
                expected="each episode once",
                remedy="remove one of the two: on both sides of the split it falsifies the scores",
            )
        by_file.setdefault(facts.sha256, facts)
        by_content.setdefault(content, facts)


def frame_sizes(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
    """All images have the same size; another one means another camera or setting."""
    sizes = Counter(_size(facts) for facts in every)
    if len(sizes) < 2:
        return
    usual = max(sizes, key=lambda size: (sizes[size], size))
    for facts in every:
        size = _size(facts)
        if size != usual:
            yield of_episode(
                facts,
                "other_image_size",
                "images",
                found=f"{size[1]}×{size[0]} pixels",
                expected=f"{usual[1]}×{usual[0]} as in {sizes[usual]} of {len(every)} episodes",
                remedy="check that it is the same camera and field of view",
                frames=[0],
            )


def _size(facts: EpisodeFacts) -> tuple[int, int, int]:
    assert facts.raw_shape is not None  # rejected episodes are not checked
    return facts.raw_shape


def normalised_actions(every: Sequence[EpisodeFacts], declared: Declared) -> Iterator[Finding]:
    """Commands are raw: a largest one of exactly 1 was divided by the scale already."""
    scale = declared.actions.scale
    if abs(scale - 1) <= TOLERANCE:
        return
    columns = columns_of(declared.actions.dimensions)
    largest = {facts.episode: float(np.abs(actions_of(facts)[:, columns]).max()) for facts in every}
    moving = [facts for facts in every if largest[facts.episode] > 0]
    concerned = [facts for facts in moving if abs(largest[facts.episode] - 1) <= TOLERANCE]
    found = f"the largest command is exactly 1, and the scale is {scale:g}"
    expected = "raw commands, which the scale makes normalised ones"
    if concerned and len(concerned) == len(moving):
        yield of_dataset(
            "actions_normalised",
            "actions",
            found=found,
            expected=expected,
            remedy="say `actions: {scale: 1}` if they were normalised before they were stored",
        )
        return
    for facts in concerned:
        yield of_episode(
            facts,
            "actions_normalised",
            "actions",
            found=found,
            expected=expected,
            remedy="other episodes go beyond 1: look whether this one was normalised before it "
            "was stored",
        )


PEER_CHECKS: tuple[SetCheck, ...] = (duplicates, frame_sizes, normalised_actions, mixed_order)
