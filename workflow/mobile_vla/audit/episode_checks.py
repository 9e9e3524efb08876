"""Check single episodes: name, attributes, instruction, events, images and actions."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from mobile_vla.audit.findings import EpisodeCheck, of_episode, spans
from mobile_vla.audit.result import Finding
from mobile_vla.config.audit import Declared
from mobile_vla.conventions import ACTION_COLUMNS, columns_of
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.ingest.scenario import SCHEME, follows_scheme
from mobile_vla.ingest.values import single, whole_number
from mobile_vla.sentence import first_of, say, verbatim

SIDE_WORDS = {"left": r"\bleft\b|왼쪽", "right": r"\bright\b|오른쪽"}

# Of a frame's values in 0..255. A lens cap measures below 5, an overexposed sky above 250; a wall
# that fills the picture still has noise and shading of more than 2.
BLACK_BELOW = 5.0
WHITE_ABOVE = 250.0
FLAT_BELOW = 2.0

TOLERANCE = 1e-6  # relative: 1.15 as float32 is not 1.15 as float64


def actions_of(facts: EpisodeFacts) -> np.ndarray:
    """Return an episode's actions, (T, 3)."""
    return np.array(facts.actions, dtype=np.float64).reshape(-1, len(ACTION_COLUMNS))


def scenario_in_name(facts: EpisodeFacts, declared: Declared) -> Iterator[Finding]:
    """The name says the whole scenario; without a side, no prompt can say where to pass."""
    if declared.has_scenarios:
        return
    missing = [key for key, value in facts.scenario.items() if value is None]
    if "side" not in missing and follows_scheme(facts.stem):
        return
    code = "name_outside_scheme"
    remedy = say("rename the file; stratification counts what is missing as unknown")
    if "side" in missing:
        code = "scenario_incomplete"
        remedy = say(
            "rename the file, name it in a table (`scenarios`), or leave such episodes out with "
            "`on_warning: quarantine`: a prompt that names the side cannot be made for it"
        )
    found = say("the name does not say {keys}", keys=missing)
    if not missing:
        found = say("the name says the scenario, in another form")
    yield of_episode(facts, code, "name", found=found, expected=verbatim(SCHEME), remedy=remedy)


def episode_name(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """The attribute repeats the file's name: a difference means a renamed or mixed-up file."""
    name, stem = single(facts.attributes.get("episode_name")), facts.stem
    if isinstance(name, str) and name != stem:
        yield of_episode(
            facts,
            "episode_name_differs",
            "attribute episode_name",
            found=verbatim(name),
            expected=verbatim(stem),
            remedy=say(
                "find out which of the two is true; the scenario is read off the file's name"
            ),
        )


def num_frames(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """The attribute counts the frames: a difference means that some were lost."""
    declared = facts.attributes.get("num_frames")
    if declared is not None and whole_number(declared) != facts.frames:
        yield of_episode(
            facts,
            "num_frames_differs",
            "attribute num_frames",
            found=verbatim(declared),
            expected=say("{frames}, the number of images", frames=facts.frames),
            remedy=say("check that the recording was not cut short"),
        )


def instruction_side(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """The file's instruction does not name the other side."""
    text, side = facts.instruction, facts.scenario["side"]
    if text is None or side is None:
        return
    named = {word for word, pattern in SIDE_WORDS.items() if re.search(pattern, text.lower())}
    if named and side not in named:
        yield of_episode(
            facts,
            "instruction_contradicts_name",
            "language_instruction",
            found=verbatim(repr(text)),
            expected=say("the side in the name, {side}", side=side),
            remedy=say("rename the file or correct the instruction; prompts follow the name"),
        )


def event_types(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """Events agree with the actions: a start at frame 0, a stop where nothing is pressed."""
    events = facts.event_types
    if events is None and any(note.code == "unclear_events" for note in facts.notes):
        return
    if events is None:
        yield of_episode(
            facts,
            "no_event_types",
            "action_event_types",
            found=say("no such dataset"),
            expected=say("an event a frame"),
            remedy=say("nothing: the events are not trained on"),
        )
        return
    wrong = [
        index
        for index, (event, action) in enumerate(zip(events, facts.actions, strict=True))
        if (event == "start_action" and not any(action))
        or (event in ("stop_action", "episode_start") and any(action))
    ]
    if wrong:
        first = wrong[0]
        yield of_episode(
            facts,
            "events_disagree",
            f"action_event_types, row {first}",
            found=first_of(
                len(wrong),
                say(
                    "{event} with the action {action}",
                    event=events[first],
                    action=str(facts.actions[first]),
                ),
            ),
            expected=say("start_action with a velocity, stop_action and episode_start without"),
            remedy=say("check the collector: events and actions may be shifted against each other"),
            frames=wrong,
        )


def normalised_images(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """Values reach beyond 1: images in 0..1, cast to whole numbers, have lost everything."""
    if facts.image_statistics.max == 1:
        yield of_episode(
            facts,
            "images_normalised",
            "images",
            found=say("no value above 1"),
            expected=say("values from 0 to 255"),
            remedy=say(
                "store the camera's images as they are: these were scaled before they were made "
                "whole numbers, and what they showed is lost"
            ),
            frames=range(facts.frames),
        )


def plain_frames(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """Frames show something: they are not black, white or all of one colour."""
    if facts.image_statistics.max == 1:
        return  # of such images nothing else is worth saying
    black, white, flat = _plain(facts)
    for code, what, where in (
        ("black_frames", say("black"), black),
        ("white_frames", say("white"), white),
        ("flat_frames", say("of nearly one colour"), flat),
    ):
        if where.any():
            frames = np.flatnonzero(where).tolist()
            yield of_episode(
                facts,
                code,
                f"images, {spans(frames)}",
                found=say(
                    "{n} of {all} frames are {what}", n=len(frames), all=len(where), what=what
                ),
                expected=say("the scene before the robot"),
                remedy=say(
                    "look at the camera's recording; leave the episode out if it is useless"
                ),
                frames=frames,
            )


def _plain(facts: EpisodeFacts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which frames are black, white, and else of nearly one colour, (T,) bool each."""
    mean: np.ndarray = np.array(facts.image_statistics.frame_mean)  # (T,)
    std: np.ndarray = np.array(facts.image_statistics.frame_std)  # (T,)
    black, white = mean < BLACK_BELOW, mean > WHITE_ABOVE
    return black, white, (std < FLAT_BELOW) & ~black & ~white


def plain_frames_of(facts: EpisodeFacts) -> np.ndarray:
    """Return which frames show nothing: black, white or of nearly one colour, (T,) bool."""
    return np.any(_plain(facts), axis=0)


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
            found=say("{n} frames equal to the one before, to the last bit", n=len(frozen)),
            expected=say("another picture while the action is not zero"),
            remedy=say("the camera hung, or the robot was stuck: leave the episode out"),
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
            found=verbatim(actions[0].round(4).tolist()),
            expected=say("zero: an episode starts at rest"),
            remedy=say("check that the recording's start was not cut off"),
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
            found=say("all {n} actions are zero", n=len(actions)),
            expected=say("a drive to the target"),
            remedy=say("leave the episode out: it teaches the robot to stand still"),
        )


def beyond_scale(facts: EpisodeFacts, declared: Declared) -> Iterator[Finding]:
    """Predicted dimensions stay within the declared scale, or they would be clipped."""
    dimensions, limits = declared.actions.dimensions, declared.actions.limits
    size = np.abs(actions_of(facts)[:, columns_of(dimensions)])  # (T, A)
    beyond: np.ndarray = size > np.array(limits) * (1 + TOLERANCE)
    if beyond.any():
        row, column = map(int, np.argwhere(beyond)[0])
        largest = zip(dimensions, size.max(axis=0), strict=True)
        yield of_episode(
            facts,
            "actions_beyond_scale",
            f"actions, row {row}, {dimensions[column]}",
            found=say(
                "{share:.1%} of the values are beyond the scale; the largest: {largest}",
                share=beyond.mean(),
                largest=[f"{name} {value:g}" for name, value in largest],
            ),
            expected=say("at most {scale} either way", scale=declared.actions.said),
            remedy=say(
                "raise the dataset's `actions.scale`, which may be one for each dimension: what "
                "is beyond it is clipped"
            ),
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
            found=say(
                "mean {mean:+.3f} in an episode that passes on the {side}",
                mean=lateral.mean(),
                side=side,
            ),
            expected=say("a positive mean: y points to the left")
            if expected > 0
            else say("a negative mean: y points to the left"),
            remedy=say("check the sign of y in the collector, and the side in the file's name"),
            frames=[int(rows[0])],
        )


EPISODE_CHECKS: tuple[EpisodeCheck, ...] = (
    scenario_in_name,
    episode_name,
    num_frames,
    instruction_side,
    event_types,
    normalised_images,
    plain_frames,
    frozen_frames,
    first_action,
    all_zero,
    beyond_scale,
    side_sign,
)
