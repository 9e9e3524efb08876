"""Recognise the parts of an episode by names and shapes; what is not clear stays a choice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mobile_vla.conventions import ACTION_COLUMNS, Dimension
from mobile_vla.describing.survey import MEANT, Array, Survey, is_within, natural
from mobile_vla.lerobot.description import NAMES

COMMANDED = re.compile(r"action|command|cmd|twist|control|teleop", re.IGNORECASE)
"""What an array, or the group of one, is called that holds commands and no measurements."""

ALONE: dict[Dimension, tuple[str, ...]] = {
    "linear_x": ("linear_velocity", "linear_vel", "lin_vel", "linear_speed", "velocity_x", "vel_x"),
    "linear_y": ("lateral_velocity", "lateral_vel", "velocity_y", "vel_y"),
    "angular_z": (
        "angular_velocity",
        "angular_vel",
        "ang_vel",
        "angular_speed",
        "yaw_rate",
        "yaw_vel",
        "vel_theta",
    ),
}
"""Further names of a velocity that is an array of its own."""

ALOHA = "base_action"
"""Linear and angular velocity, as Mobile ALOHA's recorder writes them (Interbotix/aloha)."""

LATER = re.compile(r"(^|/)next_")
"""What robomimic calls the observations after an action: to read them would give it away."""

STATE = re.compile(r"qpos|state|proprio|odom|pos\b|position|pose", re.IGNORECASE)
MOST = 3  # states that are offered


@dataclass
class Recognised:
    """The parts of an episode, with paths that begin at its group."""

    episodes: str | None = None
    """Pattern of the groups; None where the file is the episode."""
    group: str = ""
    """The first of them."""
    cameras: list[Array] = field(default_factory=list)
    velocities: dict[Dimension, str] = field(default_factory=dict)
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the columns of the arrays that velocities are columns of, by path."""
    remark: str = ""
    """What the velocities were recognised by, where that is not the names."""
    vectors: list[Array] = field(default_factory=list)
    """Other arrays that may hold commands."""
    later: list[str] = field(default_factory=list)
    """Arrays that show what an action led to."""
    instructions: list[str] = field(default_factory=list)
    states: list[Array] = field(default_factory=list)

    def relative(self, path: str) -> str:
        """Return a path from the top of the file as one from the episode's group on."""
        return path.removeprefix(f"{self.group}/") if self.group else path


def recognise(found: Survey) -> Recognised:
    """Return the parts of an episode in what a file holds."""
    group, episodes = _episodes(found)
    parts = Recognised(episodes, group)
    every = found.within(group)
    parts.later = [one.path for one in every if LATER.search(parts.relative(one.path))]
    arrays = [one for one in every if one.path not in parts.later]
    parts.cameras = [array for array in arrays if array.kind == "images"]
    numbers = [array for array in arrays if array.kind == "numbers"]
    commands = [array for array in numbers if _is_commanded(parts.relative(array.path))]
    alone = _alone(parts, numbers)
    if alone:
        parts.velocities = alone
    else:
        _columns(parts, [array for array in commands if array.width > 1])
    used = {place.partition("[")[0] for place in parts.velocities.values()}
    parts.vectors = [array for array in commands if parts.relative(array.path) not in used]
    texts = [array.path for array in arrays if array.kind == "text" and MEANT.search(array.name)]
    holders = [text for text in found.texts if is_above(text.partition("@")[0], group)]
    parts.instructions = [parts.relative(path) for path in texts]
    for text in holders:
        holder, at, name = text.partition("@")
        parts.instructions.append(f"@{name}" if holder == group else f"/{holder}{at}{name}")
    likely = [one for one in numbers if STATE.search(one.name) and one not in commands]
    parts.states = likely[:MOST]
    return parts


def is_above(group: str, other: str) -> bool:
    """Whether a group is another one, or holds it."""
    return group == other or is_within(other, group)


def _is_commanded(path: str) -> bool:
    return COMMANDED.search(path) is not None


def _episodes(found: Survey) -> tuple[str, str | None]:
    """Return the first episode's group, and the pattern of all of them.

    An episode is a group with images and something that may be commands, and without a smaller one
    in it.
    """
    holding = [
        group
        for group in found.groups
        if any(array.kind == "images" for array in found.within(group))
        and any(_may_be_commands(array, group) for array in found.within(group))
    ]
    smallest = [
        group for group in holding if not any(is_within(other, group) for other in holding if other)
    ]
    inner = sorted((group for group in smallest if group), key=natural)
    if not inner:
        return "", None
    first = inner[0]
    above, _, name = first.rpartition("/")
    beside = [group for group in inner if group.rpartition("/")[0] == above]
    stem = re.sub(r"\d+$", "", name)
    numbered = stem != name and all(
        re.fullmatch(re.escape(stem) + r"\d+", group.rpartition("/")[2]) for group in beside
    )
    last = f"{stem}*" if numbered else "*" if len(beside) > 1 else name
    return first, f"{above}/{last}".lstrip("/")


def _may_be_commands(array: Array, group: str) -> bool:
    path = array.path.removeprefix(f"{group}/")
    return array.kind == "numbers" and (_is_commanded(path) or _velocity(array.name) is not None)


def _velocity(name: str) -> Dimension | None:
    """Return the velocity that has a name."""
    for dimension in ACTION_COLUMNS:
        if name.lower() in (*NAMES[dimension], *ALONE[dimension]):
            return dimension
    return None


def _alone(parts: Recognised, numbers: Sequence[Array]) -> dict[Dimension, str]:
    """Return velocities that are arrays of their own; none where it is not clear which."""
    places: dict[Dimension, str] = {}
    for dimension in ACTION_COLUMNS:
        named = [one for one in numbers if one.width == 1 and _velocity(one.name) == dimension]
        commanded = [one for one in named if _is_commanded(parts.relative(one.path))]
        chosen = commanded or named
        if len(chosen) > 1:
            return {}
        if chosen:
            places[dimension] = parts.relative(chosen[0].path)
    return places


def _columns(parts: Recognised, vectors: Sequence[Array]) -> None:
    """Recognise velocities that are columns of one array."""
    named = [one for one in vectors if any(map(_velocity, one.columns))]
    aloha = [one for one in vectors if one.name == ALOHA and one.width == 2]
    threes = [one for one in vectors if one.width == len(ACTION_COLUMNS) and not one.columns]
    if len(named) == 1:
        path = parts.relative(named[0].path)
        found = {column: _velocity(column) for column in named[0].columns}
        if len(set(filter(None, found.values()))) == len(list(filter(None, found.values()))):
            parts.velocities = {name: f"{path}[{column}]" for column, name in found.items() if name}
            parts.columns[path] = named[0].columns
    elif len(aloha) == 1 and not named:
        path = parts.relative(aloha[0].path)
        parts.velocities = {"linear_x": f"{path}[0]", "angular_z": f"{path}[1]"}
        parts.remark = "linear and angular, as Mobile ALOHA writes them"
    elif len(threes) == 1 and not named:
        path = parts.relative(threes[0].path)
        parts.velocities = {
            dimension: f"{path}[{column}]" for column, dimension in enumerate(ACTION_COLUMNS)
        }
        parts.remark = "three columns without names, taken in the collector's order: check it"
