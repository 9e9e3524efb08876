"""Check the images and actions of single episodes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mobile_vla.audit.findings import EpisodeCheck, of_episode, spans
from mobile_vla.audit.result import Finding
from mobile_vla.config.audit import Declared
from mobile_vla.conventions import ACTION_COLUMNS, columns_of
from mobile_vla.ingest.result import EpisodeFacts

# Of a frame's values in 0..255. A lens cap measures below 5, an overexposed sky above 250; a wall
# that fills the picture still has noise and shading of more than 2.
BLACK_BELOW = 5.0
WHITE_ABOVE = 250.0
FLAT_BELOW = 2.0

TOLERANCE = 1e-6  # relative: 1.15 as float32 is not 1.15 as float64


def actions_of(facts: EpisodeFacts) -> np.ndarray:
    """Return an episode's actions, (T, 3)."""
    return np.array(facts.actions, dtype=np.float64).reshape(-1, len(ACTION_COLUMNS))


def normalised_images(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """Values reach beyond 1: images in 0..1, cast to whole numbers, have lost everything."""
    if facts.image_statistics.max == 1:
        yield of_episode(
            facts,
            "images_normalised",
            "images",
            found="no value above 1",
            expected="values from 0 to 255",
            remedy="store the camera's images as they are: these were scaled before they were "
            "made whole numbers, and what they showed is lost",
            frames=range(facts.frames),
        )


def plain_frames(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """Frames show something: they are not black, white or all of one colour."""
    if facts.image_statistics.max == 1:
        return  # of such images nothing else is worth saying
    mean: np.ndarray = np.array(facts.image_statistics.frame_mean)  # (T,)
    std: np.ndarray = np.array(facts.image_statistics.frame_std)  # (T,)
    black, white = mean < BLACK_BELOW, mean > WHITE_ABOVE
    for code, what, where in (
        ("black_frames", "black", black),
        ("white_frames", "white", white),
        ("flat_frames", "of nearly one colour", (std < FLAT_BELOW) & ~black & ~white),
    ):
        if where.any():
            frames = np.flatnonzero(where).tolist()
            yield of_episode(
                facts,
                code,
                f"images, {spans(frames)}",
                found=f"{len(frames)} of {len(where)} frames are {what}",
                expected="the scene before the robot",
                remedy="look at the camera's recording; leave the episode out if it is useless",
                frames=frames,
            )


def frozen_frames(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """The picture changes while the robot moves; otherwise the camera hung."""
    moving: np.ndarray = np.any(actions_of(facts), axis=1)  # (T,)
    # A frame may be stored before or after its command takes effect: demand both.
    frozen = [
        index for index in facts.image_statistics.repeats if moving[index - 1] and moving[index]
    ]
    if frozen:
        yield of_episode(
            facts,
            "frozen_frames",
            f"images, {spans(frozen)}",
            found=f"{len(frozen)} frames equal to the one before, to the last bit",
            expected="another picture while the action is not zero",
            remedy="the camera hung, or the robot was stuck: leave the episode out",
            frames=frozen,
        )


def first_action(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """An episode starts at rest."""
    actions = actions_of(facts)
    if actions[0].any():
        yield of_episode(
            facts,
            "first_action_not_zero",
            "actions, row 0",
            found=f"{actions[0].round(4).tolist()}",
            expected="zero: an episode starts at rest",
            remedy="check that the recording's start was not cut off",
            frames=[0],
        )


def all_zero(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """The robot moves at all."""
    actions = actions_of(facts)
    if not actions.any():
        yield of_episode(
            facts,
            "actions_all_zero",
            "actions",
            found=f"all {len(actions)} actions are zero",
            expected="a drive to the target",
            remedy="leave the episode out: it teaches the robot to stand still",
        )


def beyond_scale(facts: EpisodeFacts, declared: Declared) -> Iterator[Finding]:
    """Predicted dimensions stay within the declared scale, or they would be clipped."""
    dimensions, scale = declared.actions.dimensions, declared.actions.scale
    size = np.abs(actions_of(facts)[:, columns_of(dimensions)])  # (T, A)
    beyond: np.ndarray = size > scale * (1 + TOLERANCE)
    if beyond.any():
        row, column = map(int, np.argwhere(beyond)[0])
        yield of_episode(
            facts,
            "actions_beyond_scale",
            f"actions, row {row}, {dimensions[column]}",
            found=f"{beyond.mean():.1%} of the values are beyond the scale, up to {size.max():g}",
            expected=f"at most {scale:g} either way",
            remedy="raise the dataset's `actions.scale`: what is beyond it is clipped",
            frames=np.flatnonzero(beyond.any(axis=1)).tolist(),
        )


def side_sign(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """Who passes on the left drives to the left, where linear_y is positive."""
    side = facts.scenario["side"]
    lateral = actions_of(facts)[:, ACTION_COLUMNS.index("linear_y")]  # (T,)
    if side is None or not lateral.any():
        return
    expected = 1.0 if side == "left" else -1.0
    # Back behind the box a robot returns: the mean alone would blame episodes that return far.
    rows = np.flatnonzero(lateral)
    if lateral.mean() * expected < 0 and lateral[rows[0]] * expected < 0:
        yield of_episode(
            facts,
            "side_sign",
            "actions, linear_y",
            found=f"mean {lateral.mean():+.3f} in an episode that passes on the {side}",
            expected=f"a {'positive' if expected > 0 else 'negative'} mean: y points to the left",
            remedy="check the sign of y in the collector, and the side in the file's name",
            frames=[int(rows[0])],
        )


CONTENT_CHECKS: tuple[EpisodeCheck, ...] = (
    normalised_images,
    plain_frames,
    frozen_frames,
    first_action,
    all_zero,
    beyond_scale,
    side_sign,
)
