"""Check the names, attributes, instructions and events of single episodes.

To add one, give its code a line in the catalogue (``config/audit.py``), write a function that
yields findings, and put it into the tuple at the end of the module that it fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mobile_vla.audit.findings import EpisodeCheck, of_episode
from mobile_vla.audit.result import Finding
from mobile_vla.config.audit import Declared
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.ingest.scenario import SCHEME, follows_scheme

SIDE_WORDS = {"left": r"\bleft\b|왼쪽", "right": r"\bright\b|오른쪽"}


def contract(facts: EpisodeFacts) -> Iterator[Finding]:
    """Yield what ``ingest`` rejected the episode for."""
    for error in facts.errors:
        yield of_episode(
            facts,
            error.code,
            error.place,
            found=error.found,
            expected=error.expected,
            remedy=error.remedy,
        )


def scenario_in_name(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """The name says the whole scenario; without a side, no prompt can say where to pass."""
    missing = [key for key, value in facts.scenario.items() if value is None]
    if "side" in missing:
        yield of_episode(
            facts,
            "scenario_incomplete",
            "name",
            found=f"the name does not say {', '.join(missing)}",
            expected=SCHEME,
            remedy="rename the file, or leave such episodes out with `on_warning: quarantine`: "
            "a prompt that names the side cannot be made for it",
        )
    elif not follows_scheme(Path(facts.file).stem):
        yield of_episode(
            facts,
            "name_outside_scheme",
            "name",
            found=f"the name does not say {', '.join(missing)}"
            if missing
            else "the name says the scenario, in another form",
            expected=SCHEME,
            remedy="rename the file; stratification counts what is missing as unknown",
        )


def episode_name(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """The attribute repeats the file's name: a difference means a renamed or mixed-up file."""
    name, stem = facts.attributes.get("episode_name"), Path(facts.file).stem
    if isinstance(name, str) and name != stem:
        yield of_episode(
            facts,
            "episode_name_differs",
            "attribute episode_name",
            found=name,
            expected=stem,
            remedy="find out which of the two is true; the scenario is read off the file's name",
        )


def num_frames(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """The attribute counts the frames: a difference means that some were lost."""
    declared = facts.attributes.get("num_frames")
    if declared is not None and declared != facts.frames:
        yield of_episode(
            facts,
            "num_frames_differs",
            "attribute num_frames",
            found=f"{declared}",
            expected=f"{facts.frames}, the number of images",
            remedy="check that the recording was not cut short",
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
            found=f"{text!r}",
            expected=f"the side in the name, {side}",
            remedy="rename the file or correct the instruction; prompts follow the name",
        )


def event_types(facts: EpisodeFacts, _: Declared) -> Iterator[Finding]:
    """Events agree with the actions: a start at frame 0, a stop where nothing is pressed."""
    events, actions = facts.event_types, facts.actions
    if events is None:
        yield of_episode(
            facts,
            "no_event_types",
            "action_event_types",
            found="no such dataset",
            expected="an event a frame",
            remedy="nothing: the events are not trained on",
        )
        return
    wrong = [
        index
        for index, (event, action) in enumerate(zip(events, actions, strict=True))
        if (event == "start_action" and not any(action))
        or (event in ("stop_action", "episode_start") and any(action))
    ]
    if wrong:
        first = wrong[0]
        yield of_episode(
            facts,
            "events_disagree",
            f"action_event_types, row {first}",
            found=f"{events[first]} with the action {actions[first]}"
            + (f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""),
            expected="start_action with a velocity, stop_action and episode_start without",
            remedy="check the collector: events and actions may be shifted against each other",
            frames=wrong,
        )


NAME_CHECKS: tuple[EpisodeCheck, ...] = (
    scenario_in_name,
    episode_name,
    num_frames,
    instruction_side,
    event_types,
)
