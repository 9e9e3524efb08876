"""Where in an HDF5 file the parts of an episode stand: the collector's layout, or another one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mobile_vla.config.fields import Fields, velocity_place
from mobile_vla.conventions import ACTION_COLUMNS, Dimension
from mobile_vla.sentence import say

IMAGES = ("images", "observations/images")
"""Where the collector's images may lie."""
ACTIONS = "actions"
EVENT_TYPES = "action_event_types"
INSTRUCTION = "language_instruction"

RECORD_AGAIN = say("record the episode again, or leave it out of the folder")
DESCRIBE = say(
    "`python -m mobile_vla describe FILE` prints the `fields:` that read another layout; {record}",
    record=RECORD_AGAIN,
)
AS_CONTRACT = say("store it as the contract says")
CORRECT = say(
    "correct `fields`; `python -m mobile_vla describe FILE` looks into it and prints them"
)


@dataclass(frozen=True)
class Velocity:
    """Where a velocity stands."""

    place: str
    """Path of the array, (T,), (T, 1) or (T, A)."""
    column: int | str | None
    """Which of its columns, by place or name; None where it has one."""


@dataclass(frozen=True)
class Places:
    """Paths in a file, from its top on."""

    group: str = ""
    """The episode's group; empty where the file is the episode."""
    images: tuple[str, ...] = IMAGES
    """Where images may lie; the first that is there counts."""
    actions: str | dict[Dimension, Velocity] = ACTIONS
    """An array (T, 3), or the places of single velocities."""
    events: str = EVENT_TYPES
    instruction: str = INSTRUCTION
    """A text, or ``GROUP@ATTRIBUTE`` or ``GROUP@ATTRIBUTE/KEY``."""
    needs_instruction: bool = False
    """Whether its absence is worth a word: config.yaml says where it is."""
    state: str | None = None
    is_chosen: bool = False
    """Whether config.yaml says them, and not the collector's contract."""

    @classmethod
    def of(cls, fields: Fields | None, group: str = "") -> Places:
        """Return the places of an episode in a file or, if it is not empty, in a group of it."""
        if fields is None:
            return cls(group)
        actions: str | dict[Dimension, Velocity]
        if isinstance(fields.actions, str):
            actions = inside(group, fields.actions)
        else:
            parts = {name: velocity_place(text) for name, text in fields.actions.items()}
            actions = {
                name: Velocity(inside(group, parts[name][0]), parts[name][1])
                for name in ACTION_COLUMNS
                if name in parts
            }
        return cls(
            group,
            images=(inside(group, fields.images),),
            actions=actions,
            events=inside(group, EVENT_TYPES),
            instruction=inside(group, fields.instruction or INSTRUCTION),
            needs_instruction=fields.instruction is not None,
            state=None if fields.state is None else inside(group, fields.state),
            is_chosen=True,
        )

    def arrays(self) -> Iterator[str]:
        """Yield the paths of all arrays that are read, each once; texts are others."""
        chosen = {} if isinstance(self.actions, str) else self.actions
        actions = [one.place for one in chosen.values()] or [str(self.actions)]
        state = [] if self.state is None else [self.state]
        yield from dict.fromkeys([*self.images, *actions, *state])


def inside(group: str, path: str) -> str:
    """Return a path from the top of the file on; it begins at a group, or with ``/`` at the top."""
    if not path.startswith("/") and group:
        return f"{group}@{path[1:]}" if path.startswith("@") else f"{group}/{path}"
    return path.strip("/")
